-- What stands of people's acts, and which judgment is current: the rules of docs/decisions/0008-acts.md. Each select is
-- the text of storage/process/standing.py over the whole tables.

-- Before this, a clock that went back let an earlier act of the same tab stand, and a withdrawal that named another
-- account's act, or an act on another pair, undid it.
create or replace view standing_responses as
select * exclude (effective_at, is_withdrawn, recency)
from (
    select *, row_number() over (
        partition by pair_id, account
        order by effective_at desc, session desc, sequence desc, response_id desc) as recency
    from (
        select r.*,
            max(r.created_at) over (
                partition by r.pair_id, r.account, r.session order by r.sequence) as effective_at,
            exists (
                select 1 from responses w
                where w.act = 'withdrawn' and w.pair_id = r.pair_id and w.account = r.account
                  and w.target_id = r.response_id) as is_withdrawn
        from responses r) acts
    where act not in ('withdrawn', 'later') and not is_withdrawn)
where recency = 1;

-- A consensus falls when one of the responses it rests on, on its own pair, does not stand; it is current again when
-- that response stands again. Adjudicated over consensus over import, later over earlier.
create or replace view current_judgments as
with fallen as (
    select distinct e.judgment_id
    from (
        select judgment_id, pair_id, unnest(response_ids) as response_id
        from judgments where origin = 'consensus') e
    where not exists (
        select 1 from standing_responses s where s.response_id = e.response_id and s.pair_id = e.pair_id))
select * exclude (recency)
from (
    select *, row_number() over (
        partition by pair_id
        order by case origin when 'adjudicated' then 0 when 'consensus' then 1 else 2 end,
                 created_at desc, judgment_id desc) as recency
    from judgments j
    where not exists (select 1 from fallen f where f.judgment_id = j.judgment_id))
where recency = 1;
