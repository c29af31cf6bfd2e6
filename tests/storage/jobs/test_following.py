"""A job that is followed: its log line by line, its exit status, and leaving it alone."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
import typer

from storage.clock import now
from storage.jobs.following import GrowingLog, exit_status_of, follow_to_the_end
from storage.jobs.line import JobLine
from storage.rows import JobRow
from storage.session import Session
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.storage.jobs.conftest import STATUS


def job(status: str, exit_status: int | None = None) -> JobRow:
    return JobRow(job_id="job_1", verb="status", fields="{}", status=status, created_at=now(), exit_status=exit_status)


def test_a_growing_log_is_told_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    log = GrowingLog(path, place=0)
    assert log.new_lines(is_over=False) == []
    path.write_bytes("step 1\nstep 2 of tür".encode()[:-2])  # cut off within a letter
    assert log.new_lines(is_over=False) == ["step 1"]
    path.write_bytes("step 1\nstep 2 of tür\nthe e".encode())
    assert log.new_lines(is_over=False) == ["step 2 of tür"]
    assert log.new_lines(is_over=True) == ["the e"] and log.new_lines(is_over=True) == []


def test_who_follows_leaves_with_the_jobs_exit_status() -> None:
    told = [("finished", 0), ("failed", 2), ("failed", -9), ("cancelled", 130), ("cancelled", None), ("lost", None)]
    assert [exit_status_of(job(*one)) for one in told] == [0, 2, 137, 130, 1, 1]


def test_a_job_is_told_as_it_ended_and_left_running_on_an_interrupt(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(workspace.root, None)
    try:
        with Store.connect(workspace) as store:
            line = JobLine(workspace, store)
            failed = line.queue(STATUS, account=None).job_id
            claimed = line.claim()
            assert claimed is not None
            claimed.folder.log.write_text("no such thing\n")
            claimed.folder.result.write_text('earlier\n{"n": 3}\n')
            line.end(claimed, 2)
            with pytest.raises(typer.Exit) as left:
                follow_to_the_end(session, failed, as_json=True)
            told, said = capsys.readouterr()
            assert left.value.exit_code == 2 and "no such thing" in said and f"afrel jobs resume {failed}" in said
            assert json.loads(told) == {
                "job_id": failed, "status": "failed", "exit_status": 2, "run_id": None, "result": {"n": 3},
                "log": ["no such thing"],
            }  # fmt: skip

            running = line.queue(STATUS, account=None).job_id
            claimed = line.claim()
            assert claimed is not None
            threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
            with pytest.raises(typer.Exit) as left:
                follow_to_the_end(session, running, as_json=False)
            assert left.value.exit_code == 130 and f"afrel jobs wait {running}" in capsys.readouterr().err
            assert line.find(running).status == "running"
            os.close(claimed.lock)
    finally:
        stop_store_process(workspace.root)
