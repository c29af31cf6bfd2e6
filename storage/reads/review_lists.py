"""Named reads of the list: which queries have docs that wait, and all docs of one query as one person may see them.

They show test pairs' grades, as human review must: the person's own, and those that are settled.
"""

from storage.process.standing import acts_sql, current_judgments_sql, standing_sql
from storage.reads.read import Read

# Answers of one account that stand, over rows found by pair.
_MINE = f"(select pair_id from ({standing_sql('(from {responses} where account = $account)')}))"
# Candidates that were never shown to anybody, or that another one on the pair has replaced.
_NOT_LISTED = "('proposed', 'set_aside', 'superseded')"
_ACTED_AT = "(effective_at, session, sequence, response_id)"

READS = {
    # The pairs that wait first in the queue.
    "queue_head": Read("select pair_id from queue order by priority desc, candidate_id limit $n"),
    # The queries of some pairs that one account has not answered, with how many of those pairs each has.
    "queries_of_pairs": Read(
        f"""
        select p.query_id, q.text, count(*) as n
        from {{pairs}} p join {{queries}} q using (query_id)
        where p.pair_id not in {_MINE}
        group by p.query_id, q.text
        order by n desc, p.query_id
        """,
        shows_test=True,
        finds={
            "pairs": ("pair_id", "pair_ids"),
            "queries": ("query_id", "pairs.query_id"),
            "responses": ("pair_id", "pairs.pair_id"),
        },
    ),
    # Queries that hold a text, in the order of their own, from behind (text, id) on.
    "queries_with_text": Read(
        """
        select query_id, text from queries
        where contains(lower(text), lower($text)) and (text, query_id) > ($after_text, $after_id)
        order by text, query_id
        limit $n
        """
    ),
    # How many docs of some queries are listed, wait for one account, and were answered by it.
    "query_counts": Read(
        f"""
        with listed as (
            select p.query_id, c.pair_id, bool_or(s.status = 'awaiting_review') as is_waiting
            from {{candidates}} c join {{pairs}} p using (pair_id) join {{candidate_status}} s using (candidate_id)
            where s.status not in {_NOT_LISTED}
            group by p.query_id, c.pair_id),
        mine as {_MINE}
        select q.query_id, q.text, count(l.pair_id) as n_docs,
               count(l.pair_id) filter (l.is_waiting and m.pair_id is null) as n_waiting, count(m.pair_id) as n_mine
        from {{queries}} q left join listed l using (query_id) left join mine m using (pair_id)
        group by q.query_id, q.text
        """,
        shows_test=True,
        finds={
            "queries": ("query_id", "query_ids"),
            "pairs": ("query_id", "query_ids"),
            "candidates": ("pair_id", "pairs.pair_id"),
            "candidate_status": ("candidates.candidate_id", "candidates.candidate_id"),
            "responses": ("pair_id", "pairs.pair_id"),
        },
    ),
    # Every doc of a query that was ever asked about: the candidate that stands for it, where it is, what one account
    # last said of it, the settled grade. A settled pair's earlier candidates are settled too; the latest stands.
    "query_docs": Read(
        f"""
        with listed as (
            select c.candidate_id, c.pair_id, c.grade as proposed_grade, s.status, s.cause
            from {{candidates}} c join {{pairs}} using (pair_id) join {{candidate_status}} s using (candidate_id)
            where s.status not in {_NOT_LISTED}
            qualify row_number() over (partition by c.pair_id order by c.created_at desc, c.candidate_id desc) = 1),
        acts as ({acts_sql("{responses}", "{send_backs}")}),
        own as (
            select pair_id, arg_max(act, {_ACTED_AT}) = 'later' as is_put_off,
                   arg_max(struct_pack(response_id, session, sequence, act, grade, reason, is_sent_back, effective_at),
                           {_ACTED_AT})
                       filter (act <> 'later') as answer
            from acts where account = $account and act <> 'withdrawn' and not is_withdrawn group by pair_id),
        standing as ({standing_sql("{responses}", "{send_backs}")}),
        told as (
            select b.pair_id, arg_max(b.reason, (b.created_at, b.send_back_id)) as sent_back_reason
            from {{send_backs}} b join own o using (pair_id)
            where list_contains(b.response_ids, o.answer.response_id) group by b.pair_id)
        select l.*, o.answer, coalesce(o.is_put_off, false) as is_put_off, t.sent_back_reason,
               j.grade as settled_grade, j.origin as settled_by
        from listed l left join own o using (pair_id) left join told t using (pair_id)
        left join ({current_judgments_sql("{judgments}", "standing")}) j using (pair_id)
        order by l.pair_id
        limit $n
        """,
        shows_test=True,
        finds={
            "pairs": ("query_id", "query_id"),
            "candidates": ("pair_id", "pairs.pair_id"),
            "candidate_status": ("candidates.candidate_id", "candidates.candidate_id"),
            "responses": ("pair_id", "pairs.pair_id"),
            "send_backs": ("pair_id", "pairs.pair_id"),
            "judgments": ("pair_id", "pairs.pair_id"),
        },
    ),
}
