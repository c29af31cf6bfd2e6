"""Training runs for the pages' tests, as folders and rows; and a snapshot cut and signed in this process."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curation.snapshot_cut import freeze, rows_to_cut
from storage.clock import now
from storage.ids import digest
from storage.people.accounts import pin_from_row
from storage.people.keys import unlock
from storage.progress import unwatched
from storage.snapshots.register import sign_registered
from storage.store import Store
from storage.workspace import Workspace, afrel_home
from tests.conftest import PASSWORD


def add_run(root: Path, run_id: str, *, at: str, **changed: Any) -> Path:
    """Write a finished run of sft; `changed` replaces what its record says."""
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    record = {
        "run_id": run_id, "method": "sft", "status": "finished", "snapshot_id": "snap_1", "n_rows": 60, "n_steps": 20,
        "seconds": 150.0, "config": {"model": "tiny"}, "started_at": f"2026-01-01 {at}:00", **changed,
    }  # fmt: skip
    if record["status"] != "finished":
        del record["n_steps"], record["seconds"]
    (folder / "run.json").write_text(json.dumps({**record, "digest": digest(record)}))
    return folder


def add_steps(folder: Path, lines: Sequence[dict[str, Any]], *, total: int) -> None:
    """Write what a run measured of itself, and how far it is."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    told = {"done": lines[-1]["step"], "total": total, "loss": lines[-1]["loss"], "seconds": 10.0, "seconds_left": 30.0}
    (folder / "progress.json").write_text(json.dumps(told))


def add_point(folder: Path, step: int, recalls: dict[str, float], *, rang: Sequence[str] = ()) -> None:
    """Write recall on four held-back pairs of each rule, 1.0 at the start; the alarm rang for those of `rang`."""
    changes = [
        {"kind": "rule", "name": name, "n": 4, "before": 1.0, "after": after, "p": 0.01, "is_alarm": name in rang}
        for name, after in recalls.items()
    ]
    with (folder / "forgetting.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "n": 8, "reward": 0.5, "changes": changes}) + "\n")


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Hold a run's lock, as the process that trains it does."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def add_measures(store: Store, run_id: str, split: str, *, accuracy: float, snapshot_id: str = "snap_1") -> None:
    """Store what was measured of a run on a split, over 40 pairs."""
    store.append(
        {
            "evaluations": [
                {"evaluation_id": f"e_{run_id}_{split}_{metric}_{accuracy}", "train_run_id": run_id, "split": split,
                 "snapshot_id": snapshot_id, "model": "run", "metric": metric, "value": value, "low": value - 0.1,
                 "high": value + 0.1, "n": 40, "run_id": "run_e", "created_at": now()}
                for metric, value in (("accuracy", accuracy), ("macro_f1", accuracy - 0.05), ("qwk", 0.4))
            ]
        }
    )  # fmt: skip


def cut_and_signed(workspace: Workspace, store: Store, tiers: Sequence[int]) -> str:
    """Cut a snapshot by cleo and have dora sign tiers of it; return its id."""
    pins = {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}
    cutter = unlock(afrel_home(), "cleo", PASSWORD)
    cut = freeze(workspace, store, rows_to_cut(workspace, store), cutter=cutter, pins=pins)
    directory = workspace.snapshots_dir / cut["snapshot_id"]
    if tiers:
        signer = unlock(afrel_home(), "dora", PASSWORD)
        sign_registered(directory, store, tiers=tiers, key=signer, pins=pins, watch=unwatched)
    return directory.name
