"""What was measured while a run trained, point by point, in the run's folder.

`forgetting.jsonl` has a line a point, which the app may read while the run goes on; the first, at step 0, is what all
others are compared with. `held_back.json` keeps the start's answers row by row, for the comparison is pair by pair. A
run that was killed goes on with the points up to its checkpoint, and never measures a second start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage import durable
from storage.errors import UserError
from storage.training.run_record import read_lines
from trainers.forgetting.alarms import Answers, Change, SliceKind
from trainers.runs.directory import RunDirectory, write_json


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement after a step, of n pairs. reward: of the likeliest completions; rewards: each by name.

    grade_entropy in nats; trace_nll: of the expert's completions, in nats a token, and nll_rise what it rose by since
    the start: by so much did the forward KL from experts to model grow.
    """

    step: int
    n: int
    reward: float
    rewards: Mapping[str, float | None]
    grade_entropy: float
    trace_nll: float
    nll_rise: float
    changes: Sequence[Change]

    @property
    def alarms(self) -> list[Change]:
        """What was forgotten, the surest first."""
        return sorted((one for one in self.changes if one.is_alarm), key=lambda one: one.p)

    def to_content(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @staticmethod
    def from_content(content: Mapping[str, Any]) -> Point:
        """Return a point from its JSON values."""
        changes = [Change(**{**one, "kind": SliceKind(one["kind"])}) for one in content["changes"]]
        return Point(**{**content, "changes": changes})


def best_point(points: Sequence[Point]) -> Point:
    """Return the point with the highest reward of those without an alarm; of equals the earliest.

    The start is among the points and never has an alarm: it is compared with itself.
    """
    return max((point for point in points if not point.alarms), key=lambda point: point.reward)


def lines_file(run: RunDirectory) -> Path:
    """Return where the points lie."""
    return run.path / "forgetting.jsonl"


def read_points(run: RunDirectory) -> list[Point]:
    """Return a run's points in order, none for a run that measured none; a line cut off by a kill is left out."""
    return [Point.from_content(line) for line in read_lines(lines_file(run))]


def append_point(run: RunDirectory, point: Point) -> None:
    """Append a point's line."""
    with lines_file(run).open("a", encoding="utf-8") as file:
        file.write(json.dumps(point.to_content()) + "\n")


def rewind_points(run: RunDirectory, step: int) -> list[Point]:
    """Drop the points of steps after a checkpoint, which will be made again; return the others."""
    kept = [point for point in read_points(run) if point.step <= step]
    text = "".join(json.dumps(point.to_content()) + "\n" for point in kept)
    durable.replace(lines_file(run), text, folder=run.path)
    return kept


def write_start(run: RunDirectory, answers: Answers, held_back_digest: str) -> None:
    """Keep the start's answers. held_back_digest: of the pairs that were asked."""
    is_right = "".join("1" if right else "0" for right in answers.is_right.tolist())
    content = {"held_back": held_back_digest, "is_right": is_right, "trace_nll": answers.trace_nll.tolist()}
    write_json(run.path / "held_back.json", content)


def read_start(run: RunDirectory, held_back_digest: str, *, has_points: bool) -> Answers:
    """Return the start's answers; UserError when they, or the points, are not there, or are of other pairs."""
    path = run.path / "held_back.json"
    if not has_points:
        raise UserError(
            f"{lines_file(run)} lacks the start's measurement, so nothing can be compared with it. "
            f"Train anew: rm -r {run.path}, then the same command"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        held, is_right, trace_nll = content["held_back"], content["is_right"], content["trace_nll"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({error!r}), so nothing can be compared with the run's start. "
            f"Train anew: rm -r {run.path}, then the same command"
        ) from error
    if held != held_back_digest:
        raise UserError(
            f"{path} is of other held-back pairs than are asked now. "
            f"Train anew: rm -r {run.path}, then the same command"
        )
    return Answers(np.array([right == "1" for right in is_right]), np.array(trace_nll, dtype=np.float64))
