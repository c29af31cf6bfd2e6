"""Follow a job: its log as it grows, how far it is, how it ended. Whoever follows may leave, and it goes on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from storage.jobs.line import OPEN, JobLine, JobStatus
from storage.jobs.telling import progress_of
from storage.progress_bar import Bar, progress_bar
from storage.rows import JobRow

if TYPE_CHECKING:
    from storage.session import Session

LOOK_SECONDS = 0.3
START_SECONDS = 10.0
N_LOG_LINES = 12  # told of a job that did not finish
INTERRUPTED = 130  # as a shell says of Ctrl+C


class GrowingLog:
    """A log that is read as it is written, whole line by whole line."""

    def __init__(self, path: Path, *, place: int) -> None:
        self._path = path
        self._place = place

    def new_lines(self, *, is_over: bool) -> list[str]:
        """Return the lines since the last call; the last one also without its end, once nobody writes any more."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                added = file.read()
        except OSError:
            return []
        whole = len(added) if is_over else added.rfind(b"\n") + 1
        self._place += whole
        return added[:whole].decode("utf-8", errors="replace").splitlines()


def follow(
    session: Session,
    job_id: str,
    *,
    from_start: bool,
    tell: Callable[[str], None],
    show: Bar,
    timeout: float | None = None,
) -> JobRow:
    """Return a job once it has ended, or when `timeout` seconds are over; `tell` hears its log, `show` how far it is.

    from_start: tell also what the log had before. The store is asked anew at each look and never held.
    """
    give_up_at = float("inf") if timeout is None else time.monotonic() + timeout
    start_at = 0.0
    log: GrowingLog | None = None
    while True:
        with session.store() as store:
            line = JobLine(session.workspace, store)
            if time.monotonic() >= start_at:  # a runner takes a second to claim its job: not one at every look
                line.start_waiting()
                start_at = time.monotonic() + START_SECONDS
            row = line.find(job_id)
            progress = progress_of(line, row) or {}
        path = line.folder(job_id).log
        if log is None:
            log = GrowingLog(path, place=0 if from_start or not path.exists() else path.stat().st_size)
        is_over = row.status not in OPEN
        for said in log.new_lines(is_over=is_over):
            tell(said)
        if "done" in progress:
            show(str(progress.get("what") or row.verb), progress["done"], progress.get("total") or 0)
        if is_over or time.monotonic() > give_up_at:
            return row
        time.sleep(LOOK_SECONDS)


def follow_to_the_end(session: Session, job_id: str, *, as_json: bool) -> None:
    """Follow a job that was just asked for, print what it printed, and leave with its exit status.

    Ctrl+C leaves the job running and says how to follow it again.
    """
    print(f"queued as {job_id}", file=sys.stderr, flush=True)
    try:
        with progress_bar() as show:
            row = follow(session, job_id, from_start=True, tell=to_stderr, show=show)
    except KeyboardInterrupt:
        to_stderr(
            f"{job_id} goes on without you. Follow it: afrel jobs wait {job_id} · end it: afrel jobs cancel {job_id}"
        )
        raise typer.Exit(INTERRUPTED) from None
    with session.store() as store:
        folder = JobLine(session.workspace, store).folder(job_id)
    printed = folder.last_result(1 << 20)
    status = exit_status_of(row)
    if as_json:
        told = {"job_id": job_id, "status": row.status, "exit_status": status, "run_id": row.run_id}
        told |= {"result": _last_json(printed)}
        print(json.dumps(told if status == 0 else told | {"log": folder.last_lines(N_LOG_LINES)}, ensure_ascii=False))
    else:
        print("\n".join(printed), end="\n" if printed else "")
    if status:
        to_stderr(f"{job_id} is {row.status}. See why: afrel jobs show {job_id} · go on: afrel jobs resume {job_id}")
        raise typer.Exit(status)


def exit_status_of(job: JobRow) -> int:
    """Return the status to leave with for a job that is over: its own, 128 and the signal's number, else 1."""
    if job.status == JobStatus.FINISHED:
        return 0
    if not job.exit_status:
        return 1  # cancelled while it waited, or lost: nobody saw it end
    return job.exit_status if job.exit_status > 0 else 128 - job.exit_status


def to_stderr(said: str) -> None:
    """Say a line to whoever watches."""
    print(said, file=sys.stderr, flush=True)


def _last_json(lines: list[str]) -> object:
    """Return what the last line says as JSON, None when it is none."""
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
