"""Named reads of the curation room: what ingest must know, candidates to screen, rows for tiers."""

from storage.process.standing import current_judgments_sql, standing_sql
from storage.reads.read import Read


def _judged_pairs_sql(*, with_docs: bool) -> str:
    """Return the select of one row per settled pair, with everything a tier predicate or a snapshot row needs.

    Every table is narrowed to the settled pairs before anything is ranked or grouped: of five million candidates half a
    million may be settled. Without docs it is enough for predicates.
    """
    doc_columns = " d.title, d.body, d.fields," if with_docs else ""
    docs = " join docs d using (doc_id)" if with_docs else ""
    return f"""
with answered as materialized (
    select * from responses where pair_id in (select pair_id from judgments)),
standing as materialized ({standing_sql("answered")}),
judged as materialized ({current_judgments_sql("judgments", "standing")}),
votes as (
    select v.pair_id, count(distinct v.grade) as n_vote_grades
    from rule_votes v join rule_status r using (rule_id)
    where r.status = 'approved' and v.pair_id in (select pair_id from judged) group by v.pair_id),
answers as (
    select r.pair_id, count(*) as n_answers, count(distinct r.grade) as n_distinct_grades,
           count(*) filter (r.grade is null) as n_without_grade,
           list_sort(list_distinct(list(a.pseudonym))) as reviewers
    from standing r left join current_accounts a using (account) group by r.pair_id),
screens as (
    select pair_id, count(*) filter (status = 'proposed') as n_unscreened,
           count(*) filter (status = 'set_aside') as n_set_aside, count(*) as n_candidates
    from candidate_status where pair_id in (select pair_id from judged) group by pair_id),
-- as the view pair_candidates: the latest that passed its screens
proposed as (
    select c.rowid as place, row_number() over (
        partition by c.pair_id order by c.created_at desc, c.candidate_id desc) as recency
    from candidates c
    where c.pair_id in (select pair_id from judged)
      and exists (select 1 from screenings s where s.candidate_id = c.candidate_id and s.is_passed)),
difficulty as (
    select pair_id, arg_max(pass_rate, created_at) as pass_rate from difficulty_scores group by pair_id)
select j.judgment_id, j.pair_id, j.grade, j.origin as judgment_origin, j.steps as settled_steps,
       p.split, p.query_id, p.doc_id, p.source, q.text as query,{doc_columns}
       c.candidate_id, c.grade as proposed_grade, c.steps as proposed_steps, c.confidence,
       m.operator, coalesce(v.n_vote_grades, 0) > 1 as has_rule_conflict,
       coalesce(a.n_answers, 0) as n_answers,
       coalesce(a.n_distinct_grades, 0) = 1 and coalesce(a.n_without_grade, 0) = 0 as is_unanimous,
       coalesce(a.reviewers, []) as reviewers, y.pass_rate, j.run_id as judgment_run_id,
       c.run_id as candidate_run_id,
       coalesce(s.n_unscreened, 0) as n_unscreened,
       coalesce(s.n_candidates, 0) > 0 and s.n_set_aside = s.n_candidates as is_set_aside
from judged j
join pairs p using (pair_id) join queries q using (query_id){docs}
left join (select * from candidates where rowid in (select place from proposed where recency = 1)) c
    using (pair_id)
left join (select pair_id, any_value(operator) as operator from pair_mutations group by pair_id) m
    using (pair_id)
left join votes v using (pair_id) left join answers a using (pair_id)
left join screens s using (pair_id) left join difficulty y using (pair_id)
order by j.pair_id
"""


READS = {
    "external_ids": Read(
        """
        select kind, external_id, content_id, true as is_own from external_ids where source = $source
        union all
        -- another source's id serves where it is this id's only meaning
        select kind, external_id, min(content_id), false from external_ids
        where source <> $source group by kind, external_id having count(distinct content_id) = 1
        """
    ),
    "query_splits": Read("select query_id, split from queries"),
    # For comparison at ingest only; a conflict is reported to whoever brought the same pair's grade.
    "import_grades": Read(
        "select pair_id, min(grade) as grade from judgments where origin like 'import:%' group by pair_id",
        shows_test=True,
    ),
    "pairs_without_features": Read(
        """
        select p.pair_id, q.text as query, d.title, d.body, d.fields
        from pairs p join queries q using (query_id) join docs d using (doc_id)
        where not exists (select 1 from pair_features f where f.pair_id = p.pair_id)
        order by p.pair_id limit $n
        """
    ),
    "doc_fields": Read("select fields from docs where fields <> '{}' order by doc_id"),
    # Candidates no screen has looked at yet.
    "unscreened": Read(
        """
        select c.candidate_id, c.pair_id, c.grade, c.steps, c.rule_ids, c.created_at, p.split, p.query_id, p.doc_id,
               q.text as query, d.title, d.body, d.fields
        from candidates c
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        where not exists (select 1 from screenings s where s.candidate_id = c.candidate_id)
        order by c.created_at, c.candidate_id
        """
    ),
    # Candidates that passed, by what they say: another saying the same of the same texts is a duplicate.
    "screened_candidates": Read(
        """
        select c.candidate_id, c.pair_id, c.grade, c.created_at, q.text as query, d.title, d.body, d.fields
        from candidates c
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        where exists (select 1 from screenings s where s.candidate_id = c.candidate_id and s.is_passed)
        """
    ),
    "any_candidate": Read("select candidate_id from candidates limit 1"),
    "held_back_queries": Read("select query_id, text as query, split from queries where split <> 'train'"),
    "rules": Read("select rule_id, text, condition, grade, origin, status from rule_status order by rule_id"),
    "review_causes": Read(
        "select cause, predicate, n_required from review_causes "
        "qualify row_number() over (partition by cause order by created_at desc, review_cause_id desc) = 1 "
        "order by cause"
    ),
    "judged_pairs": Read(_judged_pairs_sql(with_docs=True), shows_test=True),
    "judged_facts": Read(_judged_pairs_sql(with_docs=False), shows_test=True),
    "features_of_judged_pairs": Read(
        "select f.* exclude (run_id, created_at) from pair_features f "
        "where f.pair_id in (select pair_id from current_judgments)"
    ),
    # What the approved rules say of each settled pair: looks at features only, so it shows no settled grade.
    "approved_grades_of_judged_pairs": Read(
        """
        select v.pair_id, list_sort(list(v.grade)) as grades
        from rule_votes v join rule_status r using (rule_id)
        where r.status = 'approved' and v.pair_id in (select pair_id from current_judgments)
        group by v.pair_id
        """
    ),
    # Share of train judgments each rule votes on: a rare rule covers under 1%.
    "rule_rates": Read(
        """
        with judged as (select j.pair_id from current_judgments j join pairs p using (pair_id) where p.split = 'train')
        select v.rule_id, count(*) / (select count(*) from judged)::double as rate
        from rule_votes v join judged using (pair_id) group by v.rule_id
        """
    ),
}
