"""What a training step takes in memory and on disk: counted where it can be counted, measured where it cannot.

Weights, gradients and optimizer follow from the number of parameters. What autograd keeps between forward and backward
depends on the architecture, so it is measured on one row and multiplied; formulas for it are wrong for the next model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from trainers.launching.processes import processes

ADAM_BYTES = 8  # two moments of four bytes a trained weight
N_CHECKPOINTS = 3  # two are kept while the third is written
MIB = 2**20
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes a training step takes, by what they hold. `per_row` is what the backward pass takes, a row."""

    weights: int
    gradients: int
    optimizer: int
    reference: int
    per_row: int
    n_rows: int

    @property
    def activations(self) -> int:
        return self.n_rows * self.per_row

    @property
    def total(self) -> int:
        return self.weights + self.reference + self.to_come

    @property
    def to_come(self) -> int:
        """What a step takes beside the weights, which lie on the device already."""
        return self.gradients + self.optimizer + self.activations

    def rows_within(self, free: int) -> int:
        """Return how many rows a batch may have where so many bytes are free; 0 when not even one fits."""
        left = free - self.gradients - self.optimizer
        return max(0, left // self.per_row) if self.per_row else self.n_rows


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that are free: `memory` on the device, where the weights lie already, and `disk` in the run's folder."""

    memory: int
    disk: int


def count_need(model: torch.nn.Module, *, n_rows: int, per_row: int, has_reference: bool) -> MemoryNeed:
    """Return what training a model with Adam takes; a reference model is as large as the model."""
    weights = sum(held.numel() * held.element_size() for held in (*model.parameters(), *model.buffers()))
    trained = [held for held in model.parameters() if held.requires_grad]
    return MemoryNeed(
        weights=weights,
        gradients=sum(held.numel() * held.element_size() for held in trained),
        optimizer=ADAM_BYTES * sum(held.numel() for held in trained),
        reference=weights if has_reference else 0,
        per_row=per_row,
        n_rows=n_rows,
    )


def disk_need(need: MemoryNeed, *, n_trained_bytes: int) -> int:
    """Return the bytes a run writes at most: its checkpoints (what is trained and the optimizer) and the model."""
    return N_CHECKPOINTS * (n_trained_bytes + need.optimizer) + need.weights


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes autograd keeps between forward and backward: in all, and of the largest tensor among them."""

    total: int
    largest: int

    @property
    def peak(self) -> int:
        """What is held at most: beside all that was kept, the gradients before and behind the largest tensor.

        With a large vocabulary that is the log-probabilities, and these two are as much as all the rest.
        """
        return self.total + 2 * self.largest


def kept_bytes(model: torch.nn.Module, compute: Callable[[], torch.Tensor]) -> Kept:
    """Return what autograd keeps for the backward pass of what `compute` returns, the weights themselves aside."""
    own = {held.untyped_storage().data_ptr() for held in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()  # several views of one storage count once
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = compute()  # held until all is counted: what is freed could be counted twice
    del result
    return Kept(sum(kept.values()), max(kept.values(), default=0))


def find_room(device: str, folder: Path) -> Room:
    """Return what is free on a device ('cpu', 'cuda') and on the disk of a folder that exists.

    Processes share the main memory; of GPUs each has its own.
    """
    disk = shutil.disk_usage(folder).free
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info()
        return Room(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated(), disk)
    return Room(_free_main_memory() // processes().n, disk)


def _free_main_memory() -> int:
    """Return the free main memory, as far as this process's group may use it."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        # what the group holds of files may be dropped at any moment
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return free if limit == "max" else min(free, int(limit) - used + int(stat["inactive_file"]))
    except (OSError, ValueError, KeyError):
        return free  # no such limit here
