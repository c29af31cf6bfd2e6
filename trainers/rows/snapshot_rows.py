"""The rows of a snapshot as models see them: prompt and completion, mapped from Parquet into `datasets`.

Every row of the splits asked for comes out, in the order of the files, or the load fails: none is dropped in silence.
The file of the test split is opened only when 'test' is asked for, which `evaluate` alone does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict

from curation.prompt_parts import prompt_parts, render_completion
from storage.errors import UserError
from storage.snapshots.manifest import TierEntry, data_path, read_manifest

KEPT = (
    "row_hash", "tier", "pair_id", "query_id", "doc_id", "query", "title", "body", "fields", "grade", "rule_ids",
    "evidence",
)  # fmt: skip


def load(
    directory: Path,
    *,
    splits: Sequence[str],
    tiers: Sequence[int] | None = None,
    has_evidence: bool = True,
    has_rationale: bool = True,
) -> DatasetDict:
    """Return one Dataset a split with the columns `KEPT` plus prompt and completion.

    Without `has_evidence` the evidence is left out of prompts, without `has_rationale` completions are the grade alone:
    the two ablations. UserError for a split or tier the snapshot has not, and for a row no completion can be made of.
    """
    manifest = read_manifest(directory)
    entries = manifest.tiers if tiers is None else [manifest.find_tier(tier) for tier in tiers]
    loaded = {}
    for split in splits:
        rows = [row for entry in entries for row in _read_tier(directory, entry, split)]
        if not rows:
            raise UserError(
                f"snapshot {manifest.snapshot_id} has no {split} rows in tiers {[entry.tier for entry in entries]}. "
                "Cut one that has: afrel tier, then afrel snapshot"
            )
        columns = {name: [row[name] for row in rows] for name in KEPT}
        loaded[split] = Dataset.from_dict(
            {
                **columns,
                "prompt": [prompt_parts(row, has_evidence=has_evidence).render() for row in rows],
                "completion": [render_completion(row, manifest.scale, has_rationale=has_rationale) for row in rows],
            }
        )
    return DatasetDict(loaded)


def _read_tier(directory: Path, entry: TierEntry, split: str) -> list[dict[str, Any]]:
    """Read one tier's rows of a split; their number must be the manifest's."""
    if not entry.n_rows[split]:
        return []
    path = directory / data_path(entry.tier, split)
    rows: list[dict[str, Any]] = pq.read_table(path, columns=[*KEPT, "steps"]).to_pylist()
    if len(rows) != entry.n_rows[split]:
        raise UserError(
            f"{path} has {len(rows)} rows, the manifest says {entry.n_rows[split]}. "
            f"See what is wrong: afrel verify {directory.name}"
        )
    return rows
