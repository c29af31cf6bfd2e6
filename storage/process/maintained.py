"""The derived table the owner maintains: each candidate's status, cause, priority; the queue is a view of it.

One statement derives them from the facts of the touched pairs, in the fact's own transaction. A pair, not a candidate,
is the unit: people's answers count for the pair. `rebuild` runs the same statement over all pairs, but finds their
facts by scanning, so that it does not lean on the indexes it is meant to check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from storage.process.id_index import Keys, Places, keys_of
from storage.process.places import FIRST_LOCAL, StoreIndexes
from storage.process.standing import current_judgments_sql, standing_sql
from storage.sql.predicate_parts import columns_named
from storage.sql.predicates import check_predicate

# What a cause may speak of, all known when it is asked: `audit_draw` is a fixed draw from [0, 1) for each pair,
# `n_wrong_steps` counts the steps of the rationale that judges found wrong, of judges with a passing card only.
JUDGED_COLUMN = "n_wrong_steps"
REVIEW_FACT_COLUMNS: dict[str, str] = {
    "confidence": "double",
    "n_answers": "integer",
    "n_revised": "integer",
    "n_distinct_grades": "integer",
    "n_vote_grades": "integer",
    "audit_draw": "double",
    "n_wrong_steps": "integer",
    "split": "varchar",
    "origin": "varchar",
    "proposer": "varchar",
}
# Tables of which a row can change a pair's standing, by the column that names the pair where there is one.
TOUCHING = {
    "candidates": "pair_id",
    "responses": "pair_id",
    "send_backs": "pair_id",
    "judgments": "pair_id",
    "rule_votes": "pair_id",
    "screenings": None,
    "step_verdicts": None,
    "approvals": None,
    "review_causes": None,
    "judge_cards": None,
}
# Tables the derivation looks up by place.
FOUND_BY_PAIR = ("responses", "send_backs", "judgments", "rule_votes")
CHUNK = 50_000  # pairs derived at once: bounds memory, and is more than a group of appends touches

# Judges have their say only where a cause asks for it, and never without a passing card.
_WRONG_STEPS = """
wrong_steps as (
    select candidate_id, count(distinct step) as n_wrong_steps
    from (
        select candidate_id, step, arg_max(verdict, (created_at, step_verdict_id)) as verdict
        from touched_step_verdicts
        where verifier in (select judge from judge_standing where is_passed)
        group by candidate_id, step, verifier)
    where verdict < 0
    group by candidate_id),"""
# {n_required} and {cause} come from the review causes. `c` holds all candidates of the touched pairs.
_DERIVE = """
with screened as (
    select candidate_id, bool_and(is_passed) as is_passed from touched_screenings group by candidate_id),
latest as (
    select pair_id, arg_max(candidate_id, (created_at, candidate_id)) as candidate_id
    from c join screened using (candidate_id) where is_passed group by pair_id),
standing as materialized ({standing}),
answers as (
    select r.pair_id, count(*) as n_answers, count(distinct r.grade) as n_distinct_grades,
           count(*) filter (r.act = 'discarded') as n_discarded,
           count(*) filter (r.act = 'cannot_tell') as n_cannot_tell,
           count(*) filter (r.grade is distinct from a.grade and r.act = 'submitted') as n_revised
    from standing r join c a using (candidate_id)
    group by r.pair_id),
votes as (
    select v.pair_id, count(distinct v.grade) as n_vote_grades
    from touched_rule_votes v join rule_status s using (rule_id)
    where s.status = 'approved' group by v.pair_id),
judged as (select pair_id from ({judgments}) current_ones),
{wrong_steps}
-- a pair that was sent back waits for as many answers as it lost
sent_back as (select pair_id, max(n_required) as n_again from touched_send_backs group by pair_id),
review_facts as (
    select c.place, c.candidate_id, c.pair_id, c.proposer, c.confidence, p.split, p.origin,
           coalesce(a.n_answers, 0) as n_answers, coalesce(a.n_distinct_grades, 0) as n_distinct_grades,
           coalesce(a.n_revised, 0) as n_revised, coalesce(a.n_discarded, 0) as n_discarded,
           coalesce(a.n_cannot_tell, 0) as n_cannot_tell, coalesce(v.n_vote_grades, 0) as n_vote_grades, b.n_again,
           {n_wrong_steps} as n_wrong_steps,
           -- a fixed draw per pair: the first 8 hex digits of its hash over 2^32
           coalesce(try_cast('0x' || substr(c.pair_id, 3, 8) as ubigint), 0) / 4294967296.0 as audit_draw
    from c
    left join touched_pairs p using (pair_id) left join answers a using (pair_id) left join votes v using (pair_id)
    left join sent_back b using (pair_id) {join_wrong_steps}),
