"""Named reads of the trainers: what was proposed without a model, and what was measured before."""

from storage.reads.read import Read

READS = {
    # The model-free labeller's last word on each pair: the baseline a model must beat. Its grades are guesses from the
    # texts, but for test pairs they are kept to evaluation all the same.
    "lexical_grades": Read(
        """
        select c.pair_id, arg_max(c.grade, (c.created_at, c.candidate_id)) as grade
        from candidates c where c.proposer = 'lexical' group by c.pair_id
        """,
        shows_test=True,
    ),
    "evaluations": Read(
        """
        select train_run_id, snapshot_id, split, model, metric, value, low, high, n, run_id, created_at
        from evaluations
        where train_run_id = $train_run_id and snapshot_id = $snapshot_id and split = $split
        order by created_at, model, evaluation_id
        """,
        shows_test=True,
    ),
    # Every figure of a run, of whatever snapshot and split, with what measured it: the latest of each comes last.
    "evaluations_of": Read(
        """
        select e.snapshot_id, e.split, e.model, e.metric, e.value, e.low, e.high, e.n, e.run_id, e.created_at, r.verb,
               json_extract_string(r.counts, '$.hardware') as hardware
        from evaluations e join runs r using (run_id)
        where e.train_run_id = $train_run_id
        order by e.created_at, e.run_id, e.model, e.evaluation_id
        """,
        shows_test=True,
    ),
    # How many of a pair's samples were right, of all runs of one rollout: one that was killed and those that went on.
    "rollout_counts": Read(
        """
        select o.pair_id, any_value(p.query_id) as query_id, count(*) as n,
               count(*) filter (o.is_right) as n_right, count(*) filter (o.grade is null) as n_unparsed
        from rollouts o join runs r using (run_id) join pairs p using (pair_id)
        where r.verb = 'rollout' and r.input_digest = $input_digest and p.split <> 'test'
        group by o.pair_id order by o.pair_id
        """
    ),
    # Which of some pairs there are: rollouts on pairs of another workspace would be read by nobody.
    "known_pairs": Read("select pair_id from pairs where list_contains($pair_ids, pair_id)"),
    # A trained model's own answers on train pairs: what preferences are made of.
    "train_rollouts": Read(
        """
        select o.pair_id, o.completion from rollouts o join pairs p using (pair_id)
        where o.train_run_id = $train_run_id and p.split = 'train'
        order by o.pair_id, o.created_at, o.rollout_id
        """
    ),
    # What served models answered train pairs: a stronger model's answer where a trained one has none that is right.
    "served_rollouts": Read(
        """
        select o.pair_id, o.completion from rollouts o join pairs p using (pair_id)
        where o.proposer is not null and p.split = 'train'
        order by o.pair_id, o.created_at, o.rollout_id
        """
    ),
    # The last measure of each run on dev, of whatever snapshot.
    "dev_measures": Read(
        """
        select train_run_id, metric, arg_max(value, created_at) as value, arg_max(n, created_at) as n
        from evaluations where split = 'dev' and model = 'run' group by train_run_id, metric
        """
    ),
    # The rules that finished runs of `train` forgot on dev while they trained: the last point at which the alarm rang
    # beside the start. Latest run first.
    "forgotten_rules": Read(
        """
        with rang as (
            select run_id, rule_id, max(step) as step from rule_recalls
            where is_forgotten and split = 'dev' group by run_id, rule_id)
        select r.run_id as train_run_id, f.rule_id, u.text, f.step, f.n, s.recall as recall_before,
               f.recall as recall_after, r.finished_at
        from rang
        join rule_recalls f on f.run_id = rang.run_id and f.rule_id = rang.rule_id and f.step = rang.step
        join rule_recalls s on s.run_id = rang.run_id and s.rule_id = rang.rule_id and s.step = 0
        join runs r on r.run_id = rang.run_id
        left join rules u on u.rule_id = rang.rule_id
        where r.verb = 'train' and r.status = 'finished'
        order by r.finished_at desc, r.run_id, f.recall - s.recall, f.rule_id
        """
    ),
    # The rules that any finished run forgot on dev of those on the snapshot that was last trained from with a watch.
    "last_forgotten": Read(
        """
        with watched as (
            select r.run_id, r.finished_at, json_extract_string(r.config, '$.snapshot_id') as snapshot_id
            from runs r
            where r.verb = 'train' and r.status = 'finished'
              and exists (select 1 from rule_recalls f where f.run_id = r.run_id and f.step is not null))
        select distinct f.rule_id
        from rule_recalls f join watched w using (run_id)
        where f.is_forgotten and f.split = 'dev'
          and w.snapshot_id = (select arg_max(snapshot_id, (finished_at, run_id)) from watched)
        order by f.rule_id
        """
    ),
    # What a run graded pairs, by the snapshot whose prompts it was asked with.
    "predictions_of": Read(
        """
        select p.pair_id, p.grade, p.probabilities, json_extract_string(r.config, '$.snapshot') as snapshot_id,
               p.created_at
        from predictions p join runs r using (run_id)
        where p.train_run_id = $train_run_id and r.verb = 'evaluate'
          and json_extract_string(r.config, '$.split') = $split
        order by p.pair_id, p.created_at
        """,
        shows_test=True,
    ),
    "snapshot_revocations": Read("select tier from revocations where snapshot_id = $snapshot_id"),
}
