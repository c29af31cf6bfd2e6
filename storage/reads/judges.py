"""Named reads of judges and of served models' rollouts. Settled grades come through of train pairs only."""

from storage.reads.read import Read

_SETTLED = """
    select j.pair_id, j.grade, j.steps from current_judgments j join pairs p using (pair_id) where p.split = 'train'
"""
_OF_SETTING = """
    rollouts o join runs r using (run_id)
    where o.proposer = $proposer and json_extract_string(r.config, '$.setting') = $setting and o.sample < $n
"""

READS = {
    # Pairs with fewer than n rollouts of a proposer under a setting, those judged first; test pairs have none.
    "unsampled_pairs": Read(
        f"""
        with held as (select o.pair_id, list(o.sample) as samples from {_OF_SETTING} group by o.pair_id),
        settled as ({_SETTLED})
        select p.pair_id, q.text as query, d.title, d.body, d.fields, s.grade as settled_grade,
               coalesce(h.samples, []::integer[]) as samples
        from pairs p join queries q using (query_id) join docs d using (doc_id)
        left join settled s using (pair_id) left join held h using (pair_id)
        where p.split <> 'test' and coalesce(len(h.samples), 0) < $n
          and exists (select 1 from pair_features f where f.pair_id = p.pair_id)
          and (p.origin <> 'mutation' or exists (
                select 1 from pair_mutations m join mutation_checks k using (pair_mutation_id)
                where m.pair_id = p.pair_id and k.is_confirmed))
        order by s.grade is null, p.pair_id
        """
    ),
    # The grades a proposer gave each pair under a setting, beside the settled one where there is one.
    "rollout_tallies": Read(
        f"""
        with tallied as (select o.pair_id, list(o.grade order by o.sample) as grades from {_OF_SETTING} group by 1),
        settled as ({_SETTLED})
        select t.pair_id, t.grades, s.grade as settled_grade
        from tallied t left join settled s using (pair_id)
        order by t.pair_id
        """
    ),
    "difficulty_of_setting": Read(
        """
        select s.pair_id, arg_max(s.pass_rate, (s.created_at, s.difficulty_score_id)) as pass_rate,
               arg_max(s.n, (s.created_at, s.difficulty_score_id)) as n
        from difficulty_scores s join runs r using (run_id)
        where s.proposer = $proposer and json_extract_string(r.config, '$.setting') = $setting
        group by s.pair_id
        """
    ),
    "judge_standing": Read("select judge, run_id, is_passed, failed, created_at from judge_standing order by judge"),
    "judge_card": Read(
        "select c.bias, c.value, c.low, c.high, c.n, c.bound, c.is_passed "
        "from judge_cards c join judge_standing s using (judge, run_id) where judge = $judge order by c.bias"
    ),
    # Rationales on train pairs and what there is to hold them against: an expert's word, or approved rules that vote.
    "rationales_to_judge": Read(
        f"""
        with settled as ({_SETTLED}),
        voting as (
            select v.pair_id,
                   list({{rule_id: r.rule_id, text: r.text, grade: r.grade}} order by r.rule_id) as rules
            from rule_votes v join rule_status r using (rule_id)
            where r.status = 'approved' group by v.pair_id)
        select c.candidate_id, c.pair_id, c.grade, c.steps, q.text as query, d.title, d.body, d.fields,
               s.grade as settled_grade, s.steps as settled_steps, v.rules
        from pair_candidates c
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        left join settled s using (pair_id) left join voting v using (pair_id)
        where p.split = 'train' and c.steps <> '[]' and (s.grade is not null or v.rules is not null)
          and c.steps is distinct from s.steps
        order by c.pair_id
        """
    ),
    "judged_rationales": Read(
        "select distinct candidate_id, reference_digest from step_verdicts where verifier = $judge"
    ),
    "n_step_verdicts": Read("select count(*) as n from step_verdicts"),
    # Rationales with a step some judge found wrong, whose grade nobody overruled and this critic has not seen.
    "weak_rationales": Read(
        f"""
        with settled as ({_SETTLED}),
        latest as (
            select candidate_id, step, arg_max(verdict, (created_at, step_verdict_id)) as verdict,
                   arg_max(explanation, (created_at, step_verdict_id)) as explanation
            from step_verdicts where reference is distinct from 'audit' group by candidate_id, step, verifier),
        weak as (
            select candidate_id,
                   list({{step: step, explanation: explanation}} order by step, explanation) as wrong_steps
            from latest where verdict < 0 group by candidate_id)
        select c.candidate_id, c.pair_id, c.grade, c.steps, q.text as query, d.title, d.body, d.fields, w.wrong_steps
        from pair_candidates c join weak w using (candidate_id)
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        left join settled s using (pair_id)
        where p.split = 'train' and (s.grade is null or s.grade = c.grade)
          and exists (select 1 from pair_features f where f.pair_id = c.pair_id)
          and not exists (
                select 1 from step_verdicts a where a.candidate_id = c.candidate_id and a.verifier = $critic)
        order by c.pair_id
        """
    ),
}
