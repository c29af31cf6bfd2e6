"""The configuration of `train sft`: flat keys, unknown ones refused, defaults that suit the kind of model.

A tiny model from scratch and a pretrained one want different learning rates, lengths and epochs; what the user leaves
out is filled in by kind. The resolved configuration is what a run records and what names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from trainers.config_file import read_flat
from trainers.models.starting_point import TINY, is_named_tiny
from trainers.order.curriculum import Curriculum

# What else a tiny model needs follows from the number of rows, see `size_to`.
TINY_DEFAULTS: Mapping[str, Any] = {
    "weight_decay": 0.1,
    "warmup_rate": 0.06,
    "max_length": 512,
    "max_completion_tokens": 64,
    "checkpoint_steps": 100,
}
PRETRAINED_DEFAULTS: Mapping[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 1e-5,
    "weight_decay": 0.0,
    "warmup_rate": 0.04,
    "max_length": 1024,
    "max_completion_tokens": 256,
    "rationale_rate": 1.0,
    "grade_balance": 0.0,
    "checkpoint_steps": 200,
}


FEW_ROWS = 6000


def nothing_required(schema: dict[str, Any]) -> None:
    """Say in the schema what `fill_by_kind` does: every key may be left out."""
    schema.pop("required", None)


class SftConfig(BaseModel):
    """Everything that decides a run of `train sft` but the snapshot. Rates lie in 0..1; lengths are in tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=nothing_required)

    model: str = Field(TINY, min_length=1)  # 'tiny', a Hugging Face id, a folder, or a run
    seed: int = Field(0, ge=0)
    tiers: tuple[int, ...] | None = Field(None, min_length=1)  # None: all; a sequence takes them in this order
    curriculum: Curriculum = Curriculum.MIXTURE
    keep_rate: float = Field(0, ge=0, le=0.9)  # share of a stage's visits that go to rows of the tiers before it
    has_evidence: bool = True  # prompts carry the computed evidence
    has_rationale: bool = True  # completions carry the rationale
    # None, for a tiny model: by the number of rows; so too grade_balance, learning_rate, epochs and batch_size
    rationale_rate: float | None = Field(None, ge=0, le=1)  # share of the visits to a row that carry its rationale
    grade_weight: float = Field(0.5, gt=0, le=1)  # the grade token's share of the loss
    grade_balance: float | None = Field(None, ge=0, le=1)  # 0: grades as they are, 1: each grade weighs the same
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    accumulation_steps: int = Field(1, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    warmup_rate: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    max_length: int = Field(ge=32)
    max_completion_tokens: int = Field(ge=1)
    lora_rank: int = Field(0, ge=0)  # 0: all weights are trained
    logging_steps: int = Field(10, ge=1)
    checkpoint_steps: int = Field(ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    tiny_vocabulary: int = Field(6000, ge=300)
    tiny_hidden_size: int = Field(128, ge=8)
    tiny_layers: int = Field(2, ge=1)
    tiny_heads: int = Field(4, ge=1)

    @model_validator(mode="before")
    @classmethod
    def fill_by_kind(cls, given: Any, asked: ValidationInfo) -> Any:
        if not isinstance(given, Mapping):
            return given
        model, is_tiny = str(given.get("model", TINY)), (asked.context or {}).get("is_tiny", is_named_tiny)
        defaults = TINY_DEFAULTS if is_tiny(model) else PRETRAINED_DEFAULTS
        return {**defaults, **given}

    @model_validator(mode="after")
    def fits_together(self) -> SftConfig:
        if self.max_completion_tokens >= self.max_length:
            raise ValueError("max_completion_tokens must leave room for the prompt: make it less than max_length")
        if self.keep_rate and self.curriculum is Curriculum.MIXTURE:
            raise ValueError(
                'a mixture holds all tiers from the start: leave keep_rate out, or curriculum = "sequence"'
            )
        if self.tiny_hidden_size % (2 * self.tiny_heads):
            raise ValueError("tiny_hidden_size must be an even multiple of tiny_heads")
        return self


def size_to(config: SftConfig, n_rows: int) -> SftConfig:
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
    return config.model_copy(update={name: v for name, v in fitting.items() if getattr(config, name) is None})


def read_config(
    path: Path | None, overrides: Mapping[str, Any], *, is_tiny: Callable[[str], bool] = is_named_tiny
) -> SftConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes.

    is_tiny: whether a model takes the defaults of the tiny one.
    """
    return read_flat(SftConfig, path, overrides, context={"is_tiny": is_tiny})
