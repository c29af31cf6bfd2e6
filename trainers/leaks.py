"""Whether a model has seen the queries it is about to be measured on, in any of the runs that made it.

Splits hold within a workspace, so a leak comes from outside: a run trained on a snapshot of other splits, measured on
this one's test rows. A query is known by its id, which follows from its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from storage.errors import UserError
from storage.snapshots.manifest import data_path, read_manifest
from trainers.run_directory import RunDirectory


def require_unleaked(run: RunDirectory, snapshot: Path, *, split: str, snapshots_dir: Path) -> None:
    """Return when no train row of the run, or of a run it goes on from, has a query of the snapshot's split.

    UserError names the snapshot that leaks, how many queries and one of them; also where a snapshot is not there to be
    looked at.
    """
    measured = _queries(snapshot, split)
    here = snapshot.name
    for trained_on in dict.fromkeys(one.read()["snapshot_id"] for one in lineage(run)):
        folder = snapshot if trained_on == here else snapshots_dir / trained_on
        if not folder.is_dir():
            raise UserError(
                f"{run.run_id} was trained on {trained_on}, which is not under {snapshots_dir}: nobody can say whether "
                f"it has seen the {split} queries of {here}. Bring its folder there, then: afrel evaluate {run.run_id}"
            )
        seen = measured.keys() & _queries(folder, "train").keys()
        if seen:
            raise UserError(
                f"{run.run_id} was trained on {trained_on}, whose train rows hold {len(seen)} of the {len(measured)} "
                f"{split} queries of {here}, such as {measured[min(seen)]!r}: what it scores there says nothing."
                f" Measure it elsewhere: afrel evaluate {run.run_id} --split {split} --snapshot {trained_on}"
            )


def lineage(run: RunDirectory) -> Iterator[RunDirectory]:
    """Yield a run and those it goes on from, the latest first."""
    seen: set[Path] = set()
    while run.path not in seen:
        seen.add(run.path)
        yield run
        described = run.read()
        before = described.get("started_from", {}).get("run_id")
        # sft from a folder: that of a run's model, perhaps
        folder = run.path.parent / before if before else Path(str(described["config"]["model"])).resolve().parent
        if not (folder / "run.json").is_file():
            return
        run = RunDirectory(folder)


def _queries(directory: Path, split: str) -> dict[str, str]:
    """Return the queries of a snapshot's split, text by id."""
    found: dict[str, str] = {}
    for entry in read_manifest(directory).tiers:
        if entry.n_rows[split]:
            rows = pq.read_table(directory / data_path(entry.tier, split), columns=["query_id", "query"])
            found.update(zip(rows["query_id"].to_pylist(), rows["query"].to_pylist(), strict=True))
    return found
