"""The runs of a workspace as their folders tell them, half-written ones included and named as such."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.liveness import is_locked
from trainers.runs.directory import RunDirectory


class RunStatus(StrEnum):
    FINISHED = "finished"
    RUNNING = "running"
    STOPPED = "stopped"  # no process trains it; the same command goes on with it
    UNREADABLE = "unreadable"  # half written, altered, or no run of ours


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run. started_from: the run before it, or its model. done, total: steps, None before the first is told."""

    run_id: str
    status: RunStatus
    method: str | None = None
    snapshot_id: str | None = None
    started_from: str | None = None
    n_rows: int | None = None
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    seconds: float | None = None
    started_at: str | None = None
    problem: str | None = None


def list_runs(runs_dir: Path) -> list[RunLine]:
    """Return all runs of a folder, the latest first, unreadable ones last."""
    lines = [_line(RunDirectory(path)) for path in sorted(runs_dir.glob("run_*")) if path.is_dir()]
    return sorted(lines, key=lambda line: line.started_at or "", reverse=True)


def _line(run: RunDirectory) -> RunLine:
    try:
        described = run.read()
    except UserError as error:
        return RunLine(run.run_id, RunStatus.UNREADABLE, problem=str(error))
    progress = _progress(run)
    lock = run.path / "lock"
    status = RunStatus(described["status"])
    if status is RunStatus.RUNNING and not (lock.exists() and is_locked(lock)):
        status = RunStatus.STOPPED
    return RunLine(
        run.run_id,
        status,
        method=described["method"],
        snapshot_id=described["snapshot_id"],
        started_from=described.get("started_from", {}).get("run_id") or described["config"]["model"],
        n_rows=described["n_rows"],
        done=described.get("n_steps", progress.get("done")),  # the last steps may not have been told
        total=progress.get("total"),
        loss=progress.get("loss"),
        seconds=described.get("seconds", progress.get("seconds")),
        started_at=described["started_at"],
    )


def _progress(run: RunDirectory) -> Mapping[str, Any]:
    try:
        progress: Mapping[str, Any] = json.loads((run.path / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # before the first step that is told
    return progress
