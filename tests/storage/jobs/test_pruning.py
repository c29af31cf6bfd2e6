"""Old folders of ended jobs go, their rows stay; what waits or lives is never touched."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from storage.clock import now
from storage.errors import UserError
from storage.jobs.line import JobLine
from storage.jobs.pruning import prune
from tests.storage.jobs.conftest import STATUS


def ended(line: JobLine, *, days_ago: float) -> str:
    job_id = line.queue(STATUS, account=None).job_id
    claimed = line.claim()
    assert claimed is not None and claimed.job.job_id == job_id
    line.end(claimed, 0)
    line._store.update_job(job_id, finished_at=str(now() - timedelta(days=days_ago)))
    return job_id


def test_folders_of_jobs_that_ended_long_ago_go_and_rows_stay(line: JobLine) -> None:
    old, older, new = (ended(line, days_ago=days) for days in (31, 40, 29))
    line.folder(old).log.write_text("x" * 100)
    assert [one.job_id for one in prune(line, days=30, is_dry=True)] == [older, old]
    assert line.folder(old).path.is_dir()
    assert [(one.job_id, one.status) for one in prune(line, days=30, is_dry=False)] == [
        (older, "finished"), (old, "finished"),
    ]  # fmt: skip
    assert not line.folder(old).path.exists() and line.folder(new).path.is_dir()
    assert {job.job_id: job.status for job in line.all()} == dict.fromkeys((old, older, new), "finished")
    assert prune(line, days=30, is_dry=False) == []


def test_what_waits_or_runs_keeps_its_folder_however_old(line: JobLine) -> None:
    running = line.queue(STATUS, account=None).job_id
    claimed = line.claim()
    assert claimed is not None
    waiting = line.queue(STATUS, account=None).job_id
    for job_id in (running, waiting):
        os.utime(line.folder(job_id).path, (0, 0))
    assert prune(line, days=0, is_dry=False) == []
    os.close(claimed.lock)


def test_a_folder_of_a_job_that_was_never_asked_for_goes_by_its_age(line: JobLine) -> None:
    for name in ("job_old", "job_new", "kept"):
        (line.root / "jobs" / name).mkdir()
    for name in ("job_old", "kept"):
        os.utime(line.root / "jobs" / name, (0, 0))
    assert [(one.job_id, one.status) for one in prune(line, days=1, is_dry=False)] == [("job_old", None)]
    assert (line.root / "jobs" / "job_new").is_dir() and (line.root / "jobs" / "kept").is_dir()


def test_a_pruned_job_cannot_be_resumed_and_says_why(line: JobLine) -> None:
    job_id = line.queue(STATUS, account=None).job_id
    claimed = line.claim()
    assert claimed is not None
    line.end(claimed, 1)
    line._store.update_job(job_id, finished_at=str(now() - timedelta(days=99)))
    assert len(prune(line, days=30, is_dry=False)) == 1
    with pytest.raises(UserError, match=r"is gone, and with it what job_\w+ was to do"):
        line.resume(job_id)
