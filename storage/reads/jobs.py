"""Named reads about jobs."""

from storage.reads.read import Read

READS = {
    "jobs": Read("select * from jobs order by created_at, job_id"),
    "job": Read("select * from jobs where job_id = $job_id"),
    # In the order in which they were asked for, which is the order in which they start.
    "open_jobs": Read("select * from jobs where status in ('queued', 'running') order by created_at, job_id"),
}
