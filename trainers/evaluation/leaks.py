"""Whether a model has seen the queries it is about to be measured on, in any of the runs that made it.

Splits hold within a workspace, so a leak comes from outside: a run trained on a snapshot of other splits, measured on
this one's test rows. A query is known by its id, which follows from its text. A file of texts that a run has read was
checked against the snapshot it was read beside; for any other it is read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.errors import UserError
from storage.snapshots.manifest import data_path, read_manifest
from trainers.models.starting_point import lineage
from trainers.rows.text_file import leaking_lines, read_text_file
from trainers.runs.directory import RunDirectory


def require_unleaked(run: RunDirectory, snapshot: Path, *, split: str, snapshots_dir: Path) -> None:
    """Return when no train row of the run, or of a run it goes on from, has a query of the snapshot's split.

    UserError names the snapshot that leaks, how many queries and one of them; also where a snapshot is not there to be
    looked at.
    """
    measured = split_queries(snapshot, split)
    here = snapshot.name
    records = [one.read() for one in lineage(run)]
    _require_whole(run, records)
    seen_before = [held for record in records for held in (record, *record.get("inherited", []))]
    for trained_on in dict.fromkeys(held["snapshot_id"] for held in seen_before):
        folder = snapshot if trained_on == here else snapshots_dir / trained_on
        if not folder.is_dir():
            raise UserError(
                f"{run.run_id} was trained on {trained_on}, which is not under {snapshots_dir}: nobody can say whether "
                f"it has seen the {split} queries of {here}. Bring its folder there, then: afrel evaluate {run.run_id}"
            )
        seen = measured.keys() & split_queries(folder, "train").keys()
        if seen:
            raise UserError(
                f"{run.run_id} was trained on {trained_on}, whose train rows hold {len(seen)} of the {len(measured)} "
                f"{split} queries of {here}, such as {measured[min(seen)]!r}: what it scores there says nothing."
                f" Measure it elsewhere: afrel evaluate {run.run_id} --split {split} --snapshot {trained_on}"
            )
    for held in seen_before:
        if (texts := held.get("texts")) and held["snapshot_id"] != here:
            _require_unsaid(run, texts, snapshots_dir / held["snapshot_id"], measured, f"{split} queries of {here}")


def _require_whole(run: RunDirectory, records: Sequence[Mapping[str, Any]]) -> None:
    """Return when it is known of every run before this one what it was trained on; UserError names the one that is
    gone.
    """
    earliest = records[-1]
    if "started_from" in earliest and "inherited" not in earliest:
        gone = earliest["started_from"]["run_id"]
        raise UserError(
            f"{run.run_id} goes back to {gone}, whose folder is not under {run.path.parent}: nobody can say what it "
            f"has seen. Bring its folder there, then: afrel evaluate {run.run_id}"
        )


def _require_unsaid(
    run: RunDirectory, texts: Mapping[str, Any], beside: Path, measured: Mapping[str, str], what: str
) -> None:
    """Return when no line that was learnt from says a measured query; UserError also where the file is another now.

    beside: the snapshot the texts were read with, whose held-back queries were left out of them.
    """
    path = Path(texts["path"])
    file = read_text_file(path)
    if file.sha256 != texts["sha256"]:
        raise UserError(
            f"{run.run_id} has read {path}, which has changed since: nobody can say whether it has seen the {what}. "
            f"Bring back the file with the SHA-256 {texts['sha256']}, then: afrel evaluate {run.run_id}"
        )
    left_out = leaking_lines(file.lines, held_back_queries(beside))
    said = leaking_lines([line for line in file.lines if line[0] not in left_out], measured)
    if said:
        line, query = min(said.items())
        raise UserError(
            f"{run.run_id} has read {path}, of which {len(said)} lines say {what}, such as line {line} with {query!r}: "
            "what it scores there says nothing. Read the texts anew beside that snapshot: afrel train dapt"
        )


def held_back_queries(directory: Path) -> dict[str, str]:
    """Return the queries of a snapshot that no training may see, those of dev and test, text by id."""
    return split_queries(directory, "dev") | split_queries(directory, "test")


def split_queries(directory: Path, split: str) -> dict[str, str]:
    """Return the queries of a snapshot's split, text by id. Nothing else of its rows is read."""
    found: dict[str, str] = {}
    for entry in read_manifest(directory).tiers:
        if entry.n_rows[split]:
            rows = pq.read_table(directory / data_path(entry.tier, split), columns=["query_id", "query"])
            found.update(zip(rows["query_id"].to_pylist(), rows["query"].to_pylist(), strict=True))
    return found
