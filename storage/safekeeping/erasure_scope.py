"""What an erasure reaches: which rows hold a text or quote it, and what each column then says instead.

Rows and ids stay, so that everything that refers to them still stands; only words go. Every column of text in the
schema is decided here: it is blanked, or it is kept for a reason; a test holds the two lists against the schema. A
`[erased]` keeps a column that may not be null; JSON stays JSON; what was absent stays absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb

from storage.safekeeping.finding import Finding, Severity

MARK = "[erased]"
_TEXT = f"'{MARK}'"
_STEPS = "'[]'"
_LIST = "[]::varchar[]"
_EDIT = "json_merge_patch({column}, '{{\"steps\": []}}')::varchar"
_PAIR = "pair_id in (from erased_pairs)"
_CANDIDATE = "candidate_id in (from erased_candidates)"


@dataclass(frozen=True, slots=True)
class Blanking:
    """The rows of a table that are reached, and column -> what it then holds, as SQL; null stays null.

    `stamps` are columns that are set whatever they held.
    """

    table: str
    where: str
    columns: Mapping[str, str]
    stamps: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_to_do(self) -> str:
        """The condition of rows that still say something."""
        left = " or ".join(f"{column} <> {self.blank(column)}" for column in self.columns)
        return f"({self.where}) and ({left})"

    @property
    def has_lists(self) -> bool:
        """Whether a list is blanked: DuckDB updates no list in place."""
        return _LIST in self.columns.values()

    def blank(self, column: str) -> str:
        """Return what a column holds once it is blanked."""
        return self.columns[column].format(column=column)

    def values(self) -> dict[str, str]:
        """Return what each column of a reached row is set to."""
        blanked = {
            column: f"case when {column} is null then null else {self.blank(column)} end" for column in self.columns
        }
        return {**blanked, **self.stamps}


BLANKINGS = (
    Blanking("queries", "query_id in (from erased_queries)", {"text": _TEXT}),
    Blanking("docs", "doc_id in (from erased_docs)", {"title": _TEXT, "body": _TEXT, "fields": "'{{}}'"}),
    Blanking(
        "external_ids",
        "content_id in (from erased_queries) or content_id in (from erased_docs)",
        {"external_id": _TEXT},
    ),
    Blanking(
        "pair_features",
        _PAIR,
        dict.fromkeys(
            (
                "query_terms",
                "missing_terms",
                "query_attributes",
                "doc_attributes",
                "matched_fields",
                "conflicting_fields",
            ),
            _LIST,
        ),
    ),
    Blanking("pair_mutations", f"{_PAIR} or parent_pair_id in (from erased_pairs)", {"change": _TEXT}),
    Blanking("candidates", _PAIR, {"steps": _STEPS}),
    Blanking("screenings", _CANDIDATE + " and not is_passed", {"reason": _TEXT}),
    Blanking("responses", _PAIR, {"steps": _STEPS, "reason": _TEXT}),
    Blanking("send_backs", _PAIR, {"reason": _TEXT}),
    Blanking("step_verdicts", _CANDIDATE, {"explanation": _TEXT}),
    Blanking("comments", _CANDIDATE, {"text": _TEXT}),
    Blanking("judgments", f"{_PAIR} or judgment_id in (from erased_judgments)", {"steps": _STEPS, "reason": _TEXT}),
    Blanking("preferences", _PAIR, {"chosen": _EDIT, "rejected": _EDIT}),
    Blanking("rollouts", _PAIR, {"completion": _TEXT}),
    Blanking("ingest_rejects", "ingest_reject_id in (from erased_rejects)", {"value": _TEXT, "record": _TEXT}),
    # a reply that says nothing must not count as a good one
    Blanking(
        "llm_calls",
        "llm_call_id in (from erased_calls)",
        {"request": "'{{}}'", "reply": _TEXT},
        stamps={"failure": "'erased'"},
    ),
)

_NAMES = "names afrel's own things: a verb, kind, split, source, model, state"
_MADE = "digests, numbers and ids"
# Texts that are not blanked: column -> why, in whatever table.
KEPT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "verb", "status", "role", "operator", "provider", "model", "kind", "split", "source", "origin", "effect",
            "proposer", "verifier", "screen", "act", "decision", "metric", "judge", "bias", "cause", "code_version",
            "pseudonym", "name", "labeller", "reference", "aligned_to", "error_type",
        ),
        _NAMES,
    ),
    **dict.fromkeys(
        (
            "input_digest", "template_digest", "manifest_digest", "digest", "row_hash", "public_key", "signature",
            "session", "counts", "process", "grade_logprobs", "reference_digest",
        ),
        _MADE,
    ),
}  # fmt: skip
# Texts by people or machines about more than one pair, or about none: searched for the words and reported.
REPORTED: tuple[tuple[str, str], ...] = (
    ("rules", "text"),
    ("rules", "condition"),
    ("rule_proposals", "text"),
    ("rule_proposals", "condition"),
    ("rule_proposals", "reason"),
    ("instructions", "text"),
    ("instruction_edits", "change"),
    ("instruction_edits", "reason"),
    ("approvals", "reason"),
    ("tiers", "predicate"),
    ("review_causes", "predicate"),
    ("saved_queries", "sql"),
    ("revocations", "reason"),
    ("erasures", "reason"),
    ("runs", "config"),
    ("jobs", "fields"),
    ("mutation_checks", "reason"),
)
SETS: Mapping[str, str] = {
    "erased_queries": "query_id",
    "erased_docs": "doc_id",
    "erased_pairs": "pair_id",
    "erased_candidates": "candidate_id",
    "erased_judgments": "judgment_id",
    "erased_rejects": "ingest_reject_id",
    "erased_calls": "llm_call_id",
}
# The kind of erasure that is noted for what is in a set.
KIND_OF_SET: Mapping[str, str] = {
    "erased_queries": "query",
    "erased_docs": "doc",
    "erased_pairs": "pair",
    "erased_candidates": "candidate",
    "erased_judgments": "judgment",
    "erased_rejects": "ingest_reject",
    "erased_calls": "llm_call",
}


@contextmanager
def scope(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Hold the temporary sets of what is reached, empty at first."""
    for name, column in SETS.items():
        connection.execute(f"create or replace temp table {name} ({column} varchar)").fetchall()
    try:
        yield
    finally:
        for name in SETS:
            connection.execute(f"drop table if exists temp.{name}").fetchall()


