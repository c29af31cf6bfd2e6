"""What the processes of a run are to do, as a file in a folder of its own, and the mistakes they leave there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "task.json"


@dataclass(frozen=True, slots=True)
class Task:
    """A resolved configuration to train by, into a run's folder. `folder` is where mistakes are left."""

    folder: Path
    method: str
    config: Mapping[str, Any]
    snapshot: Path
    run: Path
    is_cpu: bool


def write_task(task: Task) -> Path:
    """Write a task into its folder; return the file."""
    path = task.folder / FILE
    path.write_text(json.dumps(asdict(task), default=str), encoding="utf-8")
    return path


def read_task(path: Path) -> Task:
    """Return the task of a file."""
    held = json.loads(path.read_text(encoding="utf-8"))
    return Task(
        Path(held["folder"]), held["method"], held["config"], Path(held["snapshot"]), Path(held["run"]), held["is_cpu"]
    )


def write_mistake(task: Task, rank: int, message: str) -> None:
    """Leave what a process would have told its user."""
    (task.folder / f"mistake-{rank}.txt").write_text(message, encoding="utf-8")


def read_mistake(folder: Path) -> str | None:
    """Return what a process would have told its user, the first process's before others'; None when there is none."""
    found = sorted(folder.glob("mistake-*.txt"))
    return found[0].read_text(encoding="utf-8") if found else None
