"""The rows of a snapshot as models see them: prompt and completion, mapped from Parquet into `datasets`.

Every row of the splits asked for comes out, in the order of the files, or the load fails: none is dropped in silence.
The file of the test split is opened only when 'test' is asked for, which `evaluate` alone does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict

from curation.completion import Completion, render, render_prompt, steps_from_json
from storage.errors import UserError
from storage.grades import Scale
from storage.snapshots.manifest import TierEntry, data_path, read_manifest

KEPT = (
    "row_hash", "tier", "pair_id", "query_id", "doc_id", "query", "title", "body", "fields", "grade", "rule_ids",
    "evidence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a prompt is made of. Kept apart, so that a prompt that is too long can lose body text first."""

    query: str
    title: str
    body: str = ""
    fields: Mapping[str, str] | None = None
    evidence: str = ""

    def render(self) -> str:
        return render_prompt(self.query, self.title, body=self.body, fields=self.fields, evidence=self.evidence)


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
        texts = [
            _write_texts(row, manifest.scale, has_evidence=has_evidence, has_rationale=has_rationale) for row in rows
        ]
        columns = {name: [row[name] for row in rows] for name in KEPT}
        loaded[split] = Dataset.from_dict(
            {
                **columns,
                "prompt": [prompt for prompt, _ in texts],
                "completion": [completion for _, completion in texts],
            }
        )
    return DatasetDict(loaded)


def prompt_parts(row: Mapping[str, Any], *, has_evidence: bool = True) -> PromptParts:
    """Return the parts of a row's prompt."""
    evidence = row["evidence"] if has_evidence else ""
    return PromptParts(row["query"], row["title"], row["body"] or "", json.loads(row["fields"] or "{}"), evidence or "")


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


def _write_texts(row: Mapping[str, Any], scale: Scale, *, has_evidence: bool, has_rationale: bool) -> tuple[str, str]:
    """Return prompt and completion of a row."""
    try:
        steps = steps_from_json(row["steps"]) if has_rationale else ()
        completion = render(Completion(row["grade"], steps), scale)
    except ValueError as error:
        raise UserError(
            f"row {row['row_hash']} (pair {row['pair_id']}) has no valid completion: {error}. "
            "The snapshot was not cut by afrel snapshot as it is; cut it anew"
        ) from error
    return prompt_parts(row, has_evidence=has_evidence).render(), completion