needs as (
    select *, greatest({n_required}, coalesce(n_again, 1)) as n_required,
           concat_ws(', ', case when n_again is not null then 'sent_back' end, nullif({cause}, '')) as cause
    from review_facts)
select n.place, n.candidate_id, n.pair_id,
    case
        when s.is_passed is null then 'proposed'
        when not s.is_passed then 'set_aside'
        when j.pair_id is not null then 'settled'
        when l.candidate_id is distinct from n.candidate_id then 'superseded'
        when n.n_answers < n.n_required then 'awaiting_review'
        when n.n_discarded = n.n_answers then 'discarded'
        when n.n_distinct_grades > 1 or n.n_discarded + n.n_cannot_tell > 0 then 'disputed'
        else 'answered'
    end as status,
    n.n_answers::integer as n_answers, n.n_required::integer as n_required, n.cause,
    -- What people decide most about comes first: named causes, then the machine's doubt. A blind audit is drawn by
    -- chance and stays where it would have been: at the head of the queue everybody would know it for one.
    (len(string_split(n.cause, ', ')) - (n.cause = '')::integer + 1
        - list_contains(string_split(n.cause, ', '), 'blind_audit')::integer
        - coalesce(nullif(n.confidence, 'nan'::double), 0))::double as priority
from needs n
left join screened s using (candidate_id)
left join latest l on l.pair_id = n.pair_id
left join judged j on j.pair_id = n.pair_id
order by n.place
"""
_CANDIDATES = "select rowid as place, candidate_id, pair_id, grade, proposer, confidence, created_at from candidates"


@dataclass(frozen=True, slots=True)
class Causes:
    """The review causes as SQL: how many answers a pair needs, and why; and whether one of them asks judges."""

    n_required: str
    cause: str
    asks_judges: bool = False


def read_causes(connection: duckdb.DuckDBPyConnection) -> Causes:
    """Return the causes that hold now; a later row of a cause wins."""
    rows = connection.execute(
        "select cause, arg_max(predicate, (created_at, review_cause_id)), "
        "arg_max(n_required, (created_at, review_cause_id)) from review_causes group by cause order by cause"
    ).fetchall()
    if not rows:
        return Causes("1", "''")
    checked = [(name, check_predicate(text, columns=REVIEW_FACT_COLUMNS), n) for name, text, n in rows]
    required = ", ".join(f"case when ({sql}) then {int(n)} else 1 end" for _, sql, n in checked)
    names = ", ".join(f"case when ({sql}) then '{name.replace(chr(39), '')}' end" for name, sql, _ in checked)
    asks_judges = any(JUDGED_COLUMN in columns_named(text, REVIEW_FACT_COLUMNS) for _, text, _ in rows)
    listed = f"array_to_string(list_filter([{names}], lambda x: x is not null), ', ')"
    return Causes(f"greatest(1, {required})", listed, asks_judges)


def touched_pairs(
    connection: duckdb.DuckDBPyConnection, indexes: StoreIndexes, inserted: dict[str, list[pa.Table]]
) -> Keys | None:
    """Return the keys of the pairs whose standing the inserted rows can change; None for all of them."""
    if inserted.get("review_causes"):
        return None
    verdicts, cards = inserted.get("step_verdicts", []), inserted.get("judge_cards", [])
    asks_judges = bool(verdicts or cards) and read_causes(connection).asks_judges
    if cards and asks_judges:
        return None
    found: list[Keys] = []
    for table, parts in inserted.items():
        column = TOUCHING.get(table)
        if column is not None:
            found += [keys_of(rows[column]) for rows in parts]
    for rows in [*inserted.get("screenings", []), *(verdicts if asks_judges else [])]:
        places = indexes.ids("candidates").find(np.unique(keys_of(rows["candidate_id"])))
        known = places[places < FIRST_LOCAL]  # of the candidates that are inserted here the pairs are known already
        if len(known):
            found.append(_keys_at(connection, known))
    for rows in inserted.get("approvals", []):
        found.append(_keys_voted(connection, rows))
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)


def derive(
    connection: duckdb.DuckDBPyConnection, indexes: StoreIndexes, keys: Keys | None, *, causes: Causes
) -> Iterator[pa.Table]:
    """Yield the standing of every candidate of the pairs with these keys (None: of all), in chunks, by place."""
    if keys is None:
        keys = np.unique(indexes.index("candidates", "pair_id").all_keys())
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        places = indexes.index("candidates", "pair_id").find(chunk)
        if not len(places):
            continue
        candidates = _at(connection, _CANDIDATES, places)
        chunk = np.unique(keys_of(candidates["pair_id"]))
        found = {table: indexes.index(table, "pair_id").find(chunk) for table in FOUND_BY_PAIR}
        found["pairs"] = indexes.ids("pairs").find(chunk)
        for table in _tables_by_candidate(causes):
            found[table] = indexes.index(table, "candidate_id").find(keys_of(candidates["candidate_id"]))
        registered = [table for table, table_places in found.items() if len(table_places)]
        for table in registered:
            connection.register(f"{table}_places", pa.table({"place": found[table]}))
        conditions = {table: f"rowid in (from {table}_places)" if table in registered else "false" for table in found}
        try:
            yield _derived(connection, candidates, conditions, causes)
        finally:
            for table in registered:
                connection.unregister(f"{table}_places")


def derive_by_scanning(connection: duckdb.DuckDBPyConnection, first: int, last: int, *, causes: Causes) -> pa.Table:
    """Return the standing of the candidates at places first to last - 1, their pairs' facts found without an index."""
    connection.execute(
        "create or replace temp table rebuilt_pairs as "
        f"select distinct pair_id from candidates where rowid >= {first} and rowid < {last}"
    ).fetchall()
    of_pair = "pair_id in (from rebuilt_pairs)"
    candidates = connection.sql(f"{_CANDIDATES} where {of_pair} order by rowid").to_arrow_table()
    connection.register("rebuilt_candidates", candidates)
    conditions = dict.fromkeys((*FOUND_BY_PAIR, "pairs"), of_pair)
    of_candidate = "candidate_id in (select candidate_id from rebuilt_candidates)"
    conditions.update(dict.fromkeys(_tables_by_candidate(causes), of_candidate))
    try:
        derived = _derived(connection, candidates, conditions, causes)
    finally:
        connection.unregister("rebuilt_candidates")
    is_asked = (derived["place"].to_numpy() >= first) & (derived["place"].to_numpy() < last)
    return derived.filter(pa.array(is_asked))


