"""What a process that is a job tells of itself, and that one that is none tells nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.jobs.current import JOB_VARIABLE
from storage.jobs.folder import read_progress
from storage.jobs.line import JobLine
from storage.progress_bar import progress_bar
from storage.runs import start_run

from .conftest import STATUS


def test_a_job_s_row_names_its_run_and_its_folder_how_far_it_is(line: JobLine, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = line.queue(STATUS, account=None).job_id
    folder = line.folder(job_id)
    monkeypatch.setenv(JOB_VARIABLE, str(folder.path))
    with start_run(line._store, verb="status", config={}) as run, progress_bar() as tell:
        tell("docs read 文", 1, 7)
        tell("docs read 文", 2, 7)  # within a second: not worth a write
        said = read_progress(folder.progress)
        tell("docs read 文", 7, 7)
    assert line.find(job_id).run_id == run.run_id
    assert said is not None and (said["what"], said["done"], said["total"]) == ("docs read 文", 1, 7)
    assert json.loads(folder.progress.read_text())["done"] == 7


def test_without_a_job_nothing_is_written(line: JobLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    job_id = line.queue(STATUS, account=None).job_id
    with start_run(line._store, verb="status", config={}), progress_bar() as tell:
        tell("docs read", 1, 7)
    assert line.find(job_id).run_id is None
    assert list(tmp_path.rglob("progress.*")) == []
