"""The configuration of `train grpo`: flat keys, unknown ones refused.

Defaults are those of DyKnow-RAG (arXiv 2510.11122) where it states one. The weight of the expert rows, 0.1, is that of
LREM; that they are drawn evenly over rules is what our own study found best (docs/evidence.md, also on larger weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.errors import UserError
from trainers.config_file import read_flat
from trainers.forgetting.alarms import AlarmBounds, OnAlarm
from trainers.models.starting_point import TINY
from trainers.objectives.advantages import AdvantageMethod
from trainers.objectives.mode_balance import Draw, Schedule


class GrpoConfig(BaseModel):
    """Everything that decides a run of `train grpo` but the snapshot. Rates lie in 0..1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)  # the run to go on from: its id or folder
    seed: int = Field(0, ge=0)
    tiers: tuple[int, ...] | None = Field(None, min_length=1)  # None: all
    method: AdvantageMethod = AdvantageMethod.STEP
    is_grade_exact: bool = False  # the grade token by its exact expected gradient instead of the sampled one
    n_steps: int = Field(200, ge=1)
    prompts_per_step: int = Field(16, ge=1)
    group_size: int = Field(16, ge=2)  # rollouts of a prompt
    accumulation_steps: int = Field(1, ge=1)  # micro-batches the rollouts of a step are split into
    prompt_draw: Draw = Draw.BALANCED  # over the grades
    max_rounds: int = Field(4, ge=1)  # draws a step, until enough groups have a signal
    accuracy_low: float = Field(0.01, ge=0, le=1)  # of the outcome and sam methods: which groups are kept
    accuracy_high: float = Field(0.9, ge=0, le=1)
    learning_rate: float = Field(1e-6, gt=0)
    warmup_rate: float = Field(0.05, ge=0, lt=1)
    max_gradient_norm: float = Field(1.0, gt=0)
    clip: float = Field(0.2, gt=0, lt=1)
    kl_weight: float = Field(0.02, ge=0)  # 0: no reference model is held
    advantage_clamp: float = Field(2.0, gt=0)
    temperature: float = Field(0.99, gt=0)
    top_k: int = Field(100, ge=0)  # 0: all tokens
    sft_weight: float = Field(0.1, ge=0)
    sft_schedule: Schedule = Schedule.CONSTANT
    sft_weight_end: float = Field(0.0, ge=0)  # of the linear schedule
    sft_draw: Draw = Draw.BALANCED  # over the rules
    sft_rows: int = Field(16, ge=1)  # expert rows a micro-batch
    alarm_steps: int = Field(25, ge=1)  # between measurements of what is forgotten; the first is before step 1
    alarm_pairs: int = Field(512, ge=1)  # held-back dev pairs at most, drawn evenly over the rules
    alarm_level: float = Field(0.05, gt=0, lt=1)  # the chance of a false alarm, a measurement
    alarm_fall: float = Field(0.05, ge=0, le=1)  # of a slice's recall: a smaller one rings nothing
    alarm_rise: float = Field(0.1, ge=0)  # of the expert traces' nats a token, likewise
    on_alarm: OnAlarm = OnAlarm.TELL
    logging_steps: int = Field(5, ge=1)
    checkpoint_steps: int = Field(50, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def n_rollouts(self) -> int:
        """How many completions a step is made of."""
        return self.prompts_per_step * self.group_size

    @property
    def alarm_bounds(self) -> AlarmBounds:
        """When the forgetting alarm rings."""
        return AlarmBounds(self.alarm_level, self.alarm_fall, self.alarm_rise)

    @model_validator(mode="after")
    def fits_together(self) -> GrpoConfig:
        if self.n_rollouts % self.accumulation_steps:
            raise ValueError(
                f"prompts_per_step × group_size = {self.n_rollouts} rollouts cannot be split into accumulation_steps "
                f"= {self.accumulation_steps} equal micro-batches"
            )
        if self.accuracy_low > self.accuracy_high:
            raise ValueError("accuracy_low must not lie above accuracy_high")
        return self


def read_config(path: Path | None, overrides: Mapping[str, Any]) -> GrpoConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes."""
    config = read_flat(GrpoConfig, path, {"model": None, **overrides})
    if config.model == TINY:
        raise UserError(
            "train grpo goes on from a model that was trained; tiny is one from scratch. Train it first: "
            "afrel train sft, then afrel train grpo --model run_…"
        )
    return config
