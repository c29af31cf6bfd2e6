"""Watches a run while it trains: measures every so many steps, tells what is forgotten, and ends the run if it is to.

The first measurement comes before the first step. With `rollback` the weights of the best point are kept beside the
checkpoints; those of earlier bests go only when a checkpoint is whole, for a killed run goes back to one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from storage import durable
from trainers.forgetting.alarms import AlarmBounds, OnAlarm, changes
from trainers.forgetting.held_back import HeldBack, Measured, measure
from trainers.forgetting.points import Point, append_point, best_point, read_start, rewind_points, write_start
from trainers.models.pretrained import load_model
from trainers.models.ranker import Ranker
from trainers.preflight.weights import require_finite
from trainers.runs.directory import RunDirectory

N_TOLD = 8


class ForgettingWatch(TrainerCallback):
    """Measures the ranker's model as it trains. every: steps between points; n_rows: expert rows asked at once.

    `points` are what was measured; `kept_step` is the step whose weights the model has at the end.
    """

    def __init__(
        self,
        run: RunDirectory,
        held: HeldBack,
        ranker: Ranker,
        *,
        bounds: AlarmBounds,
        on_alarm: OnAlarm,
        every: int,
        n_rows: int,
        n_completion_tokens: int,
        tell: Callable[[str], None],
    ) -> None:
        self._run = run
        self._held = held
        self._ranker = ranker
        self._bounds = bounds
        self._on_alarm = on_alarm
        self._every = every
        self._n_rows = n_rows
        self._n_completion_tokens = n_completion_tokens
        self._tell = tell
        self.points: list[Point] = []
        self.kept_step = 0

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the hook's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Measure the start, or take up what a killed run measured up to the step it goes on from."""
        step = self.kept_step = state.global_step
        self.points = rewind_points(self._run, step)
        if step or self.points:
            self._start = read_start(self._run, self._held.digest, has_points=bool(self.points))
        else:
            measured = self._measure(step)
            self._start = measured.answers
            write_start(self._run, self._start, self._held.digest)
            self._add(measured, step)
        if self._on_alarm is OnAlarm.ROLLBACK and not step and not self._weights(step).exists():
            self._keep_weights(step)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        step = self.kept_step = state.global_step
        if step % self._every and step != state.max_steps:
            return
        point = self._add(self._measure(step), step)
        if self._on_alarm is OnAlarm.ROLLBACK and best_point(self.points).step == step:
            self._keep_weights(step)
        if point.alarms and self._on_alarm is not OnAlarm.TELL:
            self._tell(f"the alarm ends the run at step {step} of {state.max_steps}")
            control.should_training_stop = True
            control.should_save = False  # no checkpoint is of an ended run: one that is killed here ends here again

    def on_save(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Drop the weights of points that are no longer the best."""
        best = self._weights(best_point(self.points).step)
        for path in self._folder.glob("step-*"):
            if path != best:
                shutil.rmtree(path, ignore_errors=True)

    def on_train_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Put the best point's weights back into the model when an alarm ended the run and they are asked for."""
        if self._on_alarm is not OnAlarm.ROLLBACK or not self.points[-1].alarms:
            return
        kept = [point for point in self.points if self._weights(point.step).exists()]
        self.kept_step = best_point(kept or self.points).step
        best = load_model(self._weights(self.kept_step), device=str(self._ranker.model.device))
        self._ranker.model.load_state_dict(best.state_dict())
        self._tell(f"rolled back to the weights after step {self.kept_step}")

    def drop_weights(self) -> None:
        """Remove the weights of a finished run's points."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self._run.path / "best"

    def _weights(self, step: int) -> Path:
        return self._folder / f"step-{step}"

    def _keep_weights(self, step: int) -> None:
        """Write the model as it is now; a folder under its own name is whole."""
        half = self._folder / f".step-{step}"
        shutil.rmtree(half, ignore_errors=True)
        shutil.rmtree(self._weights(step), ignore_errors=True)
        self._ranker.model.save_pretrained(half, safe_serialization=True)
        durable.sync_tree(half)
        os.replace(half, self._weights(step))
        durable.sync(self._folder)

    def _measure(self, step: int) -> Measured:
        require_finite(self._ranker.model, source=f"{self._run.run_id} after step {step}")
        return measure(self._held, self._ranker, n_completion_tokens=self._n_completion_tokens, n_rows=self._n_rows)

    def _add(self, measured: Measured, step: int) -> Point:
        """Compare with the start, write the point down and tell it."""
        found = changes(self._held.slices, self._start, measured.answers, self._bounds)
        traces = found[-1]
        point = Point(
            step, len(self._held.prompts), measured.reward, measured.rewards, measured.grade_entropy, traces.after,
            traces.after - traces.before, found,
        )  # fmt: skip
        self.points.append(point)
        append_point(self._run, point)
        self._tell(
            f"held back at step {step}: reward {point.reward:.3f} on {point.n} pairs · grade entropy "
            f"{point.grade_entropy:.3f} · expert traces {point.nll_rise:+.3f} nats a token"
        )
        for one in point.alarms[:N_TOLD]:
            self._tell(f"FORGETTING at step {step}: {one.told()}")
        if len(point.alarms) > N_TOLD:
            self._tell(f"FORGETTING at step {step}: {len(point.alarms) - N_TOLD} more, see forgetting.jsonl")
        return point
