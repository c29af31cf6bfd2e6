"""TRL's SFT trainer with our loss and our order: answer-first weighting, planned visits, and a stop at the first NaN.

Left out of TRL's path on purpose: its dataset preparation (rows come encoded and checked), its model card (run.json
says more), and its fused head, which on a CPU projects every position; we project only those that predict a token.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from storage.clock import now
from storage.errors import UserError
from trainers.losses import IGNORED, answer_first_loss
from trainers.run_directory import RunDirectory, checkpoint_step
from trainers.token_log_probs import completion_log_probs

LOGGED = ("loss", "grade_loss", "rationale_loss", "grad_norm", "learning_rate")


class PlannedOrder(Sampler[int]):
    """Yields a list of dataset indices as it stands."""

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)


class RightPadding:
    """Collates encoded rows (input_ids, labels, row). Padding stands on the right, so a causal model needs no mask."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        input_ids = torch.full((len(rows), length), self._pad_token_id)
        labels = torch.full((len(rows), length), IGNORED)
        for at, row in enumerate(rows):
            input_ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            labels[at, : len(row["labels"])] = torch.tensor(row["labels"])
        return {"input_ids": input_ids, "labels": labels, "row": torch.tensor([row["row"] for row in rows])}


class AnswerFirstTrainer(SFTTrainer):
    """SFT on answer-first rows.

    grade_weights: loss weight of each grade by token id. order: dataset indices, batch after batch. row_hashes: what
    `row` of the dataset counts through; the hashes of consumed rows are digested into the metrics.
    """

    loss_is_scaled_for_ga = False  # each batch's loss is a mean; the trainer divides by the accumulated batches

    def __init__(
        self,
        *args: Any,
        order: Sequence[int],
        grade_weights: Mapping[int, float],
        grade_weight: float,
        row_hashes: Sequence[str],
        **kwargs: Any,
    ) -> None:
        self._order = PlannedOrder(order)
        self._weight_of_token = dict(grade_weights)
        self._grade_weight = grade_weight
        self._row_hashes = row_hashes
        self._consumed = hashlib.sha256()
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedOrder:  # noqa: ARG002 - the hook's signature
        return self._order

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: it would look things up on the network."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002 - the hook's signature
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the answer-first loss of a batch; UserError when it is not finite."""
        labels, rows = inputs["labels"], inputs["row"].tolist()
        log_probs, is_counted = completion_log_probs(model, inputs["input_ids"], labels)
        grades = [next(token for token in row if token != IGNORED) for row in labels.tolist()]
        row_weights = torch.tensor([self._weight_of_token[token] for token in grades], device=labels.device)
        loss = answer_first_loss(log_probs, is_counted, grade_weight=self._grade_weight, row_weights=row_weights)
        self._consumed.update("".join(self._row_hashes[row] for row in rows).encode())
        if not bool(torch.isfinite(loss.total)):
            self._stop_at_nan(loss.grade, rows)
        self._metrics["train"]["grade_loss"].append(float(loss.grade.detach()))
        if loss.rationale is not None:
            self._metrics["train"]["rationale_loss"].append(float(loss.rationale.detach()))
        return loss.total

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


class RunRecorder(TrainerCallback):
    """Writes metrics and progress, marks checkpoints complete, stops at gradients that are not finite."""

    def __init__(self, run: RunDirectory, *, epochs: int, started_from: int, tell: Any) -> None:
        self._run = run
        self._epochs = epochs
        self._started_from = started_from
        self._tell = tell
        self._started = time.monotonic()
        self._told = 0.0
        self.trainer: AnswerFirstTrainer | None = None

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        gradients = [p.grad for p in kwargs["model"].parameters() if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        if not bool(torch.isfinite(norms).all()):
            raise UserError(
                f"a gradient is not a finite number at step {state.global_step + 1}. Nothing was saved from this step. "
                "Lower learning_rate in the --config file and train again"
            )

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        logs = kwargs["logs"]
        if "loss" not in logs or self.trainer is None:
            return  # the summary at the end
        line = {
            "step": state.global_step,
            "epoch": round(self._epochs * state.global_step / state.max_steps, 4),
            **{name: logs[name] for name in LOGGED if name in logs},
            "rows": self.trainer.take_consumed(),
        }  # fmt: skip
        self._run.append_metrics(line)
        self.tell_progress(state, loss=logs["loss"], told=f"grade loss {logs['grade_loss']:.3f}")

    def tell_progress(self, state: TrainerState, *, loss: float, told: str) -> None:
        """Write the progress file, and a line to whoever listens, no oftener than every five seconds."""
        seconds = time.monotonic() - self._started
        left = seconds / (state.global_step - self._started_from) * (state.max_steps - state.global_step)
        self._run.write_progress(
            done=state.global_step, total=state.max_steps, seconds=round(seconds, 1), seconds_left=round(left, 1),
            loss=loss, at=str(now()),
        )  # fmt: skip
        if seconds - self._told > 5 or state.global_step == state.max_steps:
            self._told = seconds
            self._tell(f"step {state.global_step}/{state.max_steps} · {told} · {left:.0f} s left")

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        self._run.complete_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def started_from(checkpoint: Path | None) -> int:
    """Return the step a run goes on from."""
    return 0 if checkpoint is None else checkpoint_step(checkpoint)
