"""Weights to disk and back before training, and what a user is told when the disk fails in the middle of it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from storage.errors import UserError
from trainers.models.pretrained import load_model
from trainers.preflight.memory import MIB
from trainers.runs.directory import RunDirectory, checkpoint_step

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
# How the libraries that write in C++ and Rust word it, which raise errors of their own.
_WORDED = (
    "PytorchStreamWriter", "iostream error", "unexpected pos", "No space left", "File too large", "os error 28",
    "os error 27",
)  # fmt: skip


def try_saving(model: PreTrainedModel | PeftModel, folder: Path, *, room: int, needed: int) -> None:
    """Write the weights into a new folder beside the run's, read them back, compare, and remove it.

    room, needed: bytes that are free and that the whole run writes. UserError when they do not fit, cannot be written
    or come back as others.
    """
    if needed > room:
        raise UserError(
            f"{folder.parent}: {room // MIB} MiB are free, checkpoints and model take about {needed // MIB} MiB. Make "
            "room, train fewer weights (lora_rank = 16), or keep the workspace on a larger disk"
        )
    trial = folder / "trial"
    try:
        model.save_pretrained(str(trial))
        held = _read_back(model, trial)
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_disk(error):
            raise
        raise UserError(
            f"{trial} cannot be written: {_reason(error)}; {shutil.disk_usage(folder).free // MIB} MiB are free, the "
            f"run takes about {needed // MIB} MiB. Make room, then give the same command"
        ) from error
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    wanted = _weights(model)
    other = [name for name, tensor in wanted.items() if name not in held or not torch.equal(tensor.cpu(), held[name])]
    if other:
        raise UserError(
            f"the weights do not come back from disk as they were written: {other[0]} and {len(other) - 1} more. The "
            "libraries or the disk are at fault; look at them: afrel check"
        )


@contextmanager
def telling_of_disk(run: RunDirectory) -> Iterator[None]:
    """Turn a write that fails for the disk's sake into a UserError that says what is kept and how to go on.

    What was half written is removed, to make room; whole checkpoints stay.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_disk(error):
            raise
        run.drop_unfinished()
        raise UserError(
            f"the disk failed while {run.run_id} was written to {run.path}: {_reason(error)}; "
            f"{shutil.disk_usage(run.path).free // MIB} MiB are free. Kept is {_kept(run)}. Make room, then give the "
            "same command: it goes on from there"
        ) from error


def _kept(run: RunDirectory) -> str:
    """Say what a run whose disk failed is left with."""
    if (run.path / "run.json").exists() and run.read()["status"] == "finished":
        return "the whole model"
    last = run.last_checkpoint()
    return f"the checkpoint of step {checkpoint_step(last)}" if last else "nothing but metrics: no checkpoint yet"


def is_disk(error: BaseException) -> bool:
    """Say whether an error, or one it came of, means that the disk is full, read-only or broken."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return True
    if any(words in str(error) for words in _WORDED):
        return True
    return error.__context__ is not None and is_disk(error.__context__)


def _read_back(model: PreTrainedModel | PeftModel, folder: Path) -> Mapping[str, torch.Tensor]:
    if isinstance(model, PeftModel):
        return load_file(folder / "adapter_model.safetensors")
    return load_model(folder, device="cpu").state_dict()


def _weights(model: PreTrainedModel | PeftModel) -> Mapping[str, torch.Tensor]:
    if isinstance(model, PeftModel):
        return dict(get_peft_model_state_dict(model))
    return model.state_dict()


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
