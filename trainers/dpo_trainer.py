"""TRL's DPO trainer on pairs that come encoded and checked, in a planned order, with a stop at the first NaN.

Left out of TRL's path on purpose: its dataset preparation, which would tokenize anew and append an end token to
completions that were cut, and its model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments
from trl import DPOTrainer

from storage.errors import UserError
from trainers.sft_trainer import PlannedOrder, RunRecorder

LOGGED = (
    "loss", "rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected", "logps/chosen",
    "logps/rejected", "entropy", "grad_norm", "learning_rate",
)  # fmt: skip


def plan_order(n_pairs: int, *, epochs: int, seed: int) -> list[int]:
    """Return the order of pairs: each once an epoch, drawn anew every time, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [int(at) for _ in range(epochs) for at in random.permutation(n_pairs)]


class PreferenceTrainer(DPOTrainer):
    """DPO on rows with prompt_ids, chosen_ids and rejected_ids. order: dataset indices, batch after batch."""

    def __init__(self, *args: Any, order: Sequence[int], **kwargs: Any) -> None:
        self._order = PlannedOrder(order)
        super().__init__(*args, **kwargs)

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - the hook's signature
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedOrder:  # noqa: ARG002
        return self._order

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: it would look things up on the network."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return TRL's loss; UserError when it is not finite."""
        made = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss = made[0] if return_outputs else made
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"the loss is not a finite number at step {self.state.global_step + 1}. Nothing was saved from this "
                "step. Lower learning_rate in the --config file and train again"
            )
        return made


class DpoRecorder(RunRecorder):
    """Writes metrics and progress of a DPO run; stops at gradients that are not finite."""

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        logs = kwargs["logs"]
        if "loss" not in logs:
            return  # the summary at the end
        self._run.append_metrics({"step": state.global_step, **{name: logs[name] for name in LOGGED if name in logs}})
        self.tell_progress(state, loss=logs["loss"], told=f"{logs['rewards/accuracies']:.0%} of pairs in order")
