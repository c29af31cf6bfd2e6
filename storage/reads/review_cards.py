"""Named reads of the review card: everything a card shows, for the few candidates a reviewer holds, and their own acts.

They show test pairs' suggestions and answers, as human review must.
"""

from storage.process.standing import acts_sql, current_judgments_sql, standing_sql
from storage.reads.read import PAIR_TEXTS, Read

_OF_CANDIDATES = {"candidates": ("candidate_id", "candidate_ids")}
_OF_VOTES = "where pair_id in (select pair_id from votes)"
_SETTLED_VOTES = f"""
with votes as (
    select v.pair_id, v.grade, p.query_id, p.doc_id
    from (from rule_votes where rule_id = $rule_id limit 5000) v join pairs p using (pair_id)
    where p.split <> 'test'),
standing as ({standing_sql(f"(from responses {_OF_VOTES})")}),
settled as (
    select v.*, j.grade as settled_grade
    from votes v join ({current_judgments_sql(f"(from judgments {_OF_VOTES})", "standing")}) j using (pair_id))"""

READS = {
    # What a card shows of each candidate. Pairs without features (nothing mined yet) have none.
    "review_cards": Read(
        """
        select c.candidate_id, c.pair_id, q.text as query, d.title, d.body, d.fields, c.grade, c.steps, c.confidence,
               c.proposer, c.instruction_id, s.status, s.n_answers, s.n_required, s.cause,
               f.query_terms, f.missing_terms, f.query_attributes, f.matched_fields, f.conflicting_fields,
               f.n_number_conflicts, f.n_negated_present
        from {candidates} c
        join {pairs} p using (pair_id) join {queries} q using (query_id) join {docs} d using (doc_id)
        join {candidate_status} s using (candidate_id)
        left join {pair_features} f on f.pair_id = c.pair_id
        """,
        shows_test=True,
        finds={
            **_OF_CANDIDATES,
            "candidate_status": ("candidates.candidate_id", "candidate_ids"),
            "pair_features": ("pair_id", "candidates.pair_id"),
            **PAIR_TEXTS,
        },
        is_steady=True,
    ),
    # How the rules that are approved or proposed vote on the pairs of candidates.
    "votes_on_candidates": Read(
        """
        select c.candidate_id, v.rule_id, v.grade, r.text, r.status
        from {candidates} c join {rule_votes} v using (pair_id) join rule_status r using (rule_id)
        where r.status <> 'rejected'
        order by c.candidate_id, r.status, v.grade, v.rule_id
        """,
        finds={**_OF_CANDIDATES, "rule_votes": ("pair_id", "candidates.pair_id")},
        is_steady=True,
    ),
    # What the machine proposed: the original that an answer may accept or edit.
    "proposals": Read(
        "select candidate_id, pair_id, grade, steps, confidence, proposer from {candidates}",
        shows_test=True,
        finds=_OF_CANDIDATES,
        is_steady=True,
    ),
    # Which candidates acts with these names are on.
    "candidates_of_responses": Read(
        "select response_id, candidate_id from {responses}",
        shows_test=True,
        finds={"responses": ("response_id", "response_ids")},
    ),
    # What an account did, the last first, from a moment backwards.
    "own_trail": Read(
        f"""
        select response_id, candidate_id, pair_id, act, grade, steps, first_wrong_step, reason, target_id, session,
               sequence, effective_at, is_withdrawn, is_sent_back
        from ({acts_sql("(select * from responses where account = $account)")})
        where effective_at <= $before
        order by effective_at desc, session desc, sequence desc, response_id desc
        limit $n
        """,
        shows_test=True,
    ),
    "queue_length": Read("select count(*) as n from queue", is_steady=True),
    # A rule, with what it says of pairs that are settled; at most some thousand of its votes are looked at.
    "rule_of_card": Read(
        f"""
        {_SETTLED_VOTES}
        select r.rule_id, r.text, r.condition, r.grade, r.status,
               (select count(*) from votes) as n_votes,
               (select count(*) from settled) as n_settled,
               (select count(*) from settled where grade = settled_grade) as n_agreeing
        from rule_status r where r.rule_id = $rule_id
        """
    ),
    # Pairs on which a rule votes and people have settled: two it is right on, two it is wrong on.
    "examples_of_card_rule": Read(
        f"""
        {_SETTLED_VOTES}
        select q.text as query, d.title, s.settled_grade, s.settled_grade = s.grade as is_agreeing
        from settled s join queries q using (query_id) join docs d using (doc_id)
        qualify row_number() over (partition by is_agreeing order by s.pair_id) <= 2
        order by is_agreeing desc, s.pair_id
        """
    ),
}
