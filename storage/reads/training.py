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
    "snapshot_revocations": Read("select tier from revocations where snapshot_id = $snapshot_id"),
}
