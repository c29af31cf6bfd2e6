"""What a run measured of itself step by step: its metrics as curves, and recall on held-back pairs slice by slice.

Values that are no finite number are left out, not drawn as nought. Recall comes with its n, and with the steps at which
the forgetting alarm rang.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.training.run_record import read_lines

N_FILES_HELD = 64  # of the last look at each: a page asks every few seconds


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over steps, in their order."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]

    def thinned(self, most: int) -> Curve:
        """Return about so many of its points, evenly over the steps, the last one among them."""
        every = -(-len(self.steps) // most)
        if every <= 1:
            return self
        places = range((len(self.steps) - 1) % every, len(self.steps), every)
        return Curve(self.name, tuple(self.steps[n] for n in places), tuple(self.values[n] for n in places))


@dataclass(frozen=True, slots=True)
class SliceRecall:
    """Recall on the n held-back pairs of a slice, at the start and then over steps; where the alarm rang.

    kind: rule, tier or grade. name: the rule's id, the tier or the grade.
    """

    kind: str
    name: str
    n: int
    start: float
    curve: Curve
    alarm_steps: tuple[int, ...]

    @property
    def last(self) -> float:
        return self.curve.values[-1]

    @property
    def is_forgotten(self) -> bool:
        """Say whether the alarm rang at the last measurement."""
        return bool(self.alarm_steps) and self.alarm_steps[-1] == self.curve.steps[-1]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What a run was measured at on n held-back pairs: their reward, and recall by slice."""

    n: int
    reward: Curve
    slices: tuple[SliceRecall, ...]


def read_curves(folder: Path) -> dict[str, Curve]:
    """Return a run's metrics by name, none before the first is told; UserError for lines that cannot be read."""
    return _curves(*_stamp(folder / "metrics.jsonl"))


def read_held_back(folder: Path) -> HeldBack | None:
    """Return what a run measured on held-back pairs, None when it measured nothing yet, or does not at all."""
    return _held_back(*_stamp(folder / "forgetting.jsonl"))


def _stamp(path: Path) -> tuple[Path, int, int]:
    """Return what changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return path, 0, -1
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=N_FILES_HELD)
def _curves(path: Path, _changed_ns: int, _size: int) -> dict[str, Curve]:
    lines = read_lines(path)
    names = dict.fromkeys(name for line in lines for name in line if name != "step")
    curves = (_curve(name, ((line.get("step"), line.get(name)) for line in lines)) for name in names)
    return {curve.name: curve for curve in curves if curve.steps}


@lru_cache(maxsize=N_FILES_HELD)
def _held_back(path: Path, _changed_ns: int, _size: int) -> HeldBack | None:
    points = read_lines(path)
    if not points:
        return None
    changes: dict[tuple[str, str], list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    try:
        for point in points:
            for change in point["changes"]:
                if change["kind"] != "traces":  # nats, no recall
                    changes[change["kind"], change["name"]].append((point["step"], change))
        reward = _curve("reward", ((point["step"], point["reward"]) for point in points))
        slices = tuple(_slice(kind, name, told) for (kind, name), told in changes.items())
        return HeldBack(points[-1]["n"], reward, slices)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no record of held-back pairs ({error!r}). See it: head -1 {path}") from error


def _slice(kind: str, name: str, told: list[tuple[int, Mapping[str, Any]]]) -> SliceRecall:
    curve = Curve(name, tuple(step for step, _ in told), tuple(float(change["after"]) for _, change in told))
    rang = tuple(step for step, change in told if change["is_alarm"])
    first = told[0][1]
    return SliceRecall(kind, name, first["n"], float(first["before"]), curve, rang)


def _curve(name: str, points: Iterable[tuple[Any, Any]]) -> Curve:
    kept = [(step, float(value)) for step, value in points if isinstance(step, int) and _is_number(value)]
    return Curve(name, tuple(step for step, _ in kept), tuple(value for _, value in kept))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
