"""Named reads of the verbs that keep a workspace whole."""

from storage.reads.read import Read

READS = {
    # Those whose process may be gone; `select *` because what names the process came later than the others.
    "running_runs": Read("select * from runs where status = 'running' order by started_at, run_id"),
}
