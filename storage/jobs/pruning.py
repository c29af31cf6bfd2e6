"""Remove the folders of jobs that ended long ago: logs and configurations of which nobody will ask again.

Rows stay, so that what ran and how it ended is still told. A job that could be resumed loses what it was to do, so the
age is told from its end; what waits, runs or is held by a process is never touched.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage.clock import now
from storage.jobs.folder import JobFolder
from storage.jobs.line import OPEN, JobLine
from storage.locks import exclusive
from storage.rows import JobRow


@dataclass(frozen=True, slots=True)
class OldFolder:
    """A folder that may go. status: of its job; None for one that no row names, of a job that was never asked for."""

    job_id: str
    status: str | None
    ended_at: datetime
    n_bytes: int
    path: Path


def old_folders(line: JobLine, *, days: float) -> list[OldFolder]:
    """Return the folders of jobs that ended more than so many days ago, the oldest first."""
    before = now() - timedelta(days=days)
    jobs = {job.job_id: job for job in line.all()}
    found = []
    for path in (line.root / "jobs").glob("job_*"):
        if not path.is_dir() or path.is_symlink() or JobFolder(path).is_held():
            continue
        ended_at = _ended_at(jobs.get(path.name), path)
        if ended_at is not None and ended_at < before:
            status = jobs[path.name].status if path.name in jobs else None
            found.append(OldFolder(path.name, status, ended_at, _size(path), path))
    return sorted(found, key=lambda one: (one.ended_at, one.job_id))


def prune(line: JobLine, *, days: float, is_dry: bool) -> list[OldFolder]:
    """Remove such folders and return them; `is_dry` only finds them. No job is resumed meanwhile."""
    with exclusive(line.root / "jobs" / "lock"):
        found = old_folders(line, days=days)
        for one in [] if is_dry else found:
            shutil.rmtree(one.path)
    return found


def _ended_at(job: JobRow | None, path: Path) -> datetime | None:
    """Return when a job ended, None for one that has not. Of a folder without a row, when it was last written to."""
    if job is None:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
    return None if job.status in OPEN else (job.finished_at or job.created_at)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
