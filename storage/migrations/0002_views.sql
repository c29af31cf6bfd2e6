-- What the facts say today. Views, because status is derived and never stored beside its facts.

-- A reviewer's word on a pair: the latest act that was not withdrawn. Undo names its target, so order of arrival is
-- irrelevant; `later` is no answer.
create view standing_responses as
select * exclude (recency)
from (
    select *, row_number() over (
        partition by pair_id, account order by created_at desc, sequence desc, response_id desc) as recency
    from responses r
    where act not in ('withdrawn', 'later')
      and not exists (select 1 from responses w where w.act = 'withdrawn' and w.target_id = r.response_id))
where recency = 1;

-- One judgment per pair: adjudicated over consensus over import, later over earlier. A consensus falls when one of
-- the responses it rests on no longer stands.
create view current_judgments as
with fallen as (
    select distinct judgment_id
    from (select judgment_id, unnest(response_ids) as response_id from judgments where origin = 'consensus') e
    where not exists (select 1 from standing_responses s where s.response_id = e.response_id))
select * exclude (recency)
from (
    select *, row_number() over (
        partition by pair_id
        order by case origin when 'adjudicated' then 0 when 'consensus' then 1 else 2 end,
                 created_at desc, judgment_id desc) as recency
    from judgments j
    where not exists (select 1 from fallen f where f.judgment_id = j.judgment_id))
where recency = 1;

create view rule_status as
select r.*, coalesce(a.decision, 'proposed') as status
from rules r
left join (
    select content_id, arg_max(case decision when 'approve' then 'approved' else 'rejected' end,
                               (created_at, sequence, approval_id)) as decision
    from approvals where kind = 'rule' group by content_id) a on a.content_id = r.rule_id;

create view current_accounts as
select * exclude (recency)
from (select *, row_number() over (partition by account order by created_at desc, account_event_id desc) as recency
      from accounts)
where recency = 1;

-- The candidate that stands for its pair: the latest that passed its screens.
create view pair_candidates as
select * exclude (recency)
from (
    select c.*, row_number() over (partition by c.pair_id order by c.created_at desc, c.candidate_id desc) as recency
    from candidates c
    where exists (select 1 from screenings s where s.candidate_id = c.candidate_id and s.is_passed))
where recency = 1;
