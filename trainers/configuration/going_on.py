"""What `train dpo` and `train grpo` have in common: they go on from a run that grades already."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from trainers.configuration.loop import LoopConfig
from trainers.models.starting_point import TINY


class GoingOnConfig(LoopConfig):
    """What decides a run that goes on from another."""

    steps_before: ClassVar[str]  # the commands that lead to such a run

    model: str = Field(min_length=1, description="The run to go on from: its id or folder.")

    @field_validator("model")
    @classmethod
    def is_trained(cls, model: str) -> str:
        if model == TINY:
            raise ValueError(
                f"tiny is one from scratch, and this goes on from a run that grades. Train it first: {cls.steps_before}"
            )
        return model
