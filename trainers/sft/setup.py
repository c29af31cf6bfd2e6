"""What a run of `train sft` is made of: tokenizer, model, low-rank weights, the longest batch, TRL's configuration.

Apart from `sft` because `afrel check` makes the same things and trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig as TrlConfig

from trainers.models.making import is_checkpointed
from trainers.objectives.losses import IGNORED
from trainers.preflight.trial import Load, longest
from trainers.rows.encoding import EncodedRow
from trainers.rows.format_check import CheckedRows
from trainers.runs.frame import is_bfloat16, planned_settings
from trainers.sft.config import SftConfig


def step_load(rows: Sequence[EncodedRow], config: SftConfig, device: str) -> Load:
    """Return the longest micro-batch of a configuration that is sized, and how to make it lighter."""
    assert config.batch_size is not None
    at_once = config.batch_size * config.accumulation_steps

    def lighter(n: int) -> str:
        return f"Set batch_size = {n} and accumulation_steps = {-(-at_once // n)} in the --config file"

    return Load(
        longest(rows, config.batch_size),
        lighter,
        is_bfloat16=is_bfloat16(config, device),
        is_checkpointed=is_checkpointed(config, device),
    )


def training_rows(checked: CheckedRows) -> Dataset:
    """Return two dataset rows a row: 2i holds the grade alone, 2i + 1 the whole completion."""
    completions = [(row, ids) for row in checked.rows for ids in (row.completion[:1], row.completion)]
    return Dataset.from_dict(
        {
            "input_ids": [row.prompt + ids for row, ids in completions],
            "labels": [[IGNORED] * len(row.prompt) + ids for row, ids in completions],
            "row": [at // 2 for at in range(len(completions))],
        }
    )


def trl_config(config: SftConfig, checkpoints: Path, *, n_visits: int, device: str) -> TrlConfig:
    """Return TRL's configuration of a run over so many visits."""
    return TrlConfig(
        weight_decay=config.weight_decay,
        adam_beta2=0.95,
        gradient_checkpointing=is_checkpointed(config, device),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        **planned_settings(config, checkpoints, n_visits=n_visits, device=device),
    )
