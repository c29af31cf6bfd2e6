"""The processes that take the steps of one run together; one alone unless `launching.worker` started them.

Each computes the gradient of its share of a batch, and the gradients are summed: a step is that of one process with the
whole batch. What must be equal for that is here: the plan, and the counts a mean is divided by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from storage.errors import UserError


@dataclass(frozen=True, slots=True)
class Processes:
    """How many processes there are, and which of them this one is, from 0."""

    n: int
    rank: int

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0


def processes() -> Processes:
    """Return the processes of this run."""
    if not dist.is_initialized():
        return Processes(1, 0)
    return Processes(dist.get_world_size(), dist.get_rank())


def share_of_batch(batch_size: int) -> int:
    """Return how many rows of a batch each process takes; UserError when they do not split evenly."""
    n = processes().n
    if batch_size % n:
        raise UserError(
            f"batch_size = {batch_size} does not split over {n} processes. Set batch_size = {-(-batch_size // n) * n} "
            "in the --config file, or num_processes in the accelerate configuration"
        )
    return batch_size // n


def require_same(what: str, value: str) -> None:
    """Return when all processes have the same value; UserError when they differ."""
    n = processes().n
    if n == 1:
        return
    held: list[Any] = [None] * n
    dist.all_gather_object(held, value)
    if len(set(held)) > 1:
        raise UserError(
            f"the {n} processes do not agree on {what}: {', '.join(held)}. They must see the same files, code and "
            "libraries. Train in one process: leave --launcher out"
        )


def gathered(values: torch.Tensor) -> torch.Tensor:
    """Return the values (n,) of all processes behind one another, in their order."""
    n = processes().n
    if n == 1:
        return values
    held = [torch.empty_like(values) for _ in range(n)]
    dist.all_gather(held, values.contiguous())
    return torch.cat(held)


def summed(values: Sequence[float], device: torch.device) -> list[float]:
    """Return the sum over all processes of each value."""
    if processes().n == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return [float(value) for value in total.tolist()]


def wait_for_all() -> None:
    """Return when every process has come here."""
    if processes().n > 1:
        dist.barrier()
