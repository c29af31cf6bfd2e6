"""What stands of people's acts, and which judgment is current, as SQL over any relations with these tables' columns.

The views are this text over the whole tables; the owner runs it over the touched pairs only. Both are right because a
pair's standing depends on that pair's rows alone, and on which rows there are, never on when they came: see
docs/decisions/0008-acts.md, whose rules this text states. A migration holds the same text; a test holds them equal.
"""

from __future__ import annotations


def acts_sql(responses: str, send_backs: str = "send_backs") -> str:
    """Return the select of every act with three more columns: effective_at (its time), is_withdrawn, is_sent_back."""
    return f"""
select r.*,
    max(r.created_at) over (
        partition by r.pair_id, r.account, r.session order by r.sequence) as effective_at,
    exists (
        select 1 from {responses} w
        where w.act = 'withdrawn' and w.pair_id = r.pair_id and w.account = r.account
          and w.target_id = r.response_id) as is_withdrawn,
    exists (
        select 1 from (select pair_id, unnest(response_ids) as response_id from {send_backs}) b
        where b.pair_id = r.pair_id and b.response_id = r.response_id) as is_sent_back
from {responses} r"""


def standing_sql(responses: str, send_backs: str = "send_backs") -> str:
    """Return the select of the answer that stands for each pair and account, with the columns of `responses`."""
    return f"""
select * exclude (effective_at, is_withdrawn, is_sent_back, recency)
from (
    select *, row_number() over (
        partition by pair_id, account
        order by effective_at desc, session desc, sequence desc, response_id desc) as recency
    from ({acts_sql(responses, send_backs)}) acts
    where act not in ('withdrawn', 'later') and not is_withdrawn)
where recency = 1 and not is_sent_back"""


def current_judgments_sql(judgments: str, standing: str) -> str:
    """Return the select of the one judgment that is current for each pair, with the columns of `judgments`."""
    return f"""
with fallen as (
    select distinct e.judgment_id
    from (
        select judgment_id, pair_id, unnest(response_ids) as response_id
        from {judgments} where origin = 'consensus') e
    where not exists (
        select 1 from {standing} s where s.response_id = e.response_id and s.pair_id = e.pair_id))
select * exclude (recency)
from (
    select *, row_number() over (
        partition by pair_id
        order by case origin when 'adjudicated' then 0 when 'consensus' then 1 else 2 end,
                 created_at desc, judgment_id desc) as recency
    from {judgments} j
    where not exists (select 1 from fallen f where f.judgment_id = j.judgment_id))
where recency = 1"""
