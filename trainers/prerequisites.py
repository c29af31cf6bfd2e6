"""What a verb of the trainers needs before it starts: a snapshot it may use, a run, a place in the register of runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.clock import now
from storage.errors import UserError
from storage.ids import new_run_id
from storage.jobs.current import note_run
from storage.people.accounts import Pin, pins_from_json
from storage.runs import start_run
from storage.session import Session
from storage.snapshots.cutting import require_trainable
from storage.snapshots.manifest import Manifest
from storage.snapshots.register import find_directory, folder_at
from storage.store import Store
from trainers.runs.directory import RunDirectory


def find_snapshot(session: Session, name: str | None, pins: Path | None) -> Path:
    """Return a snapshot's folder: by path, by id in the workspace, or the newest the workspace cut."""
    if name is not None and (folder := folder_at(name)) is not None:
        return folder
    if pins is not None:
        raise UserError(f"--snapshot {name} is no snapshot folder. With --pins, name the folder: --snapshot DIR")
    with session.store() as store:
        return find_directory(session.workspace.snapshots_dir, store, name)


def require_snapshot(session: Session, directory: Path, pins: Path | None, *, tiers: Sequence[int] | None) -> Manifest:
    """Return the manifest of a snapshot that may be trained on; UserError with the command that mends it."""
    if pins is not None:
        return require_trainable(directory, _read_pins(pins), tiers=tiers)
    with session.store() as store:
        rows = store.read("snapshot_revocations", snapshot_id=directory.name).to_pylist()
    return require_trainable(directory, session.pins(), tiers=tiers, known_revoked=[row["tier"] for row in rows])


def _read_pins(path: Path) -> dict[str, Pin]:
    try:
        return pins_from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--pins {path} cannot be read: {error}. Write it: afrel account pins > {path}") from error


@contextmanager
def register_run(
    session: Session,
    found: RunDirectory | None,
    runs_dir: Path,
    *,
    settings: Mapping[str, Any],
    key: str,
    in_store: bool,
) -> Iterator[tuple[RunDirectory, dict[str, Any]]]:
    """Lock a new or an unfinished run and give it its place in the register of runs, where there is a store."""
    if not in_store:
        run_directory = found or RunDirectory(runs_dir / new_run_id())
        with run_directory.locked():
            yield run_directory, {}
        return
    with session.store() as store:
        if found is None:
            with start_run(store, verb="train", config=settings, input_digest=key, account=session.account) as run:
                run_directory = RunDirectory(runs_dir / run.run_id)
                with run_directory.locked():
                    yield run_directory, run.counts
            return
        with found.locked(), _resumed(store, found.run_id) as counts:
            yield found, counts


@contextmanager
def _resumed(store: Store, run_id: str) -> Iterator[dict[str, Any]]:
    """Set a registered run to running, and to how it ends; yields its counts."""
    counts: dict[str, Any] = {"resumed": True}
    status = "failed"
    store.update_run(run_id, status="running")
    note_run(store, run_id)
    try:
        yield counts
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        store.update_run(run_id, status=status, counts=json.dumps(counts), finished_at=str(now()))


def find_newest_run(runs_dir: Path) -> str:
    """Return the id of the run that finished last; UserError when none did."""
    finished = []
    for path in runs_dir.glob("run_*/run.json"):
        try:
            described = RunDirectory(path.parent).read()
        except UserError:
            continue  # half written or not ours: whoever names it is told so
        if described["status"] == "finished" and described.get("method") != "dapt":  # which grades nothing
            finished.append((described["finished_at"], path.parent.name))
    if not finished:
        raise UserError(f"no finished run under {runs_dir}. Train one: afrel train sft")
    return max(finished)[1]


def tell(line: str) -> None:
    """Write a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)
