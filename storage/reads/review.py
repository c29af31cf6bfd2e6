"""Named reads of the human review path. They show test pairs' answers: only review, snapshot and evaluate may ask."""

from storage.process.standing import acts_sql
from storage.reads.read import PAIR_TEXTS, Read

READS = {
    "candidate": Read(
        """
        select c.candidate_id, c.pair_id, p.split, q.text as query, d.title, d.body, d.fields, c.grade, c.steps,
               c.confidence, c.proposer, s.status, s.n_answers, s.n_required, s.cause
        from {candidates} c
        join {pairs} p using (pair_id) join {queries} q using (query_id) join {docs} d using (doc_id)
        join {candidate_status} s using (candidate_id)
        """,
        shows_test=True,
        finds={
            "candidates": ("candidate_id", "candidate_id"),
            "candidate_status": ("candidates.candidate_id", "candidate_id"),
            **PAIR_TEXTS,
        },
    ),
    # Candidates that wait for an answer, by the names their source gave query and doc.
    "open_by_external_id": Read(
        """
        select k.candidate_id, k.pair_id, k.n_open, c.grade, c.steps,
               xq.external_id as query_ref, xd.external_id as doc_ref, coalesce(s.accounts, []) as answered_by
        from queue k
        left join (select pair_id, list(account) as accounts from standing_responses group by pair_id) s
            on s.pair_id = k.pair_id
        join candidates c using (candidate_id)
        join pairs p on p.pair_id = k.pair_id
        join external_ids xq on xq.content_id = p.query_id and xq.kind = 'query'
        join external_ids xd on xd.content_id = p.doc_id and xd.kind = 'doc'
        order by k.candidate_id
        """,
        shows_test=True,
    ),
    # What people said of pairs that have all their answers and no judgment yet, and of one pair that is asked for.
    "answers_to_settle": Read(
        """
        select s.candidate_id, s.pair_id, s.status, s.n_required, c.grade as proposed_grade, c.steps as proposed_steps,
               r.response_id, r.account, r.act, r.grade, r.steps, r.is_replayed,
               xq.external_id as query_ref, xd.external_id as doc_ref
        from candidate_status s
        join candidates c using (candidate_id)
        join pairs p on p.pair_id = s.pair_id
        join standing_responses r on r.pair_id = s.pair_id
        left join external_ids xq on xq.content_id = p.query_id and xq.kind = 'query'
        left join external_ids xd on xd.content_id = p.doc_id and xd.kind = 'doc'
        where s.status in ('answered', 'disputed', 'discarded') or s.candidate_id = $candidate_id
        order by s.candidate_id, r.response_id
        """,
        shows_test=True,
    ),
    "responses_of_session": Read("select response_id from responses where session = $session", shows_test=True),
    # All an account did on a pair, in the order that counts.
    "own_acts": Read(
        f"""
        select response_id, act, grade, steps, reason, target_id, effective_at, is_withdrawn, is_sent_back
        from ({acts_sql("(from {responses} where account = $account)")})
        order by effective_at, session, sequence, response_id
        """,
        shows_test=True,
        finds={"responses": ("pair_id", "pair_id")},
    ),
    # Every standing graded answer beside the settled grade, for agreement.
    "graded_answers": Read(
        """
        select r.pair_id, r.account, r.grade, j.grade as settled_grade,
               j.origin = 'consensus' and len(j.response_ids) = 1 as is_alone
        from standing_responses r left join current_judgments j using (pair_id)
        where r.act = 'submitted' and r.grade is not null
        order by r.pair_id, r.account
        """,
        shows_test=True,
    ),
    "approved_votes": Read(
        "select v.rule_id, v.pair_id from rule_votes v join rule_status s using (rule_id) where s.status = 'approved'"
    ),
}
