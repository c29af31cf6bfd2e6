"""What a report tells, gathered before anything is drawn: of a whole run, or of whatever a half-written one left.

Nothing is measured and nothing trained for a report. What is not there is said, with the command that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from storage.errors import UserError
from storage.people.accounts import Pin
from storage.training.run_curves import Curve, HeldBack, read_curves, read_held_back
from storage.training.run_list import RunLine, RunStatus, read_run
from trainers.report.lineage import Ancestor, ancestors
from trainers.report.measured import DevDetail, Measured, dev_detail, last_measured
from trainers.report.snapshot_facts import SnapshotFacts, snapshot_facts
from trainers.runs.directory import RunDirectory

Gathered = TypeVar("Gathered")


@dataclass(frozen=True, slots=True)
class StoreRows:
    """What the store holds of a run: rows of `evaluations_of`, and of `predictions_of` for dev."""

    evaluations: Sequence[Mapping[str, Any]]
    dev_predictions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Contents:
    """A run told. record: what it says of itself, empty for one that was cut off before it said it.

    gaps: what is not there and why, in sentences, each with the command that mends it where one does.
    """

    run_id: str
    status: RunStatus
    record: Mapping[str, Any]
    gaps: tuple[str, ...]
    snapshot: SnapshotFacts | None
    curves: Mapping[str, Curve]
    held_back: HeldBack | None
    measured: tuple[Measured, ...]
    dev: DevDetail | None
    ancestors: tuple[Ancestor, ...]


def gather(
    run: RunDirectory, *, snapshots_dir: Path, workspace: Path | None, rows: StoreRows, pins: Mapping[str, Pin]
) -> Contents:
    """Return what there is to tell of a run; a part that cannot be read becomes a gap."""
    gaps: list[str] = []
    line = read_run(run.path)
    record: Mapping[str, Any] = {} if line.status is RunStatus.UNREADABLE else run.read()
    gaps += _unfinished(line, record)
    none: Mapping[str, Curve] = {}
    curves = _or_gap(gaps, lambda: read_curves(run.path), none)
    held_back = _or_gap(gaps, lambda: read_held_back(run.path), None)
    if not curves:
        gaps.append("No step has been told, so there are no curves.")
    measured = last_measured(rows.evaluations)
    snapshot: SnapshotFacts | None = None
    chain: tuple[Ancestor, ...] = ()
    if record:
        directory, tiers = snapshots_dir / record["snapshot_id"], record["config"].get("tiers")
        snapshot = _or_gap(gaps, lambda: snapshot_facts(directory, tiers=tiers, pins=pins), None)
        chain = _or_gap(gaps, lambda: ancestors(run, workspace), ())
    dev = _or_gap(gaps, lambda: _dev(measured, snapshots_dir, rows.dev_predictions), None)
    if line.status is RunStatus.FINISHED:
        gaps += _unmeasured(run.run_id, record["method"], measured)
    return Contents(run.run_id, line.status, record, tuple(gaps), snapshot, curves, held_back, measured, dev, chain)


def _unfinished(line: RunLine, record: Mapping[str, Any]) -> list[str]:
    if line.status is RunStatus.UNREADABLE:
        return [f"The run is half written or was altered, and this is what there is of it: {line.problem}"]
    if line.status is RunStatus.RUNNING:
        return [f"It is training now; this is how far it is. Make the page again later: afrel report {line.run_id}"]
    if line.status is RunStatus.STOPPED:
        return [f"It stopped before its end. The same command goes on with it: afrel train {record['method']}"]
    return []


def _unmeasured(run_id: str, method: str, measured: Sequence[Measured]) -> list[str]:
    if method == "dapt":
        return [f"It has read texts and grades nothing yet. Train it to: afrel train sft --model {run_id}"]
    there = {one.split for one in measured if one.verb == "evaluate"}
    return [
        f"It was not measured on {split} yet. Measure it: afrel evaluate {run_id} --split {split}"
        for split in ("dev", "test")
        if split not in there
    ]


def _dev(
    measured: Sequence[Measured], snapshots_dir: Path, predictions: Sequence[Mapping[str, Any]]
) -> DevDetail | None:
    """Return the detail of the last evaluation on dev; UserError where its snapshot is gone."""
    last = next((one for one in measured if (one.verb, one.split) == ("evaluate", "dev")), None)
    if last is None:
        return None
    asked = [row for row in predictions if row["snapshot_id"] == last.snapshot_id]
    return dev_detail(snapshots_dir / last.snapshot_id, asked)


def _or_gap(gaps: list[str], gather_it: Callable[[], Gathered], otherwise: Gathered) -> Gathered:
    """Return what is gathered; where the user must mend something first, that is a gap."""
    try:
        return gather_it()
    except UserError as error:
        gaps.append(str(error))
        return otherwise
