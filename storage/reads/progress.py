"""Named reads of the page Progress: what people answered, what is left, how far they agree. Counts, not single answers.

Most count answers to test pairs too, as the work on them is work, so only the human review path may ask.
"""

from storage.process.standing import acts_sql
from storage.reads.read import Read

_ANSWERS = "('submitted', 'discarded', 'cannot_tell')"
# The standing answers of each pair that has two or more, as one sorted list; -1 is an answer without a grade.
_PATTERNS = """
    select pair_id, list_sort(list(coalesce(grade, -1))) as grades
    from standing_responses group by pair_id having count(*) >= 2
"""

READS = {
    # How far the facts are that the figures are made of: facts are only ever added, so equal numbers, equal facts.
    "progress_state": Read(
        """
        select (select count(*) from responses) as responses, (select count(*) from send_backs) as send_backs,
               (select count(*) from judgments) as judgments, (select count(*) from candidates) as candidates,
               (select count(*) from screenings) as screenings, (select count(*) from rule_votes) as rule_votes,
               (select count(*) from approvals) as approvals, (select count(*) from review_causes) as review_causes,
               (select count(*) from difficulty_scores) as difficulty_scores,
               (select count(*) from pair_mutations) as pair_mutations, (select count(*) from erasures) as erasures
        """
    ),
    # What is not settled: pairs that wait for answers, for an adjudicator, or that all gave up; by cause.
    "open_by_cause": Read(
        """
        select status, cause, count(*) as n_pairs, coalesce(sum(n_required - n_answers), 0)::bigint as n_asked
        from candidate_status
        where status in ('awaiting_review', 'answered', 'disputed', 'discarded')
        group by status, cause order by status, cause
        """
    ),
    # What each person answered on each day of the asker's clock; a pair counts once a day. A card that lay open for
    # longer than $longest seconds was not looked at all the time. Replayed answers were not given then.
    "answers_by_day": Read(
        f"""
        select cast(created_at + to_minutes(cast($shift as bigint)) as date) as day, account,
               count(distinct pair_id) as n_answers, count(seconds) as n_timed,
               coalesce(sum(least(seconds, $longest)) filter (seconds is not null), 0)::double as seconds
        from responses
        where created_at >= cast($since as timestamp) and act in {_ANSWERS} and not is_replayed
        group by day, account order by day, account
        """,
        shows_test=True,
    ),
    # What each person's standing answers are, and how long they took: in all, the middle and the middle half.
    "answers_by_person": Read(
        """
        select account, count(*) as n_answers, count(*) filter (act = 'discarded') as n_discarded,
               count(*) filter (act = 'cannot_tell') as n_cannot_tell, count(*) filter (is_replayed) as n_replayed,
               count(seconds) as n_timed,
               coalesce(sum(least(seconds, $longest)) filter (seconds is not null), 0)::double as seconds,
               quantile_cont(seconds, 0.25) as low_seconds, quantile_cont(seconds, 0.5) as median_seconds,
               quantile_cont(seconds, 0.75) as high_seconds
        from standing_responses group by account order by account
        """,
        shows_test=True,
    ),
    # How far each person's grades lie above the settled ones; what they settled alone says nothing of that.
    "leniency": Read(
        """
        select r.account, count(*) as n, avg(r.grade - j.grade)::double as mean,
               var_samp(r.grade - j.grade)::double as variance
        from standing_responses r join current_judgments j using (pair_id)
        where r.act = 'submitted' and r.grade is not null
          and not (j.origin = 'consensus' and len(j.response_ids) = 1)
        group by r.account order by r.account
        """,
        shows_test=True,
    ),
    # Which answers pairs got that have two or more, and how many got the same.
    "answer_patterns": Read(
        f"select grades, count(*) as n from ({_PATTERNS}) group by grades order by grades", shows_test=True
    ),
    # The same of pairs drawn for a blind audit, by what each person answered first: who has answered sees what the
    # machine says, and may answer anew.
    "audit_patterns": Read(
        f"""
        with audited as (select distinct pair_id from candidate_status where contains(cause, 'blind_audit')),
        acts as ({acts_sql("(select * from responses where pair_id in (from audited))")}),
        firsts as (
            select pair_id, account, arg_min(coalesce(grade, -1), (effective_at, session, sequence)) as grade
            from acts where act in {_ANSWERS} group by pair_id, account),
        patterns as (
            select f.pair_id, list_sort(list(f.grade)) as grades
            from firsts f join standing_responses s on s.pair_id = f.pair_id and s.account = f.account
            group by f.pair_id having count(*) >= 2)
        select grades, count(*) as n from patterns group by grades order by grades
        """,
        shows_test=True,
    ),
    "answer_patterns_by_rule": Read(
        f"""
        with patterns as materialized ({_PATTERNS})
        select v.rule_id, a.grades, count(*) as n
        from patterns a join rule_votes v using (pair_id) join rule_status r using (rule_id)
        where r.status = 'approved'
        group by v.rule_id, a.grades order by v.rule_id, a.grades
        """,
        shows_test=True,
    ),
    # Of each settled pair whether something asked for more than one answer.
    "settled_by_asking": Read(
        """
        select pair_id, bool_or(cause <> '') as is_asked_again
        from candidate_status where status = 'settled' group by pair_id
        """
    ),
    "rule_texts": Read("select rule_id, text from rules where list_contains($rule_ids, rule_id)"),
}
