"""The configuration of `train dpo`: flat keys, unknown ones refused.

Learning rate and epochs are those METHODS name for TaoSR1 (arXiv 2508.12365, from detailed notes); the weights of the
dimensions that choose among right answers are our reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from storage.errors import UserError
from trainers.config_file import read_flat
from trainers.models.starting_point import TINY


class DpoConfig(BaseModel):
    """Everything that decides a run of `train dpo` but the snapshot, the rollouts and the edits. Rates lie in 0..1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)  # the run to go on from, and whose rollouts are read: its id or folder
    seed: int = Field(0, ge=0)
    tiers: tuple[int, ...] | None = Field(None, min_length=1)  # None: all
    beta: float = Field(0.1, gt=0)  # how far the policy may leave the reference: less lets it go further
    pairs_per_prompt: int = Field(1, ge=1)  # rejected answers a prompt, at most
    has_edits: bool = True  # what experts rewrote is a pair too
    grade_weight: float = Field(1.0, ge=0)  # of the dimensions that choose among right answers
    grounding_weight: float = Field(1.0, ge=0)
    coherence_weight: float = Field(1.0, ge=0)
    rule_adherence_weight: float = Field(1.0, ge=0)
    brevity_weight: float = Field(0.5, ge=0)
    epochs: int = Field(3, ge=1)
    batch_size: int = Field(8, ge=1)  # pairs; each is two rows
    accumulation_steps: int = Field(1, ge=1)
    learning_rate: float = Field(5e-6, gt=0)
    warmup_rate: float = Field(0.05, ge=0, lt=1)
    max_gradient_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(0, ge=0)  # 0: all weights are trained, and a reference model is held beside them
    logging_steps: int = Field(5, ge=1)
    checkpoint_steps: int = Field(100, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def weights(self) -> Mapping[str, float]:
        """The weight of each dimension of `answer_quality`."""
        return {
            "grade": self.grade_weight,
            "grounding": self.grounding_weight,
            "coherence": self.coherence_weight,
            "rule_adherence": self.rule_adherence_weight,
            "brevity": self.brevity_weight,
        }


def read_config(path: Path | None, overrides: Mapping[str, Any]) -> DpoConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes."""
    config = read_flat(DpoConfig, path, overrides)
    if config.model == TINY:
        raise UserError(
            "train dpo goes on from a model that was trained and sampled; tiny is one from scratch. Train it first: "
            "afrel train sft, then afrel rollout, then afrel train dpo --model run_…"
        )
    return config
