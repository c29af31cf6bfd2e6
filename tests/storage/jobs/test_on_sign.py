"""`[on_sign]`: checked as a whole, queued once, and never in the way of a signature."""

from __future__ import annotations

import pytest

from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.jobs.on_sign import Planned, queue_signed, read_on_sign
from storage.workspace import Workspace


def written(workspace: Workspace, toml: str) -> Workspace:
    (workspace.root / "afrel.toml").write_text(toml)
    return Workspace.open(workspace.root)


def test_it_names_trainers_by_tier_with_paths_from_the_workspace(workspace: Workspace) -> None:
    (workspace.root / "sft.toml").write_text("seed = 3\n")
    planned = read_on_sign(written(workspace, '[on_sign]\ntier_3 = [{ train = "sft", config = "sft.toml" }]\n'))
    assert planned == [Planned(3, "sft", workspace.root / "sft.toml", "seed = 3\n")]
    assert read_on_sign(written(workspace, "")) == []


def test_all_mistakes_are_told_together(workspace: Workspace) -> None:
    toml = """
[on_sign]
tier = []
tier_2 = "sft.toml"
tier_3 = [{ train = "sft", config = "gone.toml" }, { train = "rlhf", config = "x" }, { train = "sft" }, "sft.toml"]
"""
    with pytest.raises(UserError) as told:
        read_on_sign(written(workspace, toml))
    said = str(told.value)
    for word in ("6 mistake", "'tier'", "tier_2 is a list", "gone.toml", "'rlhf'", "entry 3", "entry 4"):
        assert word in said
    with pytest.raises(UserError, match="must be a table"):
        read_on_sign(written(workspace, "on_sign = 3\n"))


def test_signing_queues_what_its_tier_asks_for_once_however_often(workspace: Workspace, line: JobLine) -> None:
    line.queue(JobCommand("check"), account=None)
    assert line.claim() is not None  # the training lane is taken: nothing starts here
    for name in ("a.toml", "b.toml"):
        (workspace.root / name).write_text(f"# {name}\n")
    entry = '{{ train = "sft", config = "{}.toml" }}'.format
    opened = written(workspace, f"[on_sign]\ntier_1 = [{entry('a')}]\ntier_3 = [{entry('a')}, {entry('b')}]\n")
    store = line._store
    assert len(queue_signed(opened, store, "snap_1", [3], account="dora")) == 2
    assert queue_signed(opened, store, "snap_1", [3], account="root") == []
    assert len(queue_signed(opened, store, "snap_1", [1, 3], account="root")) == 1
    assert len(queue_signed(opened, store, "snap_2", [3], account="root")) == 2
    jobs = [job for job in line.all() if job.verb == "train"]
    assert [(job.status, job.account) for job in jobs] == [("queued", "dora")] * 2 + [("queued", "root")] * 3
    (workspace.root / "a.toml").unlink()
    (told,) = queue_signed(opened, store, "snap_3", [3], account="dora")
    assert told.startswith("signed, but nothing was queued") and "a.toml" in told
