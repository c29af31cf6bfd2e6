"""Starting a trainer from the page: which snapshots may train, which runs one may go on from, the form, the job.

A snapshot is offered when nothing is wrong with it at a glance and a tier of it is signed; the trainer checks every
file and row again before its first step. A browser names no place on this machine: models are the tiny one, runs and
ids of the hub, and files lie in the workspace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from review_app.long_work import WORK, Work
from review_app.run_desk import TEXTS, RunRow
from review_app.snapshot_desk import SnapshotLine, TierLine, list_snapshots
from review_app.training_form import FILE_ENDING, MODEL, FormField, filled_in, read_form
from storage.errors import UserError
from storage.jobs.asking import SNAPSHOT, schema_of, start
from storage.jobs.line import Queued
from storage.jobs.verbs import METHODS
from storage.people.accounts import Act, Pin, require
from storage.store import Store
from storage.training.run_list import RunStatus
from storage.workspace import Workspace

TINY = "tiny"
# what goes on from a run that grades; the others begin with a model that has learnt no grade yet
GOES_ON = ("dpo", "grpo")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Trainable:
    """A snapshot that may train, with its signed tiers; `is_whole`: all its tiers that have rows are signed."""

    snapshot_id: str
    line: SnapshotLine
    tiers: tuple[TierLine, ...]
    is_whole: bool


def trainable_snapshots(person: Pin, workspace: Workspace, store: Store) -> list[Trainable]:
    """Return the snapshots that may train, the newest first."""
    require(person, Act.TRAIN)
    found = []
    for line in list_snapshots(person, workspace, store):
        if line.problems or line.revoked is not None or _is_found_altered(line):
            continue
        signed = tuple(tier for tier in line.tiers if tier.n_rows and tier.signed_by and not tier.revoked)
        if signed:
            n_tiers = sum(bool(tier.n_rows) for tier in line.tiers)
            found.append(Trainable(line.snapshot_id, line, signed, len(signed) == n_tiers))
    return found


def begin_form(person: Pin, method: str) -> Work:
    """Read a method's form, which takes a process of its own the first time; its outcome is a list of fields."""
    require(person, Act.TRAIN)
    if method not in METHODS:
        raise UserError(f"{method!r} is no method of training. Choose one of {', '.join(METHODS)}")
    held = WORK.find(("form", method))
    if held is not None and (not held.is_over or held.outcome is not None):
        return held
    return WORK.begin(("form", method), person.account, lambda _watch, _stop: _form(method))


def _form(method: str) -> list[FormField]:
    """Return the fields of a method's form; to whom a training sends prompts is said on the command line only."""
    return [field for field in read_form(schema_of(f"train {method}")) if not field.name.endswith("_url")]


def starting_points(method: str, rows: Sequence[RunRow]) -> list[str]:
    """Return what a method may begin with: runs, and for one that needs no grades yet the tiny model first."""
    finished = [row for row in rows if row.line.status is RunStatus.FINISHED]
    if method in GOES_ON:
        return [row.run_id for row in finished if row.line.method != TEXTS]
    return [TINY, *(row.run_id for row in finished)]


def start_training(
    person: Pin, workspace: Workspace, store: Store, method: str, snapshot_id: str, values: Mapping[str, Any]
) -> Queued:
    """Queue a training with what was filled in; UserError with what is wrong with it."""
    require(person, Act.TRAIN)
    if snapshot_id not in [one.snapshot_id for one in trainable_snapshots(person, workspace, store)]:
        raise UserError(f"snapshot {snapshot_id!r} may not train: it is not signed, revoked or altered. Choose another")
    config = filled_in(_form(method), values)
    _check_places(config, workspace.root)
    return start(workspace, f"train {method}", {**config, SNAPSHOT: snapshot_id}, account=person.account)


def _check_places(config: Mapping[str, Any], root: Path) -> None:
    model = config.get(MODEL)
    if model is not None and (not isinstance(model, str) or _HUB_ID.fullmatch(model) is None or ".." in model):
        raise UserError(
            f"model {model!r:.120} is none that a page may name: tiny, a run, or an id of the hub such as org/name. "
            "A folder is named on the command line: afrel train sft --model DIR"
        )
    for name, value in config.items():
        if name.endswith(FILE_ENDING) and not _is_inside(value, root):
            raise UserError(
                f"{name} = {value!r:.120} is no file of the workspace. Give its path from the workspace's folder, such "
                "as texts/catalogue.txt, or name another place on the command line: afrel train dapt --config FILE"
            )


def _is_inside(value: object, root: Path) -> bool:
    if not isinstance(value, str) or "\0" in value or PurePosixPath(value).is_absolute():
        return False
    path = (root / value).resolve()
    return path.is_relative_to(root.resolve()) and path.is_file()


def _is_found_altered(line: SnapshotLine) -> bool:
    work = line.checked
    return work is not None and work.outcome is not None and bool(work.outcome["problems"])
