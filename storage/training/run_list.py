"""The training runs of a workspace as their folders tell them, half-written ones included and named as such."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from storage.errors import UserError
from storage.liveness import is_locked
from storage.training.run_record import read_numbers, read_record


class RunStatus(StrEnum):
    FINISHED = "finished"
    RUNNING = "running"
    STOPPED = "stopped"  # no process trains it; the same command goes on with it
    UNREADABLE = "unreadable"  # half written, altered, or no run of ours


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run. started_from: the run before it, or its model. done, total: steps, None before the first is told.

    seconds_left: as the run itself says while it trains.
    """

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
    seconds_left: float | None = None
    started_at: str | None = None
    problem: str | None = None


def list_runs(runs_dir: Path) -> list[RunLine]:
    """Return all runs of a folder, the latest first, unreadable ones last."""
    lines = [read_run(path) for path in sorted(runs_dir.glob("run_*")) if path.is_dir()]
    return sorted(lines, key=lambda line: line.started_at or "", reverse=True)


def read_run(folder: Path) -> RunLine:
    """Return the run of a folder."""
    try:
        described = read_record(folder)
    except UserError as error:
        return RunLine(folder.name, RunStatus.UNREADABLE, problem=str(error))
    progress = read_numbers(folder / "progress.json")  # empty before the first step that is told
    lock = folder / "lock"
    status = RunStatus(described["status"])
    if status is RunStatus.RUNNING and not (lock.exists() and is_locked(lock)):
        status = RunStatus.STOPPED
    done, total = progress.get("done"), progress.get("total")
    return RunLine(
        folder.name,
        status,
        method=described["method"],
        snapshot_id=described["snapshot_id"],
        started_from=described.get("started_from", {}).get("run_id") or described["config"]["model"],
        n_rows=described["n_rows"],
        done=described.get("n_steps", None if done is None else int(done)),  # the last steps may not have been told
        total=None if total is None else int(total),
        loss=progress.get("loss"),
        seconds=described.get("seconds", progress.get("seconds")),
        seconds_left=progress.get("seconds_left") if status is RunStatus.RUNNING else None,
        started_at=described["started_at"],
    )
