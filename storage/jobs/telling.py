"""What is told of a job: a line in the list, all of it, and why it ended where it did not finish."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from storage.clock import now
from storage.jobs.folder import read_progress
from storage.jobs.job_command import JobCommand
from storage.jobs.line import OPEN, JobLine, JobStatus
from storage.liveness import booted_at
from storage.rows import JobRow

_GO_ON = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.LOST)


def in_short(job: JobRow) -> dict[str, Any]:
    """Return what a list says of a job."""
    told = job.to_mapping()
    told["command"] = JobCommand.from_fields(job.verb, told.pop("fields")).told()
    told.pop("process")
    return told


def in_line(job: JobRow) -> str:
    """Return a job as one line of a list."""
    parts = [f"{job.job_id:<21}", f"{job.status:<9}", f"{job.created_at:%Y-%m-%d %H:%M}"]
    told = [
        in_short(job)["command"],
        *([job.run_id] if job.run_id else []),
        *([f"exit {job.exit_status}"] * _failed(job)),
    ]
    return "  ".join([*parts, " · ".join(told)])


def in_full(line: JobLine, job: JobRow, *, n_lines: int) -> dict[str, Any]:
    """Return all there is to say of a job: its row, why it ended, its progress, the ends of its log and its result."""
    folder = line.folder(job.job_id)
    return {
        **in_short(job),
        "why": why(job),
        "progress": progress_of(line, job),
        "folder": str(folder.path),
        "log": folder.last_lines(n_lines),
        "result": folder.last_result(n_lines) if job.status not in OPEN else [],
    }


def progress_of(line: JobLine, job: JobRow) -> dict[str, Any] | None:
    """Return how far a job says it is, None before it says anything."""
    progress = read_progress(line.folder(job.job_id).progress)
    if job.run_id:  # a trainer writes how far it is beside its run
        progress = read_progress(line.root / "runs" / job.run_id / "progress.json") or progress
    return progress


def why(job: JobRow) -> str | None:
    """Return why a job is not finished; None for one that is, or that waits or runs."""
    if job.status == JobStatus.LOST:
        booted = booted_at()
        if booted is not None and job.started_at is not None and job.started_at < booted:
            return "the machine was started anew while it ran"
        return "its runner was killed, or its folder is gone: how it ended was not seen"
    if not _failed(job) or job.exit_status is None:
        return None
    if job.exit_status >= 0:
        return f"exit status {job.exit_status}"
    try:
        name = signal.Signals(-job.exit_status).name
    except ValueError:
        name = "unknown"
    hint = "; often the machine had no memory left" if job.exit_status == -signal.SIGKILL else ""
    return f"killed by signal {-job.exit_status} ({name}){hint}"


def in_words(job: JobRow, told: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show a job to a person."""
    reason = f": {told['why']}" if told["why"] else ""
    yield f"{job.job_id} · {job.status}{reason}"
    yield f"afrel {told['command']}"
    by = f" by {job.account}" if job.account else ""
    times = [f"asked for{by} {job.created_at:%Y-%m-%d %H:%M:%S}"]
    times += [f"started {job.started_at:%Y-%m-%d %H:%M:%S}"] if job.started_at else []
    times += [f"ended {job.finished_at:%Y-%m-%d %H:%M:%S}"] if job.finished_at else []
    if job.started_at:
        times.append(f"{((job.finished_at or now()) - job.started_at).total_seconds():.0f} s")
    yield " · ".join(times)
    if job.run_id:
        yield f"run {job.run_id}"
    if told["progress"]:
        yield "progress: " + ", ".join(
            f"{name} {value}" for name, value in told["progress"].items() if value is not None
        )
    yield from _quoted("log", told["log"])
    yield from _quoted("result", told["result"])
    yield f"all of it: {told['folder']}"
    if job.status in _GO_ON:
        yield f"next: afrel jobs resume {job.job_id}"


def _quoted(what: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{what}:"
        yield from (f"  {line}" for line in lines)


def _failed(job: JobRow) -> bool:
    return job.status == JobStatus.FAILED
