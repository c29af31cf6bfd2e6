"""What is seen of training runs, free of any page: the list with its figures, one run with its curves and its alarms.

Runs are read from their folders, figures and jobs from the store. Whoever prepares candidates may look; that a model
was measured on test rows, and how well it did, is for who may train, as on the command line.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.people.accounts import Act, Pin, may, require
from storage.rows import JobRow
from storage.store import Store
from storage.training.run_curves import Curve, HeldBack, read_curves, read_held_back
from storage.training.run_list import RunLine, RunStatus, list_runs, read_run
from storage.workspace import Workspace

MOST_POINTS = 400  # a chart has no more pixels
METRICS = ("accuracy", "macro_f1")  # the headline ones
TEXTS = "dapt"  # the method whose runs grade nothing
_RUN_ID = re.compile(r"run_[0-9A-Za-z_]{1,80}")
# what a method is watched by beside its loss, the first it has
_WATCHED = ("reward", "rewards/accuracies", "grade_loss", "learning_rate")


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a run on a split of a snapshot, with its interval, and how many pairs it rests on."""

    metric: str
    split: str
    snapshot_id: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list. `job` is the one that trains it, None for one that was started in a terminal.

    `measured` are the last measures of each split that the person may see; `n_forgotten` counts the rules at which the
    alarm rang last, None where nothing was watched.
    """

    line: RunLine
    measured: tuple[Measured, ...]
    n_forgotten: int | None
    job: JobRow | None

    @property
    def run_id(self) -> str:
        return self.line.run_id

    @property
    def is_alive(self) -> bool:
        return self.line.status is RunStatus.RUNNING

    @property
    def started_at(self) -> datetime | None:
        return datetime.fromisoformat(self.line.started_at) if self.line.started_at else None

    @property
    def grades(self) -> bool:
        """Say whether there is a model that grades."""
        return self.line.status is RunStatus.FINISHED and self.line.method != TEXTS

    def on(self, split: str, metric: str) -> Measured | None:
        """Return the latest measure of a metric on a split."""
        return next((one for one in reversed(self.measured) if (one.split, one.metric) == (split, metric)), None)


@dataclass(frozen=True, slots=True)
class RunCurves:
    """What one run tells of itself. `watched` names the metric beside the loss; `texts` are rules' texts by id."""

    curves: Mapping[str, Curve]
    held_back: HeldBack | None
    watched: str | None
    texts: Mapping[str, str]


def require_look(person: Pin) -> None:
    """Return when a person may look at runs and jobs; UserError says who may."""
    require(person, Act.PREPARE)


def see_runs(person: Pin, workspace: Workspace, store: Store) -> list[RunRow]:
    """Return all runs, the latest first, those that cannot be read last."""
    require_look(person)
    lines = list_runs(workspace.runs_dir)
    measured = _measured(store, sees_test=may(person.role, Act.TRAIN))
    jobs = {job.run_id: job for job in map(_job, store.read("jobs").to_pylist()) if job.run_id}
    forgotten = Counter(row["train_run_id"] for row in store.read("forgotten_rules").to_pylist())
    return [_row(workspace, line, measured, jobs, forgotten) for line in lines]


def see_run(person: Pin, workspace: Workspace, store: Store, run_id: str) -> RunRow:
    """Return one run as it is now; UserError when there is none."""
    require_look(person)
    folder = run_folder(workspace, run_id)
    jobs = {job.run_id: job for job in map(_job, store.read("jobs").to_pylist()) if job.run_id}
    forgotten = Counter(row["train_run_id"] for row in store.read("forgotten_rules").to_pylist())
    measured = _measured(store, sees_test=may(person.role, Act.TRAIN))
    return _row(workspace, read_run(folder), measured, jobs, forgotten)


def see_curves(person: Pin, workspace: Workspace, store: Store, run_id: str) -> RunCurves:
    """Return what a run measured of itself so far; UserError when its lines cannot be read."""
    require_look(person)
    folder = run_folder(workspace, run_id)
    curves = {name: curve.thinned(MOST_POINTS) for name, curve in read_curves(folder).items()}
    held_back = read_held_back(folder)
    watched = next((name for name in _WATCHED if name in curves), None)
    rule_ids = [one.name for one in held_back.slices if one.kind == "rule"] if held_back is not None else []
    return RunCurves(curves, held_back, watched, see_rule_texts(person, store, rule_ids))


def see_rule_texts(person: Pin, store: Store, rule_ids: Sequence[str]) -> dict[str, str]:
    """Return what rules say, by id."""
    require_look(person)
    texts = store.read("rule_texts", rule_ids=list(rule_ids)).to_pylist() if rule_ids else []
    return {row["rule_id"]: row["text"] for row in texts}


def earlier_run(rows: Sequence[RunRow], row: RunRow) -> RunRow | None:
    """Return the finished run of the same method that came before a run: what its curves stand against."""
    later = [one.run_id for one in rows].index(row.run_id) + 1
    return next(
        (one for one in rows[later:] if one.line.method == row.line.method and one.line.status is RunStatus.FINISHED),
        None,
    )


def find_runs(rows: Sequence[RunRow], text: str) -> list[RunRow]:
    """Return the runs whose id, method, state, snapshot or model has each word of a text."""
    words = text.lower().split()

    def says(row: RunRow) -> str:
        line = row.line
        return " ".join(
            str(one).lower() for one in (line.run_id, line.method, line.status, line.snapshot_id, line.started_from)
        )

    return [row for row in rows if all(word in says(row) for word in words)]


def run_folder(workspace: Workspace, run_id: str) -> Path:
    """Return a run's folder; UserError for what is no run of the workspace."""
    folder = workspace.runs_dir / run_id
    if _RUN_ID.fullmatch(run_id) is None or not folder.is_dir():
        raise UserError(f"there is no run {run_id!r} here any more. Choose one of the list")
    return folder


def _row(
    workspace: Workspace,
    line: RunLine,
    measured: Mapping[str, Sequence[Measured]],
    jobs: Mapping[str, JobRow],
    forgotten: Mapping[str, int],
) -> RunRow:
    n_forgotten = forgotten.get(line.run_id)
    if n_forgotten is None and line.status is not RunStatus.UNREADABLE:  # the store holds rules that rang, no nought
        n_forgotten = _n_forgotten_so_far(workspace.runs_dir / line.run_id)
    return RunRow(line, tuple(measured.get(line.run_id, ())), n_forgotten, jobs.get(line.run_id))


def _n_forgotten_so_far(folder: Path) -> int | None:
    """Return at how many rules the alarm rang last, by the run's own folder; None where nobody can tell."""
    try:
        held_back = read_held_back(folder)
    except UserError:
        return None  # told where the run is looked at
    if held_back is None:
        return None
    return sum(one.is_forgotten for one in held_back.slices if one.kind == "rule")


def _measured(store: Store, *, sees_test: bool) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = defaultdict(list)
    for row in store.read("run_measures").to_pylist():
        if row["split"] != "test" or sees_test:
            values: dict[str, Any] = {name: row[name] for name in Measured.__slots__}
            found[row["train_run_id"]].append(Measured(**values))
    return found


def _job(row: Mapping[str, Any]) -> JobRow:
    return JobRow(**row)
