"""Whatever step of a cut fails or is stopped, the whole snapshot is there or none, and nothing half-made beside it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage import durable
from storage.snapshots import cutting
from storage.snapshots.verify import verify_snapshot
from tests.storage.conftest import Cut, People

# All a cut calls that touches the disk, in modules that look them up when they are called.
STEPS = [
    (cutting, "write_rows"),
    (cutting, "write_in_order"),
    (cutting, "sha256_of"),
    (durable, "write_new"),
    (durable, "sync_tree"),
    (durable, "sync"),
    (os, "rename"),
]
# 4 data files and the lineage written; their 5 hashes and that of the provenance; provenance, manifest, revocations;
# the tree (its 8 files, 4 folders and itself), the rename, the folder of all snapshots
N_STEPS = 4 + 1 + 6 + 3 + 1 + 13 + 1 + 1


class Stops(BaseException):
    """A kill that leaves the process time to clean up, such as Ctrl+C."""


class Failing:
    """Counts the steps of a cut and fails the one with this number; a step within a step counts, too."""

    def __init__(self, patch: pytest.MonkeyPatch, *, at: int | None, error: BaseException | None = None) -> None:
        self.n_steps = 0
        self._at, self._error = at, error
        for module, name in STEPS:
            patch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **more: Any) -> Any:
            self.n_steps += 1
            if self.n_steps - 1 == self._at and self._error is not None:
                raise self._error
            return step(*given, **more)

        return counted


def test_a_cut_has_as_many_steps_as_are_failed_below(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        steps = Failing(patch, at=None)
        cut()
    assert steps.n_steps == N_STEPS


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stops()], ids=["full", "stopped"])
def test_a_full_disk_or_a_stop_at_any_step_leaves_the_whole_snapshot_or_none(
    cut: Cut, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    n_whole = 0
    for number in range(N_STEPS):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            Failing(patch, at=number, error=error)
            with pytest.raises(type(error)):
                cut(folder=folder)
        left = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        assert all(name.startswith("snap_") for name in left), f"step {number} leaves {left}"
        n_whole += len(left)
        manifest = cut(folder=folder)
        assert manifest.is_new is (not left)
        assert verify_snapshot(folder / manifest.snapshot_id, people.pins).problems == ()
    assert n_whole == 1  # only what comes after the rename finds it there
