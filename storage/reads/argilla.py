"""Named reads of the bridge to Argilla: what waits and its texts, whose answers stand, how far the last pull came.

They show test pairs' suggestions and answers, as human review must.
"""

from storage.process.standing import standing_sql
from storage.reads.read import PAIR_TEXTS, Read

_CANDIDATES = {"candidates": ("candidate_id", "candidate_ids")}

READS = {
    # All that waits for an answer, what people decide most about first.
    "waiting_for_answers": Read(
        "select candidate_id, pair_id, n_required, cause from queue order by priority desc, candidate_id"
    ),
    # Whose answers stand on pairs that wait for more of them.
    "answers_of_waiting": Read(
        """
        select k.candidate_id, r.account, r.act, r.grade, r.steps, r.reason
        from queue k join standing_responses r using (pair_id)
        order by k.candidate_id, r.account
        """,
        shows_test=True,
    ),
    # What a record shows of each candidate, and what its answer is held against.
    "argilla_records": Read(
        """
        select c.candidate_id, c.pair_id, q.text as query, d.title, d.body, d.fields, c.grade, c.steps, c.rule_ids,
               c.confidence, c.proposer, s.status, s.n_required, s.cause,
               (select min(m.operator) from pair_mutations m where m.pair_id = c.pair_id) as operator
        from {candidates} c
        join {pairs} p using (pair_id) join {queries} q using (query_id) join {docs} d using (doc_id)
        join {candidate_status} s using (candidate_id)
        """,
        shows_test=True,
        finds={**_CANDIDATES, "candidate_status": ("candidates.candidate_id", "candidate_ids"), **PAIR_TEXTS},
    ),
    # Whose answers stand on the pairs of candidates, and by which way they came.
    "standing_of_candidates": Read(
        f"""
        select r.pair_id, r.account, r.act, r.grade, r.created_at, starts_with(r.session, 'argilla:') as is_pulled
        from ({standing_sql("{responses}")}) r
        where r.pair_id in (select pair_id from {{candidates}})
        order by r.pair_id, r.account
        """,
        shows_test=True,
        finds={**_CANDIDATES, "responses": ("pair_id", "candidates.pair_id")},
    ),
    "last_counts": Read(
        """
        select counts from runs where verb = $verb and status = 'finished'
        order by finished_at desc, run_id desc limit 1
        """
    ),
}
