"""What stands before the first step of `train sft`: rows, tokenizer, the model by its name, and every row checked.

Apart from `train` because `afrel check` prepares the same and trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from storage.snapshots.manifest import Manifest, read_manifest
from trainers.models.making import make_model, make_tokenizer, row_texts
from trainers.models.pretrained import choose_device, quieten_libraries
from trainers.models.starting_point import find_start
from trainers.rows.format_check import CheckedRows, check_rows, require_every_grade
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig, SizedSftConfig, size_to


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run learns from and begins with. start: the run it goes on from, None for another model.

    source: the model by what it is loaded from. checked: the rows as tokens, in their order.
    """

    config: SizedSftConfig
    manifest: Manifest
    device: str
    rows: Dataset
    start: RunDirectory | None
    source: SizedSftConfig
    tokenizer: PreTrainedTokenizerBase
    checked: CheckedRows

    def make_model(self) -> PreTrainedModel:
        """Return the model to begin with, on its device."""
        return make_model(self.source, self.tokenizer, self.device)


def size_config(config: SftConfig, manifest: Manifest) -> SizedSftConfig:
    """Return the configuration sized to the snapshot's train rows."""
    entries = manifest.tiers if config.tiers is None else [manifest.find_tier(tier) for tier in config.tiers]
    return size_to(config, max(1, sum(entry.n_rows["train"] for entry in entries)))


def prepare(config: SftConfig, snapshot: Path, *, runs_dir: Path, tell: Callable[[str], None]) -> Prepared:
    """Return what a configuration makes of a verified snapshot.

    runs_dir: where a model that is named by a run's id is found. UserError for a grade without rows, and for a model
    that cannot carry the rows.
    """
    quieten_libraries()
    manifest = read_manifest(snapshot)
    sized = size_config(config, manifest)
    device = choose_device(sized.device)
    loaded = load(
        snapshot,
        splits=["train"],
        tiers=sized.tiers,
        has_evidence=sized.has_evidence,
        has_rationale=sized.has_rationale,
    )
    rows = loaded["train"]
    require_every_grade(rows, manifest.scale)
    tell(f"{len(rows)} train rows; preparing model and tokenizer {sized.model}")
    start = find_start(runs_dir, sized.model)
    source = sized if start is None else sized.model_copy(update={"model": str(start.model_dir)})
    tokenizer = make_tokenizer(source, row_texts(rows))
    checked = check_rows(
        rows,
        tokenizer,
        manifest.scale,
        max_length=sized.max_length,
        max_completion_tokens=sized.max_completion_tokens,
        has_evidence=sized.has_evidence,
    )
    return Prepared(sized, manifest, device, rows, start, source, tokenizer, checked)
