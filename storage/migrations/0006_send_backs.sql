-- An adjudicator may ask again instead of settling: answers named here stand no more, and the pair waits for n_required
-- new ones. No other fact could say it: a withdrawal is its author's own, and a judgment has a grade. `pair_id` is
-- repeated so that a pair's standing can be derived without a join.

create table send_backs (
    send_back_id varchar not null, candidate_id varchar not null, pair_id varchar not null,
    account varchar not null, response_ids varchar[] not null, n_required integer not null, reason varchar not null,
    created_at timestamp not null);

-- The text of storage/process/standing.py: rule 8 of docs/decisions/0008-acts.md is new.
create or replace view standing_responses as
select * exclude (effective_at, is_withdrawn, is_sent_back, recency)
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
                  and w.target_id = r.response_id) as is_withdrawn,
            exists (
                select 1 from (select pair_id, unnest(response_ids) as response_id from send_backs) b
                where b.pair_id = r.pair_id and b.response_id = r.response_id) as is_sent_back
        from responses r) acts
    where act not in ('withdrawn', 'later') and not is_withdrawn)
where recency = 1 and not is_sent_back;
