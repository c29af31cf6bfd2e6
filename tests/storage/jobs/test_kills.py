"""Jobs under kill -9: whatever dies, no job is started twice, none hangs, and how it ended is told.

Real runners, real `afrel status` processes, a real store process. A job is held still by SIGSTOP, so that there is time
to kill something.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.jobs.line import OPEN, JobLine
from storage.jobs.runner import cancel, end_session
from storage.jobs.telling import why
from storage.liveness import own_process, session_members
from storage.rows import JobRow
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process

from .conftest import STATUS

LONG = 60.0  # on a busy machine


@pytest.fixture
def served(workspace: Workspace) -> Iterator[Workspace]:
    yield workspace
    stop_store_process(workspace.root)


@contextmanager
def line_of(workspace: Workspace) -> Iterator[JobLine]:
    with Store.connect(workspace) as store:
        yield JobLine(workspace, store)


def until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def ended(workspace: Workspace, job_id: str) -> JobRow:
    with line_of(workspace) as line:
        until(lambda: line.find(job_id).status not in OPEN)
        return line.find(job_id)


def started_and_held(line: JobLine) -> tuple[str, int, int]:
    """Queue `afrel status`, let it start and hold it still; return its id, its runner and its process."""
    job_id = line.queue(STATUS, account=None).job_id
    assert line.start_waiting() == 1
    until(lambda: line.find(job_id).status == "running")
    leader = line.find(job_id).process
    assert leader is not None
    until(lambda: bool(session_members(leader)))
    (child,) = session_members(leader)
    os.kill(child, signal.SIGSTOP)
    return job_id, int(leader.split("/")[2]), child


def test_a_killed_job_failed_and_says_so(served: Workspace) -> None:
    """The store is killed first: the runner notes the end in another."""
    with line_of(served) as line:
        job_id, _, child = started_and_held(line)
    found = subprocess.run(["pgrep", "-f", f"storage.process.server {served.root}"], capture_output=True, text=True)
    os.kill(int(found.stdout), signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    job = ended(served, job_id)
    assert (job.status, job.exit_status) == ("failed", -9)
    assert "SIGKILL" in str(why(job))


@pytest.mark.slow
def test_a_job_whose_runner_was_killed_runs_on_then_it_is_lost_and_resumed_it_finishes(served: Workspace) -> None:
    with line_of(served) as line:
        job_id, runner, child = started_and_held(line)
        os.kill(runner, signal.SIGKILL)
        until(lambda: not line.is_attended(line.find(job_id)))
        assert not line.resume(job_id) and line.start_waiting() == 0  # it lives: neither lost nor started again
        assert line.find(job_id).status == "running"
        os.kill(child, signal.SIGCONT)
        until(lambda: not line.folder(job_id).is_held())
        line.start_waiting()
        assert line.find(job_id).status == "lost"
        assert line.resume(job_id) and line.start_waiting() == 1
    assert ended(served, job_id).status == "finished"


@pytest.mark.slow
def test_a_running_job_is_cancelled_by_its_runner_and_without_one(served: Workspace) -> None:
    with line_of(served) as line:
        job_id, _, child = started_and_held(line)
        threading.Timer(0.7, os.kill, (child, signal.SIGCONT)).start()  # SIGTERM waits for it
        assert cancel(line, job_id) == "cancelled"
        assert line.resume(job_id)
        assert line.start_waiting() == 1
        until(lambda: line.find(job_id).process is not None)
        leader = str(line.find(job_id).process)
        until(lambda: bool(session_members(leader)))
        os.kill(int(leader.split("/")[2]), signal.SIGKILL)
        assert cancel(line, job_id) == "cancelled"
        assert session_members(leader) == []


def test_jobs_queued_by_starters_that_died_start_once_though_two_start_them_at_once(served: Workspace) -> None:
    with line_of(served) as line:
        job_ids = [line.queue(STATUS, account=None).job_id for _ in range(3)]  # and here their starter dies

    def start() -> None:
        with line_of(served) as line:
            line.start_waiting()

    starters = [threading.Thread(target=start) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [ended(served, job_id).status for job_id in job_ids] == ["finished"] * 3  # the last by another's end
    with line_of(served) as line:
        assert [line.folder(j).log.read_text().count("afrel status") for j in job_ids] == [1, 1, 1]
        assert all(line.folder(j).last_result(1)[0].startswith('{"workspace"') for j in job_ids)


def test_what_does_not_listen_is_killed_after_the_grace_and_nothing_else_is() -> None:
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"], start_new_session=True)
    started = Path(f"/proc/{deaf.pid}/stat").read_text().rpartition(")")[2].split()[19]
    leader = f"{own_process().rsplit('/', 2)[0]}/{deaf.pid}/{started}"
    until(lambda: len(session_members(leader)) == 1)
    end_session(leader, grace=0.2)
    until(lambda: session_members(leader) == [])
    until(lambda: deaf.poll() is not None)  # the leader itself is left alone; it ends as its child is gone
    assert session_members(f"elsewhere/boot/{deaf.pid}/1") == []
