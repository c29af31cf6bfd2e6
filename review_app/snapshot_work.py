"""Cut, sign, verify or compare a snapshot in a process of its own, `python -m review_app.snapshot_work`.

A cut holds gigabytes and a check keeps both cores busy; in the server's process everybody would wait for it. What to do
comes as JSON on stdin, the password with it, so that it stands in no argument and no environment. How far it is, then
the outcome or the refusal, goes to stdout, a JSON array a line. Work once begun is finished, also when nobody listens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import UnavailableError, UserError
from storage.people.accounts import Act, may, pin_from_row, require
from storage.people.keys import SigningKey, unlock
from storage.progress import Stage, Watch
from storage.store import Store
from storage.workspace import Workspace, afrel_home

TOLD_EVERY = 0.2
NICENESS = 10
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Task:
    """What to do: `act` is cut, sign, verify or compare; `password` opens the account's key where one is needed."""

    act: str
    workspace: str
    account: str
    password: str | None = None
    snapshot_id: str | None = None
    tiers: tuple[int, ...] | None = None
    older_id: str | None = None


def run_apart(task: Mapping[str, Any], watch: Watch, _stop: threading.Event) -> dict[str, Any]:
    """Do a task in a process of its own; return its outcome, UserError when it is refused."""
    child = subprocess.Popen(
        [sys.executable, "-m", "review_app.snapshot_work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "AFREL_HOME": str(afrel_home().resolve())},
        start_new_session=True,
        text=True,
        encoding="utf-8",
    )
    assert child.stdin is not None and child.stdout is not None
    with child, suppress(BrokenPipeError):
        child.stdin.write(json.dumps(task))
        child.stdin.close()
        for line in child.stdout:
            kind, *said = json.loads(line)
            if kind == "outcome":
                return dict(said[0])
            if kind == "refused":
                raise UserError(said[0])
            if kind == "away":
                raise UnavailableError(said[0])
            watch(Stage(kind), said[0], said[1])
    raise RuntimeError(f"the process that should {task['act']} ended with status {child.returncode} and no answer")


def do(task: Task, watch: Watch) -> dict[str, Any]:
    """Do a task; return its outcome as JSON values."""
    workspace = Workspace.open(Path(task.workspace))
    with Store.connect(workspace, sees_test=True) as store:
        pins = {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}
        _give_way()  # not before: a store process started by this read must not be slowed, too
        if task.act == "verify":
            return _verified(task, workspace, store, pins, watch)
        person = pins[task.account]
        if task.act == "compare":
            return _compared(task, workspace, store, watch, sees_test=may(person.role, Act.ADJUDICATE))
        require(person, {"cut": Act.CUT, "sign": Act.SIGN}[task.act])
        key = unlock(afrel_home(), task.account, task.password or "")
        return (
            _cut(workspace, store, key, pins, watch)
            if task.act == "cut"
            else _signed(task, workspace, store, key, pins, watch)
        )


def _cut(workspace: Workspace, store: Store, key: SigningKey, pins: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    from curation.snapshot_cut import freeze, rows_to_cut

    to_cut = rows_to_cut(workspace, store, watch=watch)
    return freeze(workspace, store, to_cut, cutter=key, pins=pins, watch=watch)


def _signed(
    task: Task, workspace: Workspace, store: Store, key: SigningKey, pins: Mapping[str, Any], watch: Watch
) -> dict[str, Any]:
    from storage.jobs.on_sign import queue_signed
    from storage.snapshots.register import find_directory, sign_registered

    directory = find_directory(workspace.snapshots_dir, store, task.snapshot_id)
    signed = sign_registered(directory, store, tiers=task.tiers, key=key, pins=pins, watch=watch)
    told = queue_signed(workspace, store, directory.name, task.tiers or (), account=task.account)
    return {"snapshot_id": directory.name, "tiers": [entry.tier for entry in signed], "queued": told}


def _verified(task: Task, workspace: Workspace, store: Store, pins: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    from storage.snapshots.register import find_directory, verify_registered

    directory = find_directory(workspace.snapshots_dir, store, task.snapshot_id)
    found = verify_registered(directory, store, pins, watch=watch)
    return {
        "snapshot_id": directory.name,
        "problems": [str(problem) for problem in found.problems],
        "not_counted": [str(problem) for problem in found.not_counted],
        "n_rows": found.manifest.n_rows if found.manifest is not None else 0,
    }


def _compared(task: Task, workspace: Workspace, store: Store, watch: Watch, *, sees_test: bool) -> dict[str, Any]:
    from storage.snapshots.diff import compare_snapshots
    from storage.snapshots.register import find_directory

    older, newer = (find_directory(workspace.snapshots_dir, store, name) for name in (task.older_id, task.snapshot_id))
    return compare_snapshots(older, newer, sees_test=sees_test, watch=watch).to_mapping()


def _telling() -> tuple[Callable[..., None], Watch]:
    """Return what writes a line, and a watch that writes one a few times a second."""
    told_at = 0.0
    last_stage: Stage | None = None

    def say(*line: Any) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more; the work goes on
            print(json.dumps(line, ensure_ascii=False), flush=True)

    def watch(stage: Stage, done: int, total: int) -> None:
        nonlocal told_at, last_stage
        if stage is not last_stage or time.monotonic() - told_at >= TOLD_EVERY:
            told_at, last_stage = time.monotonic(), stage
            say(stage.value, done, total)

    return say, watch


def main() -> None:
    """Do the task on stdin."""
    task = Task(**json.loads(sys.stdin.read()))
    say, watch = _telling()
    try:
        say("outcome", do(task, watch))
    except UserError as error:
        say("away" if isinstance(error, UnavailableError) else "refused", str(error))


def _give_way() -> None:
    """Let reviewers go first; a session of its own is a group of its own to Linux' scheduler."""
    with suppress(OSError):
        os.nice(NICENESS)
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


if __name__ == "__main__":
    main()
