"""The configuration of `train grpo`: flat keys, unknown ones refused.

Defaults are those of DyKnow-RAG (arXiv 2510.11122) where it states one. What keeps rare rules is of our own study
(docs/evidence.md): a quarter of the prompts and all expert rows are drawn evenly over rules, and the rows weigh 0.3
beside the reward where those of LREM weigh 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from trainers.configuration.flat_file import read_flat
from trainers.configuration.going_on import GoingOnConfig
from trainers.configuration.loop import CheckpointSteps, LearningRate, LoggingSteps
from trainers.forgetting.alarms import AlarmBounds, OnAlarm
from trainers.objectives.advantages import AdvantageMethod
from trainers.objectives.mode_balance import Draw, Schedule


class GrpoConfig(GoingOnConfig):
    """Everything that decides a run of `train grpo` but the snapshot. Rates lie in 0..1."""

    steps_before = "afrel train sft, then afrel train grpo --model run_…"

    method: AdvantageMethod = Field(
        AdvantageMethod.STEP, description="What a reward moves: step by step, the whole answer, or its fitting parts."
    )
    is_grade_exact: bool = Field(
        False, description="Train the grade token by its exact expected gradient instead of by samples."
    )
    n_steps: int = Field(200, ge=1, description="How many steps are taken.")
    prompts_per_step: int = Field(16, ge=1, description="Train prompts a step samples answers to.")
    group_size: int = Field(16, ge=2, description="Answers that are sampled to a prompt.")
    accumulation_steps: int = Field(1, ge=1, description="Micro-batches the answers of a step are split into.")
    prompt_draw: Draw = Field(Draw.BALANCED, description="Prompts are drawn evenly over the grades, or as they come.")
    prompts_by_rule: float = Field(
        0.25, ge=0, le=1, description="Share of a step's prompts that are drawn evenly over the rules they fall under."
    )
    max_rounds: int = Field(4, ge=1, description="Draws a step at most, until enough groups of answers disagree.")
    accuracy_low: float = Field(
        0.01, ge=0, le=1, description="Of outcome and sam: groups with a smaller share of right grades are left out."
    )
    accuracy_high: float = Field(
        0.9, ge=0, le=1, description="Of outcome and sam: groups with a larger share of right grades are left out."
    )
    expert_below: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Groups with a smaller share of right answers get the expert's in place of a wrong one; 0: none.",
    )
    learning_rate: LearningRate = 1e-6
    clip: float = Field(0.2, gt=0, lt=1, description="How far a token's probability ratio counts from 1.")
    kl_weight: float = Field(0.02, ge=0, description="Pull towards the start; 0: no reference model is held.")
    advantage_clamp: float = Field(2.0, gt=0, description="Larger advantages are cut to this.")
    temperature: float = Field(0.99, gt=0, description="Of the sampling: more gives more various answers.")
    top_k: int = Field(100, ge=0, description="Of the sampling: likeliest tokens that are drawn from; 0: all.")
    use_vllm: bool = Field(False, description="Sample by vLLM, through TRL, instead of by the model itself.")
    vllm_mode: Literal["colocate", "server"] = Field(
        "colocate", description="Of vLLM: on the GPU that trains, or a server of its own (trl vllm-serve)."
    )
    vllm_server_base_url: str | None = Field(
        None, pattern="^https?://.", description="Of vLLM as a server: its address, such as http://127.0.0.1:8000."
    )
    vllm_gpu_memory_utilization: float = Field(
        0.3, gt=0, le=1, description="Of vLLM on the GPU that trains: the share of its memory."
    )
    sft_weight: float = Field(0.3, ge=0, description="Weight of the expert rows beside the reward.")
    sft_schedule: Schedule = Field(
        Schedule.CONSTANT,
        description="How that weight goes: the same, straight to sft_weight_end, or with the entropy.",
    )
    sft_weight_end: float = Field(0.0, ge=0, description="Of the linear schedule: the weight at the last step.")
    sft_draw: Draw = Field(Draw.BALANCED, description="Expert rows are drawn evenly over their rules, or as they come.")
    sft_rows: int = Field(16, ge=1, description="Expert rows a micro-batch.")
    alarm_steps: int = Field(
        25, ge=1, description="Steps between two looks at what is forgotten; the first is before step 1."
    )
    alarm_pairs: int = Field(
        512, ge=1, description="Held-back dev pairs looked at, at most, drawn evenly over the rules."
    )
    alarm_level: float = Field(0.05, gt=0, lt=1, description="The chance of a false alarm, a look.")
    alarm_fall: float = Field(0.05, ge=0, le=1, description="A smaller fall of a slice's recall rings nothing.")
    alarm_rise: float = Field(
        0.1, ge=0, description="A smaller rise of the expert answers' nats a token rings nothing."
    )
    on_alarm: OnAlarm = Field(
        OnAlarm.TELL, description="What an alarm does: it is told, stops the run, or brings the best weights back."
    )
    logging_steps: LoggingSteps = 5
    checkpoint_steps: CheckpointSteps = 50

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
        if self.use_vllm and self.expert_below:
            raise ValueError("expert_below gives groups an answer that vLLM did not sample: leave one of them out")
        if self.use_vllm and (self.vllm_mode == "server") != (self.vllm_server_base_url is not None):
            raise ValueError('vllm_mode = "server" and vllm_server_base_url go together: give both or neither')
        return self


def read_config(path: Path | None, overrides: Mapping[str, Any]) -> GrpoConfig:
    """Read a flat TOML file, then lay the options of the command line over it; one UserError for all mistakes."""
    return read_flat(GrpoConfig, path, overrides)
