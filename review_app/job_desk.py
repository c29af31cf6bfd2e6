"""What is seen of jobs and done with them, free of any page: the line, one job's log, cancel, resume.

Looking starts what waits and may run, as `afrel jobs` does. Who may cancel or resume a job is who may ask for its verb,
and only they read what it printed: a measuring prints figures of test rows.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from review_app.long_work import WORK, Work
from review_app.run_desk import require_look
from storage.jobs.line import OPEN, JobLine, JobStatus
from storage.jobs.runner import cancel
from storage.jobs.telling import in_full, in_short
from storage.jobs.verbs import find_verb
from storage.people.accounts import Pin, may, require
from storage.progress import Watch
from storage.rows import JobRow
from storage.store import Store
from storage.workspace import Workspace

LINES_SHOWN = 30
REFUSED = "afrel: "  # how a line begins that says what is wrong and what to do now
RESUMABLE = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.LOST)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with what may be told of it. `may_act`: the person may cancel and resume it, and read what it said.

    why: what it refused with, to who may read that, else how it ended. progress: of its run where it trains, else of
    itself. log, result: the ends of what it said.
    """

    job: JobRow
    command: str
    why: str | None
    progress: Mapping[str, Any]
    log: tuple[str, ...]
    result: tuple[str, ...]
    may_act: bool

    @property
    def is_open(self) -> bool:
        return self.job.status in OPEN

    @property
    def is_resumable(self) -> bool:
        return self.job.status in RESUMABLE


def see_jobs(person: Pin, workspace: Workspace, store: Store, *, starts: bool) -> list[JobRow]:
    """Return all jobs, the latest asked for first; those that wait and may run are started first when `starts`."""
    require_look(person)
    line = JobLine(workspace, store)
    if starts:
        line.start_waiting()
    return list(reversed(line.all()))


def command_of(job: JobRow) -> str:
    """Return what a job runs, as it would be typed behind `afrel`."""
    return str(in_short(job)["command"])


def see_job(person: Pin, workspace: Workspace, store: Store, job_id: str) -> JobView:
    """Return one job with its progress and the end of its log; UserError when there is none."""
    require_look(person)
    line = JobLine(workspace, store)
    job = line.find(job_id)
    told = in_full(line, job, n_lines=LINES_SHOWN)
    may_act = may_act_on(person, job)
    why = told["why"]
    if may_act and job.status == JobStatus.FAILED:
        why = _refusal(told["log"]) or why
    return JobView(
        job,
        told["command"],
        why,
        told["progress"] or {},
        tuple(told["log"]) if may_act else (),
        tuple(told["result"]) if may_act else (),
        may_act,
    )


def _refusal(log: Sequence[str]) -> str | None:
    """Return what a verb refused with, its last line; None where it ended otherwise."""
    last = log[-1] if log else ""
    return last.removeprefix(REFUSED).rstrip(". ") if last.startswith(REFUSED) else None


def may_act_on(person: Pin, job: JobRow) -> bool:
    """Say whether a person may cancel or resume a job."""
    act = find_verb(job.verb).act
    return act is None or may(person.role, act)


def begin_cancel(person: Pin, workspace: Workspace, store: Store, job_id: str) -> Work:
    """Cancel a job: out of the line, or asked to end and ended after ten seconds. What it kept stays."""
    _require(person, JobLine(workspace, store).find(job_id))

    def do(_watch: Watch, _stop: threading.Event) -> str:
        return cancel(JobLine(workspace, store), job_id)

    return WORK.begin(("cancel", workspace.root, job_id), person.account, do)


def cancel_work(workspace: Workspace, job_id: str) -> Work | None:
    """Return the cancelling of a job that is under way, or the last one."""
    return WORK.find(("cancel", workspace.root, job_id))


def resume(person: Pin, workspace: Workspace, store: Store, job_id: str) -> bool:
    """Put a job that did not finish back in the line, and start what may run; False when there is nothing to resume."""
    line = JobLine(workspace, store)
    _require(person, line.find(job_id))
    WORK.put_away(("cancel", workspace.root, job_id))
    is_resumed = line.resume(job_id)
    line.start_waiting()
    return is_resumed


def _require(person: Pin, job: JobRow) -> None:
    require_look(person)
    if (act := find_verb(job.verb).act) is not None:
        require(person, act)
