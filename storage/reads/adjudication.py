"""Named reads of adjudication: pairs people do not settle by themselves, and all that was ever said of one of them.

They show test pairs' answers, as human review must. An adjudicator sees who said what.
"""

from storage.process.standing import acts_sql, current_judgments_sql, standing_sql
from storage.reads.read import Read

_STANDING = standing_sql("{responses}", "{send_backs}")
_OF_PAIR = ("pair_id", "pair_id")
_OF_CANDIDATES = {
    "candidates": ("candidate_id", "candidate_ids"),
    "candidate_status": ("candidates.candidate_id", "candidates.candidate_id"),
    "pairs": ("pair_id", "candidates.pair_id"),
    "responses": ("pair_id", "candidates.pair_id"),
    "send_backs": ("pair_id", "candidates.pair_id"),
}

READS = {
    "undecided_counts": Read(
        "select status, count(*) as n from candidate_status where status in ('disputed', 'discarded', 'answered') "
        "group by status"
    ),
    # A page of the candidates with one of two statuses, in the order of their places. Without an order over all of them
    # the scan ends with the page: 1 to 4 ms of five million, where sorting takes 40.
    "undecided": Read(
        """
        select * from (
            select rowid as place, candidate_id from candidate_status
            where rowid > $after_place and status in ($status, $or_status)
            limit $n)
        order by place
        """
    ),
    # How many of the candidates with a status come before a place.
    "undecided_before": Read(
        "select count(*) as n from candidate_status where rowid <= $after_place and status = $status"
    ),
    # Pairs as a list shows them: query, doc, and the answers that stand.
    "undecided_pairs": Read(
        f"""
        with standing as ({_STANDING})
        select c.candidate_id, c.pair_id, c.grade as proposed_grade, q.text as query, d.title, s.status, s.cause,
               coalesce((select list(struct_pack(account, act, grade) order by account) from standing a
                         where a.pair_id = c.pair_id), []) as answers
        from {{candidates}} c join {{pairs}} p using (pair_id) join {{queries}} q using (query_id)
        join {{docs}} d using (doc_id) join {{candidate_status}} s using (candidate_id)
        """,
        shows_test=True,
        finds={**_OF_CANDIDATES, "queries": ("query_id", "pairs.query_id"), "docs": ("doc_id", "pairs.doc_id")},
    ),
    # What stands on pairs, for settling them: as `answers_to_settle`, of the candidates that are named.
    "answers_on_candidates": Read(
        f"""
        select s.candidate_id, s.pair_id, s.status, s.n_required, c.grade as proposed_grade, c.steps as proposed_steps,
               r.response_id, r.account, r.act, r.grade, r.steps, r.is_replayed,
               null as query_ref, null as doc_ref
        from {{candidates}} c join {{candidate_status}} s using (candidate_id) join ({_STANDING}) r
             on r.pair_id = c.pair_id
        order by s.candidate_id, r.response_id
        """,
        shows_test=True,
        finds={table: found for table, found in _OF_CANDIDATES.items() if table != "pairs"},
    ),
    # Everything anybody did on a pair, in the order that counts for each account.
    "acts_on_pair": Read(
        f"""
        select r.response_id, r.candidate_id, r.account, r.act, r.grade, r.steps, r.first_wrong_step, r.reason,
               r.target_id, r.seconds, r.is_replayed, r.effective_at, r.is_withdrawn, r.is_sent_back,
               s.response_id is not null as is_standing
        from ({acts_sql("{responses}", "{send_backs}")}) r left join ({_STANDING}) s using (response_id)
        order by r.effective_at, r.session, r.sequence, r.response_id
        """,
        shows_test=True,
        finds={"responses": _OF_PAIR, "send_backs": _OF_PAIR},
    ),
    "judgments_on_pair": Read(
        f"""
        select j.judgment_id, j.grade, j.origin, j.account, j.steps, j.reason, j.created_at,
               c.judgment_id is not null as is_current
        from {{judgments}} j
        left join ({current_judgments_sql("{judgments}", f"({_STANDING})")}) c using (judgment_id)
        order by j.created_at, j.judgment_id
        """,
        shows_test=True,
        finds={"judgments": _OF_PAIR, "responses": _OF_PAIR, "send_backs": _OF_PAIR},
    ),
    "send_backs_on_pair": Read(
        "select send_back_id, account, response_ids, n_required, reason, created_at from {send_backs} "
        "order by created_at, send_back_id",
        shows_test=True,
        finds={"send_backs": _OF_PAIR},
    ),
    "comments_on_pair": Read(
        """
        select m.comment_id, m.account, m.text, m.created_at from {comments} m join {candidates} using (candidate_id)
        order by m.created_at, m.comment_id
        """,
        finds={"candidates": _OF_PAIR, "comments": ("candidate_id", "candidates.candidate_id")},
    ),
    # Why some candidates came back to an account: what was said when its answers were sent back.
    "sent_back_to": Read(
        f"""
        select c.candidate_id, arg_max(b.reason, (b.created_at, b.send_back_id)) as reason
        from {{candidates}} c join {{send_backs}} b using (pair_id)
        where c.pair_id not in (select pair_id from ({_STANDING}) where account = $account)
          and exists (select 1 from {{responses}} r
                      where r.account = $account and list_contains(b.response_ids, r.response_id))
        group by c.candidate_id
        """,
        shows_test=True,
        finds={table: _OF_CANDIDATES[table] for table in ("candidates", "responses", "send_backs")},
    ),
}
