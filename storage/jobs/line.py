"""The line of jobs: asked for, started in order, ended. Rows say what state each is in, locks say which are alive.

Every change of a state is made under one lock file of the workspace, so no job is ever started twice, whoever starts
jobs at once. Only a runner starts a job, in its own process, and it takes the first that may run: whoever wants jobs to
start starts runners, and one that finds nothing to do leaves.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from storage.clock import now
from storage.errors import UserError
from storage.jobs.folder import JobFolder
from storage.jobs.job_command import JobCommand
from storage.jobs.verbs import Lane, find_verb, read_limits
from storage.liveness import is_alive, own_process
from storage.locks import exclusive
from storage.process.client import path_with_code
from storage.rows import JobRow
from storage.store import Store
from storage.workspace import Workspace


class JobStatus(StrEnum):
    """The states of a job. LOST: its runner is gone without a word of how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Queued:
    """What asking for a job came to; not new: the very same was asked for before."""

    job_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is this process's to run; `lock` is the descriptor of its lock."""

    job: JobRow
    folder: JobFolder
    lock: int


class JobLine:
    """The jobs of one workspace."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.root = workspace.root
        self._store = store
        self._limits = read_limits(workspace.config)
        (self.root / "jobs").mkdir(mode=0o700, exist_ok=True)

    def queue(
        self, command: JobCommand, *, account: str | None, config: str | None = None, job_id: str | None = None
    ) -> Queued:
        """Put a command in the line, with the text of its configuration; a `job_id` that is there is left as it is."""
        find_verb(command.verb)
        job_id = job_id or f"job_{secrets.token_hex(5)}"
        if self._read("job", job_id=job_id):
            return Queued(job_id, is_new=False)
        self.folder(job_id).make(config)
        row = JobRow(
            job_id=job_id,
            verb=command.verb,
            fields=command.to_fields(),
            status=JobStatus.QUEUED.value,
            account=account,
            created_at=now(),
        )
        return Queued(job_id, is_new=bool(self._store.append({"jobs": [row]})["jobs"]))

    def folder(self, job_id: str) -> JobFolder:
        """Return a job's folder."""
        return JobFolder.of(self.root, job_id)

    def find(self, job_id: str) -> JobRow:
        """Return a job as it stands; UserError when there is none."""
        rows = self._read("job", job_id=job_id)
        if not rows:
            raise UserError(f"there is no job {job_id!r} in {self.root}. See which there are: afrel jobs")
        return rows[0]

    def all(self) -> list[JobRow]:
        """Return every job, the first asked for first."""
        return self._read("jobs")

    def claim(self) -> Claimed | None:
        """Take the first job that may run, for this process; None when none may."""
        with self._locked():
            for job in self._may_start():
                folder = self.folder(job.job_id)
                if not folder.path.is_dir():  # a backup put back has rows without folders
                    self._set(job, JobStatus.LOST, finished_at=str(now()))
                    continue
                lock = folder.hold()
                self._set(job, JobStatus.RUNNING, process=own_process(), started_at=str(now()))
                return Claimed(job, folder, lock)
        return None

    def end(self, claimed: Claimed, exit_status: int) -> JobStatus:
        """Note how a job ended."""
        with self._locked():
            status = JobStatus.FINISHED if exit_status == 0 else JobStatus.FAILED
            if exit_status and claimed.folder.is_asked_to_cancel():
                status = JobStatus.CANCELLED
            self._set(claimed.job, status, exit_status=exit_status, finished_at=str(now()))
        os.close(claimed.lock)
        return status

    def start_waiting(self) -> int:
        """Start a runner for every job that may run now; return how many. Those whose runner is gone become lost."""
        with self._locked():
            self._settle()
            n = len(self._may_start())
        for _ in range(n):
            start_runner(self.root)
        return n

    def resume(self, job_id: str) -> bool:
        """Put a job that failed, was cancelled or lost back in the line; False when there is nothing to resume."""
        with self._locked():
            self._settle()
            job = self.find(job_id)
            if job.status in (*OPEN, JobStatus.FINISHED):
                return False
            folder = self.folder(job_id)
            if not folder.path.is_dir():
                raise UserError(
                    f"{folder.path} is gone, and with it what {job_id} was to do. Ask for it anew: afrel jobs start …"
                )
            folder.forget_cancel()
            cleared = dict.fromkeys(("process", "exit_status", "started_at", "finished_at"))
            self._set(job, JobStatus.QUEUED, **cleared)
        return True

    def ask_to_cancel(self, job_id: str) -> JobRow:
        """Cancel a job that waits, or leave word for the runner of one that runs; return it as it stands then.

        One that was known to be lost is let go of; that a running one is lost is told first.
        """
        with self._locked():
            was_lost = self.find(job_id).status == JobStatus.LOST
            self._settle()
            job = self.find(job_id)
            if job.status == JobStatus.RUNNING:
                self.folder(job_id).ask_to_cancel()
            elif job.status == JobStatus.QUEUED:
                self._set(job, JobStatus.CANCELLED, finished_at=str(now()))
            elif was_lost:
                self._set(job, JobStatus.CANCELLED)
            return self.find(job_id)

    def note_cancelled(self, job_id: str) -> None:
        """Note that a job is cancelled whose runner was gone and whose process is gone now."""
        with self._locked():
            job = self.find(job_id)
            if job.status == JobStatus.RUNNING and not self._is_alive(job):
                self._set(job, JobStatus.CANCELLED, finished_at=str(now()))

    def is_attended(self, job: JobRow) -> bool:
        """Say whether the runner of a job lives; its process may outlive it."""
        return job.process is not None and is_alive(job.process) is not False

    def _locked(self) -> Any:
        return exclusive(self.root / "jobs" / "lock")

    def _read(self, name: str, **params: str) -> list[JobRow]:
        return [JobRow(**row) for row in self._store.read(name, **params).to_pylist()]

    def _set(self, job: JobRow, status: JobStatus, **values: Any) -> None:
        self._store.update_job(job.job_id, status=status.value, **values)

    def _may_start(self) -> list[JobRow]:
        """Return the jobs that wait and may run now, in order."""
        open_jobs = self._read("open_jobs")
        free = dict(self._limits)
        for job in open_jobs:
            if job.status == JobStatus.RUNNING and self._is_alive(job):
                free[_lane(job)] -= 1
        chosen = []
        for job in open_jobs:
            if job.status == JobStatus.QUEUED and free[_lane(job)] > 0:
                free[_lane(job)] -= 1
                chosen.append(job)
        return chosen

    def _settle(self) -> None:
        for job in self._read("open_jobs"):
            if job.status == JobStatus.RUNNING and not self._is_alive(job):
                self._set(job, JobStatus.LOST, finished_at=str(now()))

    def _is_alive(self, job: JobRow) -> bool:
        """Say whether anything of a running job lives; one on another host is taken to, for nobody here can tell."""
        folder = self.folder(job.job_id)
        if not folder.path.is_dir() or job.process is None:
            return False
        return folder.is_held() or is_alive(job.process) is None


def _lane(job: JobRow) -> Lane:
    return find_verb(job.verb).lane


def start_runner(root: Path) -> None:
    """Start a runner, in a session of its own: it lives on when whoever started it dies. Its environment is ours."""
    with (root / "jobs" / "runner.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "storage.jobs.runner", str(root)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=with_code(),
        )


def with_code() -> dict[str, str]:
    """Return this environment, with this code where Python looks first."""
    return {**os.environ, "PYTHONPATH": path_with_code()}
