"""What a run tells while it trains: a line of metrics and of progress a log, a mark on each whole checkpoint.

One recorder for all methods; what a line says is a method's own. A gradient that is no number stops the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from storage.clock import now
from storage.errors import UserError
from trainers.launching.processes import wait_for_all
from trainers.runs.directory import RunDirectory


class RunRecorder(TrainerCallback):
    """Writes metrics and progress, marks checkpoints complete, stops at gradients that are not finite."""

    def __init__(self, run: RunDirectory, *, epochs: int, started_from: int, tell: Callable[[str], None]) -> None:
        self._run = run
        self._epochs = epochs
        self._started_from = started_from
        self._tell = tell
        self._started = time.monotonic()
        self._told = 0.0

    def line(self, state: TrainerState, logs: Mapping[str, float]) -> dict[str, Any]:
        """Return a line of metrics."""
        raise NotImplementedError

    def words(self, state: TrainerState, logs: Mapping[str, float]) -> str:
        """Return what a line of progress says of the model."""
        raise NotImplementedError

    def more_progress(self, state: TrainerState) -> dict[str, Any]:  # noqa: ARG002
        """Return what the progress file says beside steps, time and loss."""
        return {}

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
        if "loss" not in logs:
            return  # the summary at the end
        self._run.append_metrics(self.line(state, logs))
        self.tell_progress(state, loss=logs["loss"], told=self.words(state, logs))

    def tell_progress(self, state: TrainerState, *, loss: float, told: str) -> None:
        """Write the progress file, and a line to whoever listens, no oftener than every five seconds."""
        seconds = time.monotonic() - self._started
        left = seconds / (state.global_step - self._started_from) * (state.max_steps - state.global_step)
        self._run.write_progress(
            done=state.global_step, total=state.max_steps, seconds=round(seconds, 1), seconds_left=round(left, 1),
            loss=loss, at=str(now()), **self.more_progress(state),
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
        assert args.output_dir is not None
        wait_for_all()  # weights that are spread over processes are written by each of them
        self._run.complete_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def take(logs: Mapping[str, float], names: tuple[str, ...]) -> dict[str, float]:
    """Return what was logged under some names, in their order."""
    return {name: logs[name] for name in names if name in logs}
