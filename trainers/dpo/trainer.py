"""TRL's DPO trainer on pairs that come encoded and checked, in a planned order, with a stop at the first NaN.

Left out of TRL's path on purpose: its dataset preparation, which would tokenize anew and append an end token to
completions that were cut, and its model card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import TrainerState
from trl import DPOTrainer

from trainers.order.planned_order import InPlannedOrder
from trainers.runs.recorder import RunRecorder, take

LOGGED = (
    "loss", "rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected", "logps/chosen",
    "logps/rejected", "entropy", "grad_norm", "learning_rate",
)  # fmt: skip


class PreferenceTrainer(InPlannedOrder, DPOTrainer):
    """DPO on rows with prompt_ids, chosen_ids and rejected_ids. order: dataset indices, batch after batch."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - the hook's signature
        return dataset

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return TRL's loss; UserError when it is not finite."""
        theirs: Callable[..., Any] = super().compute_loss
        made = theirs(model, inputs, return_outputs, num_items_in_batch)
        self.require_finite_loss(made[0] if return_outputs else made)
        return made


class DpoRecorder(RunRecorder):
    """Writes metrics and progress of a DPO run; stops at gradients that are not finite."""

    def line(self, state: TrainerState, logs: Mapping[str, float]) -> dict[str, Any]:
        return {"step": state.global_step, **take(logs, LOGGED)}

    def words(self, state: TrainerState, logs: Mapping[str, float]) -> str:  # noqa: ARG002
        return f"{logs['rewards/accuracies']:.0%} of pairs in order"
