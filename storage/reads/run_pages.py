"""Named reads of the page Runs: what was measured of each trained model, on which rows."""

from storage.reads.read import Read

READS = {
    # The last measure of each run on each snapshot and split: the figures that lists show. Of test rows only the sums.
    "run_measures": Read(
        """
        with last as (
            select train_run_id, snapshot_id, split, metric, max(created_at) as measured_at,
                   arg_max({'value': value, 'low': low, 'high': high, 'n': n}, (created_at, evaluation_id)) as told
            from evaluations
            where model = 'run' and metric in ('accuracy', 'macro_f1')
            group by train_run_id, snapshot_id, split, metric)
        select train_run_id, snapshot_id, split, metric, told.value, told.low, told.high, told.n, measured_at
        from last
        order by train_run_id, split, measured_at, metric
        """,
        shows_test=True,
    ),
}
