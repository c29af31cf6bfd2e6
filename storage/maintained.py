"""The two derived tables the owner maintains: each candidate's status, and the queue of those that wait for a human.

One statement derives both from the facts. After a fact arrives it runs over the touched pairs only, in the fact's own
transaction; `rebuild` runs it over all. A pair, not a candidate, is the unit: people's answers count for the pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from storage.predicates import check_predicate

# What a cause may speak of, all known when it is asked: `audit_draw` is a fixed draw from [0, 1) for each pair.
REVIEW_FACT_COLUMNS: dict[str, str] = {
    "confidence": "double",
    "n_answers": "integer",
    "n_revised": "integer",
    "n_distinct_grades": "integer",
    "n_vote_grades": "integer",
    "audit_draw": "double",
    "split": "varchar",
    "origin": "varchar",
    "proposer": "varchar",
}
MAINTAINED = ("candidate_status", "queue")

# How a row of a table names the pairs whose standing it can change.
TOUCHES = {
    "candidates": "select pair_id from incoming",
    "responses": "select pair_id from incoming",
    "judgments": "select pair_id from incoming",
    "rule_votes": "select pair_id from incoming",
    "screenings": "select c.pair_id from candidates c join incoming using (candidate_id)",
    "approvals": "select v.pair_id from rule_votes v join incoming i on i.content_id = v.rule_id",
    "review_causes": "select pair_id from candidates",
}

# Status of every candidate of the pairs in `touched`. {n_required} and {cause} come from the review causes.
_DERIVE = """
create or replace temp table derived as
with c as (select * from candidates where pair_id in (from touched)),
screened as (
    select candidate_id, bool_and(is_passed) as is_passed
    from screenings where candidate_id in (select candidate_id from c) group by candidate_id),
latest as (
    select pair_id, arg_max(candidate_id, (created_at, candidate_id)) as candidate_id
    from c join screened using (candidate_id) where is_passed group by pair_id),
answers as (
    select r.pair_id, count(*) as n_answers, count(distinct r.grade) as n_distinct_grades,
           count(*) filter (r.act = 'discarded') as n_discarded,
           count(*) filter (r.act = 'cannot_tell') as n_cannot_tell,
           count(*) filter (r.grade is distinct from a.grade and r.act = 'submitted') as n_revised
    from standing_responses r join candidates a using (candidate_id)
    where r.pair_id in (from touched) group by r.pair_id),
votes as (
    select v.pair_id, count(distinct v.grade) as n_vote_grades
    from rule_votes v join rule_status s using (rule_id)
    where v.pair_id in (from touched) and s.status = 'approved' group by v.pair_id),
judged as (select pair_id from current_judgments where pair_id in (from touched)),
review_facts as (
    select c.candidate_id, c.pair_id, c.proposer, c.confidence, p.split, p.origin,
           coalesce(a.n_answers, 0) as n_answers, coalesce(a.n_distinct_grades, 0) as n_distinct_grades,
           coalesce(a.n_revised, 0) as n_revised, coalesce(a.n_discarded, 0) as n_discarded,
           coalesce(a.n_cannot_tell, 0) as n_cannot_tell, coalesce(v.n_vote_grades, 0) as n_vote_grades,
           -- a fixed draw per pair: the first 8 hex digits of its hash over 2^32
           cast('0x' || substr(c.pair_id, 3, 8) as ubigint) / 4294967296.0 as audit_draw
    from c join pairs p using (pair_id) left join answers a using (pair_id) left join votes v using (pair_id)),
needs as (select *, {n_required} as n_required, {cause} as cause from review_facts)
select n.candidate_id, n.pair_id, n.n_answers, n.n_required, n.cause,
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
    -- what people decide most about comes first: named causes, then the machine's doubt
    len(string_split(n.cause, ', ')) - (n.cause = '')::integer + 1 - coalesce(n.confidence, 0) as priority
from needs n
left join screened s using (candidate_id)
left join latest l on l.pair_id = n.pair_id
left join judged j on j.pair_id = n.pair_id
"""


def _causes_sql(causes: Sequence[tuple[str, str, int]]) -> tuple[str, str]:
    """Return the SQL of `n_required` and `cause` for (cause, predicate, n_required) rows."""
    if not causes:
        return "1", "''"
    checked = [(name, check_predicate(text, columns=REVIEW_FACT_COLUMNS), n) for name, text, n in causes]
    required = ", ".join(f"case when ({sql}) then {int(n)} else 1 end" for _, sql, n in checked)
    names = ", ".join(f"case when ({sql}) then '{name.replace(chr(39), '')}' end" for name, sql, _ in checked)
    return f"greatest(1, {required})", f"array_to_string(list_filter([{names}], lambda x: x is not null), ', ')"


def maintain(connection: duckdb.DuckDBPyConnection) -> None:
    """Derive status and queue anew for the pairs in temp table `touched`, inside the caller's transaction."""
    causes = connection.execute(
        "select cause, arg_max(predicate, (created_at, review_cause_id)), "
        "arg_max(n_required, (created_at, review_cause_id)) from review_causes group by cause order by cause"
    ).fetchall()
    n_required, cause = _causes_sql(causes)
    connection.execute(_DERIVE.format(n_required=n_required, cause=cause))
    for table in MAINTAINED:
        connection.execute(f"delete from {table} where pair_id in (from touched)")
    connection.execute(
        "insert into candidate_status by name "
        "select candidate_id, pair_id, status, n_answers, n_required, cause from derived"
    )
    connection.execute(
        "insert into queue by name select candidate_id, pair_id, n_required - n_answers as n_open, n_required, cause, "
        "priority from derived where status = 'awaiting_review'"
    )
