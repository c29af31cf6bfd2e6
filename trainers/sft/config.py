"""The configuration of `train sft`: flat keys, unknown ones refused, defaults that suit the kind of model.

A tiny model from scratch and a pretrained one want different learning rates, lengths and epochs; what the user leaves
out is filled in by kind. The resolved configuration is what a run records and what names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from trainers.configuration.beginning import BeginningConfig
from trainers.configuration.flat_file import read_flat
from trainers.configuration.loop import BatchSize, CheckpointSteps, Epochs, LearningRate, WarmupRate
from trainers.models.starting_point import is_named_tiny
from trainers.order.curriculum import Curriculum

FEW_ROWS = 6000


class SftConfig(BeginningConfig):
    """Everything that decides a run of `train sft` but the snapshot. Rates lie in 0..1; lengths are in tokens."""

    # What else a tiny model needs follows from the number of rows, see `size_to`.
    tiny_defaults: ClassVar[Mapping[str, Any]] = {
        "weight_decay": 0.1, "warmup_rate": 0.06, "max_length": 512, "max_completion_tokens": 64,
        "checkpoint_steps": 100,
    }  # fmt: skip
    pretrained_defaults: ClassVar[Mapping[str, Any]] = {
        "epochs": 2, "batch_size": 16, "learning_rate": 1e-5, "weight_decay": 0.0, "warmup_rate": 0.04,
        "max_length": 1024, "max_completion_tokens": 256, "rationale_rate": 1.0, "grade_balance": 0.0,
        "checkpoint_steps": 200,
    }  # fmt: skip

    curriculum: Curriculum = Field(
        Curriculum.MIXTURE,
        description="All tiers at once, tier after tier in the order of tiers, or its random control.",
    )
    keep_rate: float = Field(
        0, ge=0, le=0.9, description="Of a sequence: share of a stage's visits that go to rows of the tiers before it."
    )
    has_evidence: bool = Field(True, description="Prompts carry the computed evidence.")
    has_rationale: bool = Field(True, description="Completions carry the rationale behind the grade.")
    rationale_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the visits to a row that carry its rationale; the others its grade alone.",
    )
    packing: bool = Field(False, description="Put several rows of a batch in one, none of which sees another.")
    grade_weight: float = Field(0.5, gt=0, le=1, description="The grade token's share of the loss.")
    grade_balance: float | None = Field(
        None, ge=0, le=1, description="How much rare grades are raised: 0 not at all, 1 until each weighs the same."
    )
    warmup_rate: WarmupRate
    max_completion_tokens: int = Field(ge=1, description="Tokens of grade and rationale; longer rationales are cut.")
    checkpoint_steps: CheckpointSteps

    @model_validator(mode="after")
    def fits_together(self) -> SftConfig:
        if self.max_completion_tokens >= self.max_length:
            raise ValueError("max_completion_tokens must leave room for the prompt: make it less than max_length")
        if self.keep_rate and self.curriculum is Curriculum.MIXTURE:
            raise ValueError(
                'a mixture holds all tiers from the start: leave keep_rate out, or curriculum = "sequence"'
            )
        return self


class SizedSftConfig(SftConfig):
    """A configuration with nothing left open."""

    epochs: Epochs
    batch_size: BatchSize
    learning_rate: LearningRate
    rationale_rate: float
    grade_balance: float


def size_to(config: SftConfig, n_rows: int) -> SizedSftConfig:
    """Return the configuration with what was left open filled in for a number of train rows.

    A model from scratch needs some 250 steps before it knows that a grade comes next, and learns rows by heart soon
    after it has seen them often; so few rows mean small batches, a lower rate and several epochs, many rows two epochs.
    The rates were chosen on dev rows: of the bundled sample (1,740 train rows) and of one public web-search set
    (15,358). A higher grade_balance trades accuracy for macro-F1.
    """
    fitting: dict[str, Any] = {"epochs": max(2, min(10, round(8000 / n_rows)))}
    if n_rows < FEW_ROWS:
        fitting |= {"batch_size": 32, "learning_rate": 1e-3, "grade_balance": 0.4, "rationale_rate": 0.3}
    else:
        fitting |= {"batch_size": 64, "learning_rate": 2e-3, "grade_balance": 0.25, "rationale_rate": 0.15}
    settled = {name: value for name, value in config.model_dump().items() if value is not None}
    return SizedSftConfig.model_validate({**fitting, **settled})


def read_config(
    path: Path | None, overrides: Mapping[str, Any], *, is_tiny: Callable[[str], bool] = is_named_tiny
) -> SftConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes.

    is_tiny: whether a model takes the defaults of the tiny one.
    """
    return read_flat(SftConfig, path, overrides, context={"is_tiny": is_tiny})
