"""The longest batch through a whole step, and the weights to disk and back, before any row is learnt from.

A run that dies of its longest batch dies hours after it was started; so that batch comes first. The trial leaves no
trace in weights, gradients or dice: a run with it and one without it end at the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from storage.errors import UserError
from trainers.objectives.losses import IGNORED
from trainers.objectives.token_log_probs import completion_log_probs
from trainers.preflight.memory import MIB, MemoryNeed, Room, count_need, disk_need, kept_bytes
from trainers.preflight.saving import try_saving
from trainers.preflight.weights import require_finite
from trainers.rows.encoding import EncodedRow
from trainers.rows.padding import RightPadding


@dataclass(frozen=True, slots=True)
class Load:
    """A micro-batch at its longest. `lighter` says what to set so that no more than n rows, 1 or more, are held."""

    rows: Sequence[EncodedRow]
    lighter: Callable[[int], str]
    has_reference: bool = False
    is_bfloat16: bool = False
    is_checkpointed: bool = False  # activations are computed anew in the backward pass


@dataclass(frozen=True, slots=True)
class Trial:
    """What a step took. n_tokens: of a row, padded. peak: bytes the device held at most, None on a CPU."""

    n_rows: int
    n_tokens: int
    need: MemoryNeed
    room: Room
    disk: int
    seconds: float
    peak: int | None

    def to_content(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "need": {**asdict(self.need), "total": self.need.total}}


def longest(rows: Sequence[EncodedRow], n: int) -> list[EncodedRow]:
    """Return the n longest rows, the longest first."""
    return sorted(rows, key=lambda row: -(len(row.prompt) + len(row.completion)))[:n]


def try_first(
    model: PreTrainedModel | PeftModel, load: Load, *, pad_token_id: int, folder: Path | None, room: Room, source: str
) -> Trial:
    """Take the longest batch through forward and backward, the weights to disk and back; return what it took.

    UserError names what stands in the way and what to change: weights that are no numbers, a batch that does not fit,
    a disk that is too small. `source` is what the user calls the model. folder: None in a process that writes nothing.
    """
    require_finite(model, source=source)
    batch = _batch(load.rows, pad_token_id, model.device)
    was_training = model.training
    model.train()  # what gradient checkpointing and dropout look at
    try:
        with torch.random.fork_rng(), torch.autocast(model.device.type, torch.bfloat16, enabled=load.is_bfloat16):
            if load.is_checkpointed:
                model.gradient_checkpointing_enable()
            need = _measure(model, load, batch)
            _require_room(need, load, room, batch)
            started = time.monotonic()
            peak = _step(model, load, batch)
            seconds = time.monotonic() - started
            trained = sum(held.numel() * held.element_size() for held in model.parameters() if held.requires_grad)
            disk = disk_need(need, n_trained_bytes=trained)
            if folder is not None:
                try_saving(model, folder, room=room.disk, needed=disk)
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    n_rows, n_tokens = batch["input_ids"].shape
    return Trial(n_rows, n_tokens, need, room, disk, round(seconds, 3), peak)


def _batch(rows: Sequence[EncodedRow], pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    padded = RightPadding(pad_token_id)(
        [
            {
                "input_ids": row.prompt + row.completion,
                "labels": [IGNORED] * len(row.prompt) + row.completion,
                "row": 0,
            }
            for row in rows
        ]
    )
    return {name: padded[name].to(device) for name in ("input_ids", "labels")}


def _loss(model: torch.nn.Module, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    log_probs, is_counted = completion_log_probs(model, input_ids, labels)
    return -log_probs[is_counted].mean()


def _measure(model: torch.nn.Module, load: Load, batch: dict[str, torch.Tensor]) -> MemoryNeed:
    """Return what the batch takes, from what one of its rows keeps when it is projected wherever any of them is."""
    is_projected = (batch["labels"] != IGNORED).any(dim=0, keepdim=True)
    one = batch["input_ids"][:1]
    labels = one.masked_fill(~is_projected, IGNORED)
    per_row = kept_bytes(model, lambda: _loss(model, one, labels)).peak
    return count_need(model, n_rows=len(load.rows), per_row=per_row, has_reference=load.has_reference)


def _require_room(need: MemoryNeed, load: Load, room: Room, batch: dict[str, torch.Tensor]) -> None:
    if need.to_come <= room.memory:
        return
    raise UserError(
        f"{_batch_in_words(batch)} take about {need.total / MIB:.0f} MiB: {need.weights / MIB:.0f} for weights, "
        f"{need.reference / MIB:.0f} for the reference model, {need.gradients / MIB:.0f} for gradients, "
        f"{need.optimizer / MIB:.0f} for the optimizer and {need.activations / MIB:.0f} for the backward pass. Beside "
        f"the weights {room.memory / MIB:.0f} MiB are free. {_remedy(load, need.rows_within(room.memory), batch)}"
    )


def _step(model: torch.nn.Module, load: Load, batch: dict[str, torch.Tensor]) -> int | None:
    """Run the batch forward and backward; return the device's peak in bytes."""
    is_cuda = batch["input_ids"].is_cuda
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    try:
        loss = _loss(model, batch["input_ids"], batch["labels"])
        loss.backward()
        gradients = [held.grad for held in model.parameters() if held.grad is not None]
        is_sound = bool(torch.isfinite(loss)) and bool(
            torch.isfinite(torch.stack(torch._foreach_norm(gradients))).all()
        )
    except RuntimeError as error:  # of which the device's is a kind
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        fewer = len(load.rows) // 2
        raise UserError(f"{_batch_in_words(batch)} do not fit into memory. {_remedy(load, fewer, batch)}") from error
    if not is_sound:
        raise UserError(
            f"{_batch_in_words(batch)} give a loss or a gradient that is not a finite number before anything was "
            'learnt. Take another --model, or precision = "float32" in the --config file'
        )
    return torch.cuda.max_memory_allocated() if is_cuda else None


def _batch_in_words(batch: dict[str, torch.Tensor]) -> str:
    n_rows, n_tokens = batch["input_ids"].shape
    return f"{n_rows} rows of {n_tokens} tokens, the longest batch,"


def _remedy(load: Load, n_rows: int, batch: dict[str, torch.Tensor]) -> str:
    if n_rows >= 1:
        return load.lighter(n_rows)
    return (
        f"Not even one such row fits: set a max_length under {batch['input_ids'].shape[1]}, train fewer weights "
        "(lora_rank = 16), or take a smaller --model"
    )
