"""Named reads of rule mining: where train pairs are disagreed on, and what of the grades the rules cover.

Answers, candidates and predictions come through of train pairs only; the coverage counts train and dev pairs.
"""

from storage.reads.read import Read
from storage.sql.rule_coverage import COVERAGE

READS = {
    # A row for each train pair and source of disagreement: what was said, what is settled, the texts and the features.
    # Between people: their standing answers differ. Of a machine: the latest candidate is not the settled grade. Of a
    # trained model: its latest prediction is not.
    "train_disagreements": Read(
        """
        with settled as (
            select j.pair_id, j.grade from current_judgments j join pairs p using (pair_id) where p.split = 'train'),
        answers as (
            select s.pair_id, s.grade
            from standing_responses s join pairs p using (pair_id)
            where p.split = 'train' and s.grade is not null),
        between_people as (
            select pair_id, list_sort(list(distinct grade)) as said_grades
            from answers group by pair_id having count(distinct grade) > 1),
        proposed as (
            select c.pair_id, arg_max(c.grade, (c.created_at, c.candidate_id)) as grade
            from candidates c join settled using (pair_id) group by c.pair_id),
        predicted as (
            select r.pair_id, arg_max(r.grade, (r.created_at, r.prediction_id)) as grade
            from predictions r join settled using (pair_id) group by r.pair_id),
        disagreed as (
            select 'human-human' as source, b.pair_id, s.grade as settled_grade, b.said_grades
            from between_people b left join settled s using (pair_id)
            union all
            select 'human-machine', s.pair_id, s.grade, [m.grade]
            from settled s join proposed m using (pair_id) where m.grade <> s.grade
            union all
            select 'model-judgment', s.pair_id, s.grade, [m.grade]
            from settled s join predicted m using (pair_id) where m.grade <> s.grade)
        select x.source, x.settled_grade, x.said_grades, q.root_query_id, q.text as query, d.title, d.fields,
               f.* exclude (run_id, created_at)
        from disagreed x join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        join pair_features f using (pair_id)
        order by x.source, x.pair_id
        """
    ),
    "rule_coverage_matrix": Read(COVERAGE),
    # Every rule with what it is worth on judged train pairs and on dev ones, and what would be right on dev without it.
    "rule_evidence": Read(
        """
        with judged as materialized (
            select j.pair_id, j.grade, p.split
            from current_judgments j join pairs p using (pair_id)
            where p.split in ('train', 'dev') and ($judgments = 'all' or starts_with(j.origin, $judgments))),
        votes as (
            select v.rule_id, count(*) filter (j.split = 'train') as n_judged,
                   count(*) filter (j.split = 'train' and j.grade = v.grade) as n_right,
                   count(*) filter (j.split = 'dev') as n_dev,
                   count(*) filter (j.split = 'dev' and j.grade = v.grade) as n_dev_right,
                   count(*) filter (j.split = 'dev' and j.grade = h.grade) as n_without
            from rule_votes v join judged j using (pair_id) join rules r using (rule_id)
            left join rules h on h.rule_id = r.parent_id
            group by v.rule_id)
        select s.rule_id, s.status, coalesce(h.grade <> s.grade, false) as is_exception,
               (select count(*) from judged where split = 'train') as n_train,
               coalesce(v.n_judged, 0) as n_judged, coalesce(v.n_right, 0) as n_right, coalesce(v.n_dev, 0) as n_dev,
               coalesce(v.n_dev_right, 0) as n_dev_right, coalesce(v.n_without, 0) as n_without,
               (select avg((j.grade = s.grade)::integer) from judged j where j.split = 'dev') as base_rate
        from rule_status s left join votes v using (rule_id) left join rules h on h.rule_id = s.parent_id
        order by s.rule_id
        """
    ),
}
