"""A workspace whose jobs are looked at: in this process, or through its store process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.store import Store
from storage.workspace import Workspace

STATUS = JobCommand("status", options={"--json": True})


@pytest.fixture
def workspace(tmp_path: Path, empty_store: Path) -> Workspace:
    folder = tmp_path / "shop"
    shutil.copytree(empty_store, folder)
    (folder / "afrel.toml").write_text("[jobs]\ntraining = 1\nother = 2\n")
    return Workspace.open(folder)


@pytest.fixture
def line(workspace: Workspace) -> Iterator[JobLine]:
    """The line with the store in this process: no runner can be started, this process claims."""
    with Store.embedded(workspace.root) as store:
        yield JobLine(workspace, store)
