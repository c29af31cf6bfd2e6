"""A job's runner: takes the first job that may run, runs it, notes how it ended, starts the next, leaves.

    python -m storage.jobs.runner WORKSPACE

It leads a session, in which the job's processes stay: so they are found and ended even when it is dead. The store is
left alone while the job runs; nothing but the job's own exit is waited for.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.clock import now
from storage.jobs.current import JOB_VARIABLE
from storage.jobs.job_command import JobCommand
from storage.jobs.line import Claimed, JobLine, with_code
from storage.liveness import own_process, session_members
from storage.store import Store
from storage.workspace import Workspace

GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL
LOOK_SECONDS = 0.5  # how often the runner looks for word that the job is to end


def run_one(workspace: Workspace) -> bool:
    """Run one job to its end; False when none may run."""
    with Store.connect(workspace) as store:
        claimed = JobLine(workspace, store).claim()
    if claimed is None:
        return False
    exit_status = _run(claimed, workspace.root)
    with Store.connect(workspace) as store:
        line = JobLine(workspace, store)
        line.end(claimed, exit_status)
        line.start_waiting()
    return True


def _run(claimed: Claimed, root: Path) -> int:
    """Run a job's command; return its exit status, a signal as its negative number."""
    folder = claimed.folder
    command = JobCommand.from_fields(claimed.job.verb, claimed.job.fields)
    where = Path(command.folder) if command.folder and Path(command.folder).is_dir() else root
    with folder.log.open("ab") as log, folder.result.open("ab") as result:
        log.write(f"-- {claimed.job.job_id} · afrel {command.told()} · {now():%Y-%m-%d %H:%M:%S}\n".encode())
        log.flush()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "afrel", *command.arguments(root, config=folder.config)],
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=log,
            pass_fds=(claimed.lock,),
            env={**with_code(), JOB_VARIABLE: str(folder.path)},
        )
    with _end_of(child) as ended:
        while not select.select([ended], [], [], LOOK_SECONDS)[0]:
            if folder.is_asked_to_cancel():
                end_session(own_process())
                break
    exit_status = child.wait()
    end_session(own_process(), grace=0)  # what the job left behind would hold on to the machine unseen
    return exit_status


@contextmanager
def _end_of(child: subprocess.Popen[bytes]) -> Iterator[int]:
    """Give a descriptor that becomes readable when a child ends."""
    descriptor = os.pidfd_open(child.pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def end_session(leader: str, *, grace: float = GRACE_SECONDS) -> None:
    """End what lives in a runner's session but the runner: asked first, after `grace` seconds no more asked."""
    give_up_at = time.monotonic() + grace
    _send(session_members(leader) if grace else [], signal.SIGTERM)
    while time.monotonic() < give_up_at:
        if not session_members(leader):
            return
        time.sleep(0.05)
    _send(session_members(leader), signal.SIGKILL)


def _send(process_ids: Sequence[int], what: signal.Signals) -> None:
    for process_id in process_ids:
        with suppress(ProcessLookupError):
            os.kill(process_id, what)


def cancel(line: JobLine, job_id: str, *, patience: float = GRACE_SECONDS + 10) -> str:
    """Cancel a job and wait until it is over; return the state it ended in."""
    job = line.ask_to_cancel(job_id)
    give_up_at = time.monotonic() + patience
    while job.status == "running" and time.monotonic() < give_up_at:
        if job.process is not None and not line.is_attended(job):  # its runner may die at any moment, also of this call
            end_session(job.process)
            line.note_cancelled(job_id)
        time.sleep(0.1)
        job = line.find(job_id)
    line.start_waiting()
    return job.status


def main() -> int:
    """Run one job of the workspace named; 0 also when there was none."""
    run_one(Workspace.open(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
