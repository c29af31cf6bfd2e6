"""What every training needs whatever it learns: seed, tiers, pace, device, and whom it reports to.

A method's configuration adds what is its own, and gives `warmup_rate` and the like another default where its model
wants one. Every key has a description and bounds: the JSON Schema that `--schema` prints is shown as a form.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Reporter = Literal[
    "azure_ml", "clearml", "codecarbon", "comet_ml", "dagshub", "dvclive", "flyte", "mlflow", "neptune", "swanlab",
    "tensorboard", "trackio", "wandb",
]  # fmt: skip

Epochs = Annotated[int, Field(ge=1, description="How often each row is visited.")]
BatchSize = Annotated[int, Field(ge=1, description="Rows that go through the model at once, over all processes.")]
LearningRate = Annotated[float, Field(gt=0, description="The highest step size, reached after the warm-up.")]
WarmupRate = Annotated[float, Field(ge=0, lt=1, description="Share of the steps in which the learning rate rises.")]
LoggingSteps = Annotated[int, Field(ge=1, description="Steps between two lines of metrics.")]
CheckpointSteps = Annotated[
    int, Field(ge=1, description="Steps between two checkpoints, from which a killed run goes on.")
]


class LoopConfig(BaseModel):
    """What decides any run but its method, its model and the snapshot."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: int = Field(0, ge=0, description="Of the weights that are drawn and of the order of rows.")
    tiers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None, min_length=1, description="The tiers that are trained on, by number; left out: all."
    )
    accumulation_steps: int = Field(1, ge=1, description="Batches whose gradients make one step.")
    learning_rate: LearningRate | None = None  # None: filled in before the loop starts
    warmup_rate: WarmupRate = 0.05
    max_gradient_norm: float = Field(1.0, gt=0, description="A longer gradient is shortened to this.")
    logging_steps: LoggingSteps = 10
    checkpoint_steps: CheckpointSteps = 100
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to compute; auto: on a GPU if there is one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="What to compute in; auto: bfloat16 on a GPU, else float32."
    )
    report_to: tuple[Reporter, ...] = Field(
        (), description="Where metrics go beside the run's folder; each needs its own package and log-in."
    )

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide what is learnt, as JSON: what names a run. Who is told does not."""
        return self.model_dump(mode="json", exclude={"report_to"})


class PlannedConfig(LoopConfig):
    """What decides a run that takes rows in an order planned before the first step."""

    epochs: Epochs | None = None  # None: filled in before the loop starts, as is batch_size
    batch_size: BatchSize | None = None
    lora_rank: int = Field(
        0, ge=0, description="Rank of the low-rank weights that are trained in place of all; 0: all are."
    )
