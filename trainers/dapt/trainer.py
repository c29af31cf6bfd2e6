"""TRL's SFT trainer on packed texts: next-token loss over every target, planned order, a stop at the first NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, TrainerState
from trl import SFTTrainer

from trainers.launching.processes import processes, summed
from trainers.objectives.token_log_probs import completion_log_probs
from trainers.order.planned_order import InPlannedOrder
from trainers.rows.packing import PackedRow, packed_log_probs
from trainers.runs.recorder import RunRecorder, take

LOGGED = ("loss", "grad_norm", "learning_rate")


class TextTrainer(InPlannedOrder, SFTTrainer):
    """Next-token training on packed rows."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002 - the hook's signature
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the mean over a batch's targets, or this process's share of it; UserError when it is not finite.

        Gradients are averaged over processes, so a share counts as often as there are processes.
        """
        log_probs, is_counted = completion_log_probs(
            model, inputs["input_ids"], inputs["labels"], position_ids=inputs["position_ids"]
        )
        (n_targets,) = summed([int(is_counted.sum())], log_probs.device)
        loss = -log_probs[is_counted].sum() / n_targets * processes().n
        self.require_finite_loss(loss)
        return loss


class TextRecorder(RunRecorder):
    """Writes metrics and progress of a run over texts; stops at gradients that are not finite."""

    def line(self, state: TrainerState, logs: Mapping[str, float]) -> dict[str, Any]:
        epoch = round(self._epochs * state.global_step / state.max_steps, 4)
        return {"step": state.global_step, "epoch": epoch, **take(logs, LOGGED)}

    def words(self, state: TrainerState, logs: Mapping[str, float]) -> str:  # noqa: ARG002
        return f"loss {logs['loss']:.3f}"


@dataclass(frozen=True, slots=True)
class Perplexity:
    """exp of the mean negative log-probability of `n_tokens` targets."""

    value: float
    n_tokens: int


def measure_perplexity(
    model: PreTrainedModel, rows: Sequence[PackedRow], *, pad_token_id: int, batch_size: int
) -> Perplexity:
    """Return a model's perplexity on packed rows, of which there is one or more."""
    was_training = model.training
    model.eval()
    total, n_tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            log_probs, is_counted = packed_log_probs(model, rows[start : start + batch_size], pad_token_id=pad_token_id)
            total -= float(log_probs[is_counted].sum(dtype=torch.float64))
            n_tokens += int(is_counted.sum())
    model.train(was_training)
    return Perplexity(math.exp(min(total / n_tokens, 700.0)), n_tokens)  # e^710 is no number any more
