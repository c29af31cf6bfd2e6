"""`afrel jobs` as a user meets it, in this process; what it starts are real runners on a real store process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import afrel
from storage.errors import UserError
from storage.workspace import Workspace
from tests.conftest import stop_store_process

Jobs = Callable[..., Any]


@pytest.fixture
def jobs(workspace: Workspace) -> Iterator[Jobs]:
    """Run `afrel jobs …`; return its stdout, or its exit status where that is not 0."""

    def run(*words: str) -> Any:
        done = CliRunner().invoke(afrel.app, ["-w", str(workspace.root), "jobs", *words])
        if isinstance(done.exception, UserError):
            raise done.exception
        return done.stdout if done.exit_code == 0 else done.exit_code

    yield run
    stop_store_process(workspace.root)


def test_a_job_is_started_waited_for_and_shown_and_done_again_there_is_nothing_to_do(
    jobs: Jobs, workspace: Workspace, tmp_path: Path
) -> None:
    assert "no jobs" in jobs()
    job_id = json.loads(jobs("start", "--json", "status", "--json"))["job_id"]
    gone = str(tmp_path / "gone.csv")
    failing = json.loads(jobs("start", "--json", "ingest", gone, "--map", "query=query"))["job_id"]
    shown = json.loads(jobs("wait", "--json", job_id))
    assert (shown["status"], shown["exit_status"], shown["command"]) == ("finished", 0, "status --json")
    assert json.loads(shown["result"][-1])["workspace"] == str(workspace.root)
    assert jobs("wait", failing) == 1
    said = jobs("show", failing)
    assert "failed: exit status 2" in said and "there is no file" in said and f"afrel jobs resume {failing}" in said
    assert [job["status"] for job in json.loads(jobs("--json"))] == ["finished", "failed"]
    assert "nothing to do" in jobs("resume", job_id) and "nothing to do" in jobs("cancel", job_id)


def test_what_cannot_be_a_job_is_refused_before_anything_is_written(jobs: Jobs, workspace: Workspace) -> None:
    assert jobs("start", "status", "--nosuch") == 2
    assert jobs("start", "train", "sft", "--seed", "x") == 2
    for words, said in (
        (("start", "sign"), "cannot be a job"),
        (("start", "train", "sft", "--config", "gone.toml"), r"gone\.toml"),
        (("show", "job_x"), "afrel jobs"),
    ):
        with pytest.raises(UserError, match=said):
            jobs(*words)
    assert json.loads(jobs("--json")) == [] and list(workspace.root.glob("jobs/job_*")) == []
