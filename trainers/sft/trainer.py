"""TRL's SFT trainer with our loss and our order: answer-first weighting, planned visits, and a stop at the first NaN.

Left out of TRL's path on purpose: its dataset preparation (rows come encoded and checked), its model card (run.json
says more), and its fused head, which on a CPU projects every position; we project only those that predict a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from storage.errors import UserError
from trainers.launching.processes import gathered, processes, summed
from trainers.objectives.losses import IGNORED, Whole, answer_first_loss
from trainers.objectives.token_log_probs import completion_log_probs
from trainers.order.curriculum import StageSteps, stage_at
from trainers.order.planned_order import InPlannedOrder
from trainers.rows.padding import FILLER
from trainers.runs.recorder import RunRecorder, take
from trainers.sft.packed_batch import by_piece

LOGGED = ("loss", "grade_loss", "rationale_loss", "grad_norm", "learning_rate")


class AnswerFirstTrainer(InPlannedOrder, SFTTrainer):
    """SFT on answer-first rows.

    grade_weights: loss weight of each grade by token id. row_hashes: what `row` of the dataset counts through; the
    hashes of consumed rows are digested into the metrics.
    """

    def __init__(
        self,
        *args: Any,
        grade_weights: Mapping[int, float],
        grade_weight: float,
        row_hashes: Sequence[str],
        **kwargs: Any,
    ) -> None:
        self._weight_of_token = dict(grade_weights)
        self._grade_weight = grade_weight
        self._row_hashes = row_hashes
        self._consumed = hashlib.sha256()
        super().__init__(*args, **kwargs)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002 - the hook's signature
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the answer-first loss of a batch, or of this process's share of it; UserError when it is not finite.

        Gradients are averaged over processes, so a share counts as often as there are processes.
        """
        labels, is_counted_for = inputs["labels"], inputs["row"] >= 0
        log_probs, is_counted, grades = _targets(model, inputs)
        row_weights = torch.tensor([self._weight_of_token[token] for token in grades.tolist()], device=labels.device)
        rows = [row for row in gathered(inputs["row"]).tolist() if row != FILLER]
        (n_rationale_tokens,) = summed([int((is_counted.sum(dim=1) - 1).sum())], labels.device)
        loss = answer_first_loss(
            log_probs, is_counted, grade_weight=self._grade_weight, row_weights=row_weights * is_counted_for,
            whole=Whole(len(rows), int(n_rationale_tokens)),
        )  # fmt: skip
        self._consumed.update("".join(self._row_hashes[row] for row in rows).encode())
        if not bool(torch.isfinite(loss.total)):
            self._stop_at_nan(loss.grade, rows)
        terms = [loss.grade] if loss.rationale is None else [loss.grade, loss.rationale]
        values = summed([float(term.detach()) for term in terms], labels.device)
        for name, value in zip(("grade_loss", "rationale_loss"), values, strict=False):
            self._metrics["train"][name].append(value)
        return loss.total * processes().n

    def take_consumed(self) -> str:
        """Return the digest of the row hashes consumed since the last call."""
        taken, self._consumed = self._consumed, hashlib.sha256()
        return taken.hexdigest()[:16]

    def _stop_at_nan(self, grade_loss: torch.Tensor, rows: Sequence[int]) -> None:
        term = "rationale" if bool(torch.isfinite(grade_loss)) else "grade"
        raise UserError(
            f"the {term} loss is not a finite number at step {self.state.global_step + 1}, "
            f"rows {[self._row_hashes[row] for row in rows[:3]]}…, learning rate {self._get_learning_rate():.2g}. "
            "Nothing was saved from this step. Lower learning_rate in the --config file and train again"
        )


def _targets(
    model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return log-probabilities of targets and which places hold one, both (B, columns), and the grade tokens (B,)."""
    labels = inputs["labels"]
    if "piece" not in inputs:
        log_probs, is_counted = completion_log_probs(model, inputs["input_ids"], labels)
        first = (labels != IGNORED).int().argmax(dim=1, keepdim=True)
        return log_probs, is_counted, labels.gather(1, first).squeeze(1)
    found, is_target = completion_log_probs(model, inputs["input_ids"], labels, position_ids=inputs["position_ids"])
    is_learnt = labels[:, 1:] != IGNORED
    piece, n = inputs["piece"][:, 1:][is_learnt], len(inputs["row"])
    log_probs, is_counted = by_piece(found[is_target], piece, n=n)
    tokens, _ = by_piece(labels[:, 1:][is_learnt], piece, n=n)
    return log_probs, is_counted, tokens[:, 0]


class SftRecorder(RunRecorder):
    """Writes metrics and progress of an SFT run; of a curriculum in stages also which stage a step is of.

    stages: empty where all tiers are mixed. A stage's last step is logged, so that no logged mean is over two stages.
    """

    def __init__(self, *args: Any, stages: Sequence[StageSteps] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stages = stages
        self.trainer: AnswerFirstTrainer | None = None

    def line(self, state: TrainerState, logs: Mapping[str, float]) -> dict[str, Any]:
        assert self.trainer is not None  # set before the first step
        stage = stage_at(self._stages, state.global_step)
        return {
            "step": state.global_step,
            "epoch": round(self._epochs * state.global_step / state.max_steps, 4),
            **({} if stage is None else {"tier": stage.tier}),
            **take(logs, LOGGED),
            "rows": self.trainer.take_consumed(),
        }

    def words(self, state: TrainerState, logs: Mapping[str, float]) -> str:
        stage = stage_at(self._stages, state.global_step)
        of = "" if stage is None else f"tier {stage.tier}, to step {stage.last_step} · "
        return f"{of}grade loss {logs['grade_loss']:.3f}"

    def more_progress(self, state: TrainerState) -> dict[str, Any]:
        stage = stage_at(self._stages, state.global_step)
        return {} if stage is None else {"stage": asdict(stage)}

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> TrainerControl:
        control.should_log |= any(stage.last_step == state.global_step for stage in self._stages)
        return control
