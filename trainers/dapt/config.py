"""The configuration of `train dapt`: flat keys, unknown ones refused, defaults that suit the kind of model.

Rates and lengths are ours; the literature names the step (arXiv 2510.11056) and not its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from trainers.config_file import read_flat
from trainers.models.starting_point import TINY, is_named_tiny
from trainers.sft.config import nothing_required

TINY_DEFAULTS: Mapping[str, Any] = {
    "epochs": 3, "batch_size": 8, "learning_rate": 2e-3, "weight_decay": 0.1, "max_length": 512,
    "checkpoint_steps": 100,
}  # fmt: skip
PRETRAINED_DEFAULTS: Mapping[str, Any] = {
    "epochs": 1, "batch_size": 8, "learning_rate": 2e-5, "weight_decay": 0.0, "max_length": 1024,
    "checkpoint_steps": 200,
}  # fmt: skip


class DaptConfig(BaseModel):
    """Everything that decides a run of `train dapt` but the snapshot and what lies in the text file."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=nothing_required)

    model: str = Field(TINY, min_length=1)  # 'tiny', a Hugging Face id, a folder, or a run
    text_file: str | None = Field(None, min_length=1)  # UTF-8, a text a line; from the --config file's folder
    held_back_rate: float = Field(0.05, gt=0, lt=1)  # share of the texts that perplexity is measured on
    packing: bool = True  # several texts in a row, none of which sees another
    seed: int = Field(0, ge=0)
    tiers: tuple[int, ...] | None = Field(None, min_length=1)  # None: all
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulation_steps: int = Field(1, ge=1)
    learning_rate: float = Field(gt=0)
    warmup_rate: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    max_length: int = Field(ge=32)  # tokens of a row
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
        return {**(TINY_DEFAULTS if is_tiny(model) else PRETRAINED_DEFAULTS), **given}

    @model_validator(mode="after")
    def fits_together(self) -> DaptConfig:
        if self.tiny_hidden_size % (2 * self.tiny_heads):
            raise ValueError("tiny_hidden_size must be an even multiple of tiny_heads")
        return self


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
