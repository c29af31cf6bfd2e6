"""The configuration of `train dapt`: flat keys, unknown ones refused, defaults that suit the kind of model.

Rates and lengths are ours; the literature names the step (arXiv 2510.11056) and not its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from trainers.configuration.beginning import BeginningConfig
from trainers.configuration.flat_file import read_flat
from trainers.configuration.loop import BatchSize, CheckpointSteps, Epochs, LearningRate
from trainers.models.starting_point import is_named_tiny


class DaptConfig(BeginningConfig):
    """Everything that decides a run of `train dapt` but the snapshot and what lies in the text file."""

    tiny_defaults: ClassVar[Mapping[str, Any]] = {
        "epochs": 3, "batch_size": 8, "learning_rate": 2e-3, "weight_decay": 0.1, "max_length": 512,
        "checkpoint_steps": 100,
    }  # fmt: skip
    pretrained_defaults: ClassVar[Mapping[str, Any]] = {
        "epochs": 1, "batch_size": 8, "learning_rate": 2e-5, "weight_decay": 0.0, "max_length": 1024,
        "checkpoint_steps": 200,
    }  # fmt: skip

    text_file: str | None = Field(
        None,
        min_length=1,
        description="Texts to read beside the snapshot's: UTF-8, one a line; from this file's folder.",
    )
    held_back_rate: float = Field(0.05, gt=0, lt=1, description="Share of the texts that perplexity is measured on.")
    packing: bool = Field(True, description="Put several texts in a row, none of which sees another.")
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: LearningRate
    checkpoint_steps: CheckpointSteps


def read_config(
    path: Path | None, overrides: Mapping[str, Any], *, is_tiny: Callable[[str], bool] = is_named_tiny
) -> DaptConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes.

    is_tiny: whether a model takes the defaults of the tiny one.
    """
    config = read_flat(DaptConfig, path, overrides, context={"is_tiny": is_tiny})
    if config.text_file is None or path is None:
        return config
    return config.model_copy(update={"text_file": str((path.parent / config.text_file).resolve())})
