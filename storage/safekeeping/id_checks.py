"""How each table's ids are made, and which rows have an id that does not follow from what they say.

An id of content is the hash of the content, so a row that was altered outside the store, or damaged, no longer has its
id. The recipes repeat what the writers do (`content_id`, `action_id`); a test compares them with rows the writers made.
Rows whose text was erased keep their id and are left out: the erasures say which those are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import duckdb
import pyarrow as pa

from storage.ids import ID_HEX_DIGITS, canonical_json
from storage.safekeeping.finding import Finding, Severity
from storage.safekeeping.references import RESTORE

BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """`parts` are SQL over the row, in the order in which the id hashes them; `source` is what they are read from.

    Parts named in `parsed` hold JSON and are hashed as the value, not as its text. `erased_kind` is the kind of
    erasure after which the id no longer follows; `unless` leaves further rows out.
    """

    prefix: str
    parts: tuple[str, ...]
    source: str = ""
    parsed: frozenset[str] = frozenset()
    erased_kind: str | None = None
    unless: str = "false"


_EVALUATED = "(select run_id, json_extract_string(config, '$.snapshot') as snapshot_id from runs) r"
_SAMPLED = "(select run_id, verb, input_digest from runs) r"
_SERVED = "verb <> 'rollout'"
_ERASED_ACCOUNT = "account in (select content_id from erasures where kind = 'account')"

RECIPES: Mapping[str, Recipe] = {
    "grades": Recipe("g", ("grade", "name")),
    "queries": Recipe("q", ("text",), erased_kind="query"),
    "docs": Recipe("d", ("title", "body", "fields"), parsed=frozenset({"fields"}), erased_kind="doc"),
    "external_ids": Recipe(
        "x",
        ("source", "kind", "external_id"),
        unless="content_id in (select content_id from erasures where kind in ('query', 'doc'))",
    ),
    "pairs": Recipe("p", ("query_id", "doc_id")),
    "pair_mutations": Recipe("m", ("parent_pair_id", "pair_id", "operator", "effect")),
    "mutation_checks": Recipe("k", ("pair_mutation_id", "verifier", "reason")),
    "ingest_rejects": Recipe(
        "ir",
        ("input_digest", "line", "reason", "value"),
        source="ingest_rejects t join (select run_id, input_digest from runs) r using (run_id)",
        erased_kind="ingest_reject",
    ),
    "instructions": Recipe("i", ("text",)),
    "instruction_edits": Recipe(
        "ie",
        ("input_digest", "operator", "parent_id", "attempt"),
        source="instruction_edits t join (select run_id, input_digest from runs) r using (run_id)",
    ),
    "instruction_scores": Recipe(
        "is",
        ("input_digest", "instruction_id", "split", "metric"),
        source="instruction_scores t join (select run_id, input_digest from runs) r using (run_id)",
    ),
    "rules": Recipe("r", ("text", "condition", "grade")),
    "rule_votes": Recipe("v", ("rule_id", "pair_id")),
    "rule_proposals": Recipe(
        "rp", ("run_id", "source", "text", "condition", "grade", "llm_call_id", "example_pair_ids")
    ),
    "candidates": Recipe(
        "c",
        ("pair_id", "grade", "steps", "proposer", "instruction_id", "rule_book"),
        source="candidates t join (select run_id, json_extract_string(config, '$.rule_book') as rule_book from runs) r "
        "using (run_id)",
        erased_kind="candidate",
    ),
    "screenings": Recipe("s", ("candidate_id", "screen")),
    "responses": Recipe("a", ("account", "session", "sequence"), unless=_ERASED_ACCOUNT),
    "preferences": Recipe("pf", ("response_id",), unless="response_id is null"),
    "step_verdicts": Recipe("sv", ("candidate_id", "step", "verifier", "reference_digest")),
    # of served models; whoever trains names a rollout by its training run
    "rollouts": Recipe(
        "ro",
        ("pair_id", "proposer", "setting", "sample"),
        source="rollouts t join (select run_id, json_extract_string(config, '$.setting') as setting from runs) r "
        "using (run_id)",
        unless="proposer is null",
    ),
    "difficulty_scores": Recipe("ds", ("run_id", "pair_id"), unless="proposer is null"),
    "judge_cards": Recipe("jc", ("run_id", "judge", "bias")),
    "predictions": Recipe(
        "pr",
        ("train_run_id", "snapshot_id", "pair_id"),
        source=f"predictions t join {_EVALUATED} using (run_id)",
    ),
    "evaluations": Recipe("ev", ("run_id", "snapshot_id", "split", "model", "metric")),
    "rule_recalls": Recipe(
        "rr",
        ("run_id", "snapshot_id", "split", "rule_id"),
        source=f"rule_recalls t join {_EVALUATED} using (run_id)",
        unless="step is not null",
    ),
    "tiers": Recipe("st", ("snapshot_id", "tier")),
    "tier_members": Recipe("tm", ("snapshot_id", "row_hash")),
    "signatures": Recipe("sg", ("snapshot_id", "tier", "account", "signature"), unless=_ERASED_ACCOUNT),
    "revocations": Recipe("rv", ("snapshot_id", "tier")),
    "erasures": Recipe("er", ("kind", "content_id")),
    "review_causes": Recipe("rc", ("cause", "predicate", "n_required", "created_at")),
}
# A consensus hashes the responses it rests on, an imported judgment its source: two recipes for one table.
JUDGMENT_RECIPES = (
    Recipe("j", ("'import'", "substr(origin, 8)", "pair_id"), unless="not starts_with(origin, 'import:')"),
    Recipe("j", ("'consensus'", "pair_id", "response_ids"), unless="origin <> 'consensus'"),
)
# What `afrel rollout` writes beside what served models answer, and `afrel train` beside what `evaluate` measures.
TRAINED_RECIPES: Mapping[str, Recipe] = {
    "rollouts": Recipe(
        "ro", ("input_digest", "pair_id", "sample"), source=f"rollouts t join {_SAMPLED} using (run_id)", unless=_SERVED
    ),
    "rule_recalls": Recipe("rr", ("run_id", "split", "step", "rule_id"), unless="step is null"),
    "difficulty_scores": Recipe(
        "df", ("input_digest", "pair_id"), source=f"difficulty_scores t join {_SAMPLED} using (run_id)", unless=_SERVED
    ),
}
NOT_RECOMPUTED: Mapping[str, str] = {
    "runs": "drawn at random: a run is an act",
    "jobs": "drawn at random, or of a configuration that lies beside the store",
    "accounts": "hashes a session that is not kept",
    "approvals": "hashes a session that is not kept",
    "leases": "hashes a session that is not kept",
    "llm_calls": "hashes the reply's schema, which is not kept",
    "snapshots": "hashes the rows of its folder: afrel verify SNAPSHOT",
    "pair_features": "has its pair's id",
    "candidate_status": "has its candidate's id",
    "comments": "hashes a session that is not kept",
    "send_backs": "hashes a session that is not kept",
    "saved_queries": "hashes a session that is not kept",
}


def wrong_ids(connection: duckdb.DuckDBPyConnection, own_ids: Mapping[str, str]) -> list[Finding]:
    """Return a finding for every table with ids that do not follow from their rows. `own_ids`: table -> its id."""
    findings = []
    recipes = [*RECIPES.items(), *(("judgments", recipe) for recipe in JUDGMENT_RECIPES), *TRAINED_RECIPES.items()]
    for table, recipe in recipes:
        wrong = list(_wrong(connection, table, own_ids[table], recipe))
        if wrong:
            what = f"{table} have ids that do not follow from what they say: they were altered or damaged"
            findings.append(Finding(Severity.WRONG, what, len(wrong), RESTORE, wrong[0]))
    return findings


def _wrong(connection: duckdb.DuckDBPyConnection, table: str, own_id: str, recipe: Recipe) -> Iterator[str]:
    parts = ", ".join(f"{part} as part_{place}" for place, part in enumerate(recipe.parts))
    erased = "false"
    if recipe.erased_kind is not None:
        erased = f"{own_id} in (select content_id from erasures where kind = '{recipe.erased_kind}')"
    source = recipe.source or f"{table} t"
    # a cursor: the rows come in batches, and the connection must stay free for other statements
    cursor = connection.cursor()
    try:
        rows = cursor.sql(
            f"select {own_id} as own_id, {parts} from {source} where not ({erased}) and not ({recipe.unless})"
        )
        for batch in rows.to_arrow_reader(BATCH_ROWS):
            ids = batch.column(0).to_pylist()
            yield from (own for own, made in zip(ids, _made_ids(batch, recipe), strict=True) if own != made)
    finally:
        cursor.close()


def _made_ids(batch: pa.RecordBatch, recipe: Recipe) -> Iterator[str]:
    """Yield the id each row should have: `content_id` of its parts, encoded a column at a time."""
    columns = []
    for place, part in enumerate(recipe.parts):
        column = batch.column(place + 1)
        encode = _encoder(column.type, is_json=part in recipe.parsed)
        columns.append(["null" if value is None else encode(value) for value in column.to_pylist()])
    sha256, prefix = hashlib.sha256, f"{recipe.prefix}_"
    for encoded in zip(*columns, strict=True):
        content = ("[" + ",".join(encoded) + "]").encode("utf-8", "surrogatepass")
        yield prefix + sha256(content).hexdigest()[:ID_HEX_DIGITS]


def _encoder(kind: pa.DataType, *, is_json: bool) -> Callable[[Any], str]:
    if is_json:
        return _reencoded
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return encode_basestring
    if pa.types.is_integer(kind):
        return str
    if pa.types.is_timestamp(kind):
        return lambda value: encode_basestring(value.isoformat())
    return canonical_json


def _reencoded(text: str) -> str:
    """Return JSON text in canonical form; a text that is no JSON hashes to nothing anybody made."""
    try:
        return canonical_json(json.loads(text))
    except ValueError:
        return text