def reach_source(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Fill the sets with what a source brought first, and all that rests on it."""
    _add(connection, "erased_queries", "select query_id from queries where source = $value", value=source)
    _add(connection, "erased_docs", "select doc_id from docs where source = $value", value=source)
    _add_mutations(connection)
    _add_what_rests_on_them(connection)
    _add(
        connection,
        "erased_judgments",
        "select judgment_id from judgments where origin = 'import:' || $value and pair_id not in (from erased_pairs)",
        value=source,
    )
    _add(
        connection, "erased_rejects", "select ingest_reject_id from ingest_rejects where source = $value", value=source
    )


def reach_query(connection: duckdb.DuckDBPyConnection, query_id: str) -> None:
    """Fill the sets with a query, what was mutated from it, the docs that occur with no other, all that rests on it.

    What the pool paired a query with did not come with it, and does not keep a doc that came with another.
    """
    _add(connection, "erased_queries", "select query_id from queries where query_id = $value", value=query_id)
    _add_mutations(connection)
    _add(
        connection,
        "erased_docs",
        "select doc_id from pairs where query_id in (from erased_queries) and origin <> 'pool' "
        "except select doc_id from pairs where query_id not in (from erased_queries) and origin <> 'pool'",
    )
    _add_what_rests_on_them(connection)


def reach_again(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the sets with all that was ever erased."""
    for name, kind in KIND_OF_SET.items():
        _add(connection, name, "select content_id from erasures where kind = $value", value=kind)
    _add_what_rests_on_them(connection)


def count_to_do(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many rows of each table still say something that is reached."""
    counts = {}
    for blanking in BLANKINGS:
        ((n,),) = connection.execute(f"select count(*) from {blanking.table} where {blanking.is_to_do}").fetchall()
        if n:
            counts[blanking.table] = int(n)
    return counts


def came_back(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Find rows with words on what was erased: they came after it, from somebody who still held them."""
    with scope(connection):
        reach_again(connection)
        counts = count_to_do(connection)
    if not counts:
        return []
    example = ", ".join(f"{n} {table}" for table, n in counts.items())
    mend = "erase it again, as it was erased: afrel --as ADMIN erase --query ID, or --source NAME"
    return [Finding(Severity.WRONG, "rows that speak of erased texts", sum(counts.values()), mend, example)]


def _add_mutations(connection: duckdb.DuckDBPyConnection) -> None:
    """Add what was mutated from the queries and docs reached, and from that again."""
    n_before = -1
    while (n := _size(connection, "erased_queries") + _size(connection, "erased_docs")) > n_before:
        n_before = n
        _add(
            connection,
            "erased_queries",
            "select query_id from queries where root_query_id in (from erased_queries)",
        )
        for name, column in (("erased_queries", "query_id"), ("erased_docs", "doc_id")):
            _add(
                connection,
                name,
                f"select child.{column} from pair_mutations m join pairs parent on parent.pair_id = m.parent_pair_id "
                f"join pairs child on child.pair_id = m.pair_id where parent.{column} in (from {name})",
            )


def _add_what_rests_on_them(connection: duckdb.DuckDBPyConnection) -> None:
    _add(
        connection,
        "erased_pairs",
        "select pair_id from pairs where query_id in (from erased_queries) or doc_id in (from erased_docs)",
    )
    _add(connection, "erased_candidates", f"select candidate_id from candidates where {_PAIR}")
    _add(
        connection,
        "erased_calls",
        f"select llm_call_id from candidates where {_CANDIDATE} and llm_call_id is not null "
        f"union select llm_call_id from step_verdicts where {_CANDIDATE} and llm_call_id is not null "
        f"union select llm_call_id from rollouts where {_PAIR} and llm_call_id is not null "
        f"union select llm_call_id from preferences where {_PAIR} and llm_call_id is not null",
    )


def _add(connection: duckdb.DuckDBPyConnection, name: str, sql: str, **params: str) -> None:
    """Add to a set what it does not hold yet."""
    connection.execute(f"insert into {name} select distinct * from ({sql}) except from {name}", params).fetchall()


def _size(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    ((n,),) = connection.execute(f"select count(*) from {name}").fetchall()
    return int(n)
