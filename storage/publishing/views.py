"""The views of the published copy, documented column by column in docs/sql.md.

Plain SQL over the copy's own tables, named without a database, so that they work under whatever name the file is
opened or attached. A share has its n beside it and is null over nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from storage.sql.rule_coverage import COVERAGE

# Wilson's score interval, 95%: centre and half its width of a share of `n`, times 1 + z^2 / n.
_Z2 = 1.959963984540054**2
_CENTRE = f"(n_agreed / n + {_Z2} / (2 * n))"
_HALF = f"sqrt({_Z2} * (n_agreed / n * (1 - n_agreed / n) + {_Z2} / (4 * n)) / n)"

VIEWS: Mapping[str, str] = {
    "queue": """
select candidate_id, pair_id, n_required - n_answers as n_open, n_required, cause, priority
from candidate_status
where status = 'awaiting_review'
""",
    "standing_responses": """
select *
from responses
where response_id in (select response_id from standing_response_ids)
""",
    "responses_via": """
select a.*, case r.verb when 'argilla pull' then 'argilla' else coalesce(r.verb, 'app') end as via
from responses a
left join runs r using (run_id)
""",
    "current_judgments": """
select *
from judgments
where judgment_id in (select judgment_id from current_judgment_ids)
""",
    "rule_status": """
select r.*, d.status
from rules r
join rule_decisions d using (rule_id)
""",
    # The grades of test pairs are null here, so their votes are in none of the figures.
    "agreement_by_rule": f"""
with settled as (
    select v.rule_id, v.pair_id, v.grade = j.grade as is_agreed
    from rule_votes v
    join current_judgments j using (pair_id)
    where j.grade is not null),
agreed as (
    select rule_id, count(*) as n, count(*) filter (is_agreed) as n_agreed
    from settled
    group by rule_id),
answered as (
    select s.rule_id, count(distinct a.account) as n_reviewers
    from settled s
    join standing_responses a using (pair_id)
    group by s.rule_id)
select r.rule_id, r.text, r.grade, r.status, coalesce(n, 0) as n, coalesce(n_agreed, 0) as n_agreed,
    n_agreed / n as agreement,
    case when n > 0 then greatest(0.0, ({_CENTRE} - {_HALF}) / (1 + {_Z2} / n)) end as low,
    case when n > 0 then least(1.0, ({_CENTRE} + {_HALF}) / (1 + {_Z2} / n)) end as high,
    coalesce(n_reviewers, 0) as n_reviewers
from rule_status r
left join agreed using (rule_id)
left join answered using (rule_id)
""",
    "coverage_by_rule": COVERAGE,
    "lineage": """
select c.candidate_id, c.pair_id, p.split, p.origin, p.query_id, q.text as query, p.doc_id, d.title,
    c.proposer, c.grade as proposed_grade, c.rule_ids,
    list_transform(c.rule_ids, lambda rule_id: b.texts[rule_id]) as rules,
    c.instruction_id, i.text as instruction, c.llm_call_id, l.provider, l.model, l.cost,
    (select bool_and(s.is_passed) from screenings s where s.candidate_id = c.candidate_id) as is_passed,
    (select list(s.screen order by s.screen) from screenings s
     where s.candidate_id = c.candidate_id and not s.is_passed) as failed_screens,
    t.status, t.n_answers, j.judgment_id, j.origin as judgment_origin, j.grade as settled_grade,
    (select list({'snapshot_id': m.snapshot_id, 'tier': m.tier} order by m.snapshot_id, m.tier) from tier_members m
     where m.pair_id = c.pair_id) as tiers,
    c.run_id, c.created_at
from candidates c
left join pairs p using (pair_id)
left join queries q using (query_id)
left join docs d using (doc_id)
left join instructions i using (instruction_id)
left join llm_calls l using (llm_call_id)
left join candidate_status t using (candidate_id)
left join current_judgments j on j.pair_id = c.pair_id
cross join (select map(list(rule_id), list(text)) as texts from rules) b
""",
    # A call that more than one candidate rests on is counted once; its candidates are all counted.
    "cost": """
with proposed as (
    select llm_call_id, count(*) as n_candidates
    from candidates
    where llm_call_id is not null
    group by llm_call_id)
select l.created_at::date as day, r.verb, l.run_id, l.provider, l.model,
    count(*) as n_calls, count(l.failure) as n_failed, count(l.cost) as n_priced,
    sum(l.n_prompt_tokens)::bigint as n_prompt_tokens,
    sum(l.n_completion_tokens)::bigint as n_completion_tokens,
    sum(l.cost) as cost,
    sum(l.cost) filter (l.failure is not null) as cost_of_failures,
    coalesce(sum(coalesce(l.n_prompt_tokens, 0) + coalesce(l.n_completion_tokens, 0))
        filter (l.failure is not null), 0)::bigint as n_tokens_of_failures,
    sum(l.seconds) as seconds,
    coalesce(sum(c.n_candidates), 0)::bigint as n_candidates,
    sum(l.cost) / nullif(sum(c.n_candidates), 0) as cost_per_candidate,
    sum(coalesce(l.n_prompt_tokens, 0) + coalesce(l.n_completion_tokens, 0))
        / nullif(sum(c.n_candidates), 0) as tokens_per_candidate
from llm_calls l
left join runs r using (run_id)
left join proposed c using (llm_call_id)
group by all
""",
    # What led to no approved candidate is shared out over those of its operator and model. The grades of test pairs are
    # null here, so none of theirs is approved.
    "cost_per_approved": """
with newest as (select arg_max(snapshot_id, (created_at, snapshot_id)) as snapshot_id from snapshots),
approved as (
    select c.llm_call_id, m.tier, count(*) as n_approved
    from candidates c
    join current_judgments j on j.pair_id = c.pair_id and j.grade = c.grade and j.origin in ('consensus', 'adjudicated')
    left join tier_members m on m.candidate_id = c.candidate_id and m.snapshot_id = (from newest)
    where c.llm_call_id is not null
    group by all),
calls as (
    select l.operator, l.provider, l.model, a.tier, count(*) as n_calls, count(l.cost) as n_priced,
        count(l.failure) as n_failed, coalesce(sum(a.n_approved), 0)::bigint as n_approved,
        sum(l.cost) as cost,
        sum(coalesce(l.n_prompt_tokens, 0) + coalesce(l.n_completion_tokens, 0))::bigint as n_tokens,
        a.llm_call_id is not null as is_approved
    from llm_calls l
    left join approved a using (llm_call_id)
    group by all),
lost as (
    select operator, provider, model, sum(cost) filter (not is_approved) as cost,
        sum(n_tokens) filter (not is_approved) as n_tokens, sum(n_approved) as n_approved
    from calls
    group by all)
select c.operator, c.provider, c.model, c.tier, c.is_approved, c.n_calls, c.n_failed, c.n_priced, c.n_approved,
    c.n_tokens, c.cost,
    case when c.is_approved then c.cost / c.n_approved + coalesce(o.cost, 0) / o.n_approved end as cost_per_approved,
    case when c.is_approved then c.n_tokens / c.n_approved + coalesce(o.n_tokens, 0) / o.n_approved
        end as tokens_per_approved
from calls c
join lost o using (operator, provider, model)
""",
}
