"""The configuration of `train dpo`: flat keys, unknown ones refused.

Learning rate and epochs are those METHODS name for TaoSR1 (arXiv 2508.12365, from detailed notes); the weights of the
dimensions that choose among right answers are our reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from trainers.configuration.flat_file import read_flat
from trainers.configuration.going_on import GoingOnConfig
from trainers.configuration.loop import Epochs, LearningRate, LoggingSteps, PlannedConfig


class DpoConfig(GoingOnConfig, PlannedConfig):
    """Everything that decides a run of `train dpo` but the snapshot, the rollouts and the edits. Rates lie in 0..1."""

    steps_before = "afrel train sft, then afrel rollout, then afrel train dpo --model run_…"

    model: str = Field(min_length=1, description="The run to go on from, whose rollouts are read: its id or folder.")
    beta: float = Field(0.1, gt=0, description="How near the model stays to where it started: less lets it go further.")
    pairs_per_prompt: int = Field(1, ge=1, description="Rejected answers a prompt, at most.")
    has_edits: bool = Field(True, description="What experts rewrote is a pair too.")
    grade_weight: float = Field(1.0, ge=0, description="What the grade weighs in choosing among right answers.")
    grounding_weight: float = Field(
        1.0, ge=0, description="What it weighs there that reasons say what the pair or the expert says."
    )
    coherence_weight: float = Field(
        1.0, ge=0, description="What it weighs there that the verdict restates the grade and no step is said twice."
    )
    rule_adherence_weight: float = Field(
        1.0, ge=0, description="What it weighs there that cited rules apply and vote the grade."
    )
    brevity_weight: float = Field(0.5, ge=0, description="What brevity weighs there, beside the expert's reasons.")
    epochs: Epochs = 3
    batch_size: int = Field(8, ge=1, description="Pairs that go through the model at once; each is two rows.")
    learning_rate: LearningRate = 5e-6
    lora_rank: int = Field(
        0,
        ge=0,
        description="Rank of the low-rank weights trained in place of all; 0: all are, and a reference is held.",
    )
    logging_steps: LoggingSteps = 5

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
    return read_flat(DpoConfig, path, overrides)
