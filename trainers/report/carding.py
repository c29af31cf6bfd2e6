"""When a model's card is written: once a run has ended, and again each time it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curation.exports.licences import licences
from storage.session import Session
from storage.snapshots.manifest import data_path, read_manifest
from storage.store import Store
from trainers.report.card import write_card
from trainers.runs.directory import CARD, RunDirectory


def write_first_card(session: Session, run: RunDirectory, *, in_store: bool) -> None:
    """Write the card of a run that has ended, unless it has one. Away from the workspace nothing is known of figures.

    in_store: whether there is a workspace to ask.
    """
    if (run.model_dir / CARD).is_file() or not run.model_dir.is_dir():
        return
    if not in_store:
        write_card(run, evaluations=(), licences={}, sources=None)
        return
    with session.store(sees_test=True) as store:
        write_card_of(session, run, store)


def write_card_of(session: Session, run: RunDirectory, store: Store) -> None:
    """Write the card of a finished run as the workspace knows it now, of test rows in figures only."""
    record = run.read()
    rows: Sequence[Mapping[str, Any]] = store.read("evaluations_of", train_run_id=run.run_id).to_pylist()
    directory = session.workspace.snapshots_dir / record["snapshot_id"]
    sources = train_sources(directory, record["config"].get("tiers")) if directory.is_dir() else None
    write_card(run, evaluations=rows, licences=licences(session.workspace.config), sources=sources)


def train_sources(directory: Path, tiers: Sequence[int] | None) -> list[str]:
    """Return who brought the train rows of the tiers that were trained on, None for all of them."""
    found: set[str] = set()
    for entry in read_manifest(directory).tiers:
        if entry.n_rows["train"] and (tiers is None or entry.tier in tiers):
            column = pq.read_table(directory / data_path(entry.tier, "train"), columns=["source"])["source"]
            found.update(str(name) for name in column.unique().to_pylist())
    return sorted(found)
