"""Rule × tier × grade × agreement: how much of the judged pairs each rule covers, and how right it is there.

One text for the store and for the published copy, whose tables and views have the same names. A cell is a tier of the
newest snapshot (null: in none), a settled grade and how people agreed on the pair; the row without a rule says how many
of the cell's pairs no rule in play votes on. Test pairs are in no count.
"""

COVERAGE = """
with newest as (
    select snapshot_id from snapshots order by created_at desc, snapshot_id desc limit 1),
tiered as (
    select m.pair_id, max(m.tier) as tier
    from tier_members m join newest using (snapshot_id) group by m.pair_id),
answered as (
    select pair_id, count(*) as n_answers, count(distinct grade) as n_grades
    from standing_responses where grade is not null group by pair_id),
judged as (
    select p.pair_id, t.tier, j.grade,
        case when a.n_answers is null then 'no answer' when a.n_grades > 1 then 'disputed'
            when a.n_answers = 1 then 'one answer' else 'unanimous' end as agreement
    from current_judgments j
    join pairs p using (pair_id)
    left join tiered t using (pair_id)
    left join answered a using (pair_id)
    where p.split in ('train', 'dev') and j.grade is not null),
cells as (
    select tier, grade, agreement, count(*) as n_cell from judged group by all),
in_play as (
    select rule_id, text, grade as rule_grade, status from rule_status where status <> 'rejected'),
voted as (
    select v.rule_id, v.pair_id, v.grade as rule_grade
    from rule_votes v join in_play using (rule_id)),
counted as (
    select v.rule_id, j.tier, j.grade, j.agreement, count(*) as n, count(*) filter (v.rule_grade = j.grade) as n_right
    from voted v join judged j using (pair_id) group by all
    union all
    select null, j.tier, j.grade, j.agreement, count(*), null
    from judged j where j.pair_id not in (select pair_id from voted) group by all)
select c.rule_id, r.text, r.status, r.rule_grade, c.tier, c.grade, c.agreement, c.n, c.n_right, k.n_cell,
    c.n / k.n_cell as coverage_rate
from counted c
left join in_play r using (rule_id)
join cells k on k.tier is not distinct from c.tier and k.grade = c.grade and k.agreement = c.agreement
order by c.rule_id nulls first, c.tier nulls last, c.grade, c.agreement
"""