def _tables_by_candidate(causes: Causes) -> tuple[str, ...]:
    """Return the tables the derivation looks up by candidate: verdicts of judges only where they are asked for."""
    return ("screenings", "step_verdicts") if causes.asks_judges else ("screenings",)


def _derived(
    connection: duckdb.DuckDBPyConnection, candidates: pa.Table, conditions: dict[str, str], causes: Causes
) -> pa.Table:
    relations = ", ".join(
        f"touched_{table} as materialized (select * from {table} where {condition})"
        for table, condition in conditions.items()
    )
    sql = _DERIVE.format(
        standing=standing_sql("touched_responses", "touched_send_backs"),
        judgments=current_judgments_sql("touched_judgments", "standing"),
        n_required=causes.n_required,
        cause=causes.cause,
        wrong_steps=_WRONG_STEPS if causes.asks_judges else "",
        n_wrong_steps="coalesce(w.n_wrong_steps, 0)" if causes.asks_judges else "0",
        join_wrong_steps="left join wrong_steps w using (candidate_id)" if causes.asks_judges else "",
    )
    connection.register("c", candidates)
    try:
        return connection.execute(f"with {relations}, {sql.strip().removeprefix('with ')}").to_arrow_table()
    finally:
        connection.unregister("c")


def _at(connection: duckdb.DuckDBPyConnection, select: str, places: Places) -> pa.Table:
    connection.register("wanted_places", pa.table({"place": places}))
    try:
        return connection.execute(f"{select} where rowid in (from wanted_places) order by rowid").to_arrow_table()
    finally:
        connection.unregister("wanted_places")


def _keys_at(connection: duckdb.DuckDBPyConnection, places: Places) -> Keys:
    return keys_of(_at(connection, "select pair_id from candidates", places)["pair_id"])


def _keys_voted(connection: duckdb.DuckDBPyConnection, approvals: pa.Table) -> Keys:
    connection.register("approved", approvals)
    try:
        return keys_of(
            connection.sql(
                "select distinct pair_id from rule_votes where rule_id in (select content_id from approved)"
            ).to_arrow_table()["pair_id"]
        )
    finally:
        connection.unregister("approved")
