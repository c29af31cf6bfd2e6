"""Named reads of what tiers are cut from: one statement each, so that all parts of an answer are of one moment.

The rows of a part stand together under its name in the column `part`; columns that are not a part's own are null there.
The parts are `judged`, one row a settled pair, `held_back`, the dev and test queries, and `rule`.
"""

from __future__ import annotations

from storage.process.standing import current_judgments_sql, standing_sql
from storage.reads.read import Read

# Of `pair_features`, as f, what a line of evidence tells of.
EVIDENCE_COLUMNS = """f.gram_overlap, f.longest_match_rate, f.phrase_overlap, f.title_overlap, f.term_overlap,
       f.missing_terms, f.n_number_matches, f.n_number_conflicts, f.matched_fields, f.conflicting_fields,
       f.has_negation, f.n_negated_present"""

# Answers that speak against the judgment they stand beside, which does not rest on them: another grade, cannot tell,
# discarded. An adjudicator's word is final. {standing} and {judged} are the relations of that name.
_DISPUTING = """
    select s.pair_id, count(*) as n_disputing_answers
    from {standing} s join {judged} j using (pair_id)
    where j.origin <> 'adjudicated' and s.grade is distinct from j.grade
      and not list_contains(j.response_ids, s.response_id)
    group by s.pair_id"""

# What `afrel sql` shows of the rows that stand in the way of a cut; the published copy has no grades of test pairs.
UNSCREENED_SQL = (
    "select candidate_id, pair_id from candidate_status "
    "where status = 'proposed' and pair_id in (select pair_id from current_judgments)"
)
DISPUTED_SQL = (
    "select s.candidate_id, s.pair_id, s.grade as answered, j.grade as judged, j.origin "
    "from standing_responses s join current_judgments j using (pair_id) where j.origin <> 'adjudicated' "
    "and s.grade is distinct from j.grade and not list_contains(j.response_ids, s.response_id)"
)
WITHOUT_FEATURES_SQL = "select pair_id from current_judgments where pair_id not in (select pair_id from pair_features)"
PAIRS_SQL = (
    "select p.pair_id, p.split, q.query_id, q.text as query from pairs p join queries q using (query_id) "
    "where p.pair_id in ({ids})"
)


def _relation_sql(*, with_texts: bool) -> str:
    """Return the select of all parts; without texts it is enough for predicates.

    Every table is narrowed to the settled pairs before anything is ranked or grouped: of five million candidates half a
    million may be settled.
    """
    evidence = f"{EVIDENCE_COLUMNS}, f.pair_id is not null as has_features"
    texts = f" d.title, d.body, d.fields, {evidence}," if with_texts else ""
    joins = " join docs d using (doc_id) left join pair_features f on f.pair_id = j.pair_id" if with_texts else ""
    grades = ", list_sort(list(v.grade)) as vote_grades" if with_texts else ""
    vote_grades = " coalesce(v.vote_grades, []) as vote_grades," if with_texts else ""
    return f"""
with answered as materialized (
    select * from responses where pair_id in (select pair_id from judgments)),
standing as materialized ({standing_sql("answered")}),
judged as materialized ({current_judgments_sql("judgments", "standing")}),
placed as materialized (
    select j.*, p.split, p.query_id, p.doc_id, p.source from judged j join pairs p using (pair_id)),
votes as (
    select v.pair_id, count(distinct v.grade) as n_vote_grades{grades}
    from rule_votes v join rule_status r using (rule_id)
    where r.status = 'approved' and v.pair_id in (select pair_id from judged) group by v.pair_id),
answers as (
    select r.pair_id, count(*) as n_answers, count(distinct r.grade) as n_distinct_grades,
           count(*) filter (r.grade is null) as n_without_grade,
           list_sort(list_distinct(list(a.pseudonym))) as reviewers
    from standing r left join current_accounts a using (account) group by r.pair_id),
disputes as ({_DISPUTING.format(standing="standing", judged="judged")}),
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
    select pair_id, arg_max(pass_rate, created_at) as pass_rate from difficulty_scores group by pair_id),
-- the share of train judgments that each rule votes on
rates as (
    with trained as (select pair_id from placed where split = 'train')
    select v.rule_id, count(*) / (select count(*) from trained)::double as rate
    from rule_votes v join trained using (pair_id) group by v.rule_id)
select 'judged' as part, j.judgment_id, j.pair_id, j.grade, j.origin as judgment_origin, j.steps as settled_steps,
       j.split, j.query_id, j.doc_id, j.source, q.text as query,{texts}
       c.candidate_id, c.grade as proposed_grade, c.steps as proposed_steps, c.confidence,
       m.operator, coalesce(v.n_vote_grades, 0) > 1 as has_rule_conflict,{vote_grades}
       coalesce(a.n_answers, 0) as n_answers,
       coalesce(a.n_distinct_grades, 0) = 1 and coalesce(a.n_without_grade, 0) = 0 as is_unanimous,
       coalesce(a.reviewers, []) as reviewers, y.pass_rate, j.run_id as judgment_run_id,
       c.run_id as candidate_run_id, coalesce(x.n_disputing_answers, 0) > 0 as is_disputed,
       coalesce(s.n_unscreened, 0) as n_unscreened,
       coalesce(s.n_candidates, 0) > 0 and s.n_set_aside = s.n_candidates as is_set_aside
from placed j join queries q using (query_id){joins}
left join (select * from candidates where rowid in (select place from proposed where recency = 1)) c
    on c.pair_id = j.pair_id
left join (select pair_id, any_value(operator) as operator from pair_mutations group by pair_id) m
    on m.pair_id = j.pair_id
left join votes v on v.pair_id = j.pair_id left join answers a on a.pair_id = j.pair_id
left join disputes x on x.pair_id = j.pair_id
left join screens s on s.pair_id = j.pair_id left join difficulty y on y.pair_id = j.pair_id
union all by name
select 'held_back' as part, query_id, text as query, split from queries where split <> 'train'
union all by name
select 'rule' as part, r.rule_id, r.text as rule_text, r.condition as rule_condition, r.grade as rule_grade,
       r.status as rule_status, t.rate as rule_rate
from rule_status r left join rates t using (rule_id)
"""


READS = {
    "tier_relation": Read(_relation_sql(with_texts=True), shows_test=True),
    "tier_facts": Read(_relation_sql(with_texts=False), shows_test=True),
}
