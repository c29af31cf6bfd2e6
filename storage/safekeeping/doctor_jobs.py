"""Jobs that were lost: their runner or the machine went down, and nobody has said what is to become of them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from storage.jobs.folder import JobFolder
from storage.liveness import is_alive
from storage.safekeeping.finding import Finding, Severity

MEND = "go on with it: afrel jobs resume JOB, or let go of it: afrel jobs cancel JOB"


def lost_jobs(connection: duckdb.DuckDBPyConnection, root: Path) -> list[Finding]:
    """Find jobs that are noted as lost, or said to run although nothing of them lives."""
    rows = connection.execute(
        "select job_id, status, process from jobs where status in ('lost', 'running') order by created_at"
    ).fetchall()
    lost = [job_id for job_id, status, process in rows if status == "lost" or _is_dead(root, job_id, process)]
    if not lost:
        return []
    what = "jobs that were lost: their runner or the machine went down while they ran"
    return [Finding(Severity.LEFT_OVER, what, len(lost), MEND, lost[0])]


def _is_dead(root: Path, job_id: str, process: str | None) -> bool:
    """Say whether nothing of a running job lives; of one on another host nobody can tell."""
    folder = JobFolder.of(root, job_id)
    if not folder.path.is_dir() or process is None:
        return True
    return not folder.is_held() and is_alive(process) is not None
