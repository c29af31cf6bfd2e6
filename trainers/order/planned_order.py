"""A trainer that takes rows in an order made before the first step: what sets our trainers apart from TRL's own.

Nothing is drawn while training, so a run that was killed goes on with the very rows an uninterrupted one would have
seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from storage.errors import UserError


def plan_order(n_rows: int, *, epochs: int, seed: int) -> list[int]:
    """Return the order of rows: each once an epoch, drawn anew every time, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [int(at) for _ in range(epochs) for at in random.permutation(n_rows)]


class PlannedOrder(Sampler[int]):
    """Yields a list of dataset indices as it stands."""

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)


class InPlannedOrder:
    """Stands before one of TRL's trainers. order: dataset indices, batch after batch."""

    state: Any  # the trainer's

    def __init__(self, *args: Any, order: Sequence[int], **kwargs: Any) -> None:
        self._order = PlannedOrder(order)
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedOrder:  # noqa: ARG002 - the hook's signature
        return self._order

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: it would look things up on the network."""

    def require_finite_loss(self, loss: torch.Tensor) -> None:
        """Return when a loss is a number; UserError says at which step it is none."""
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"the loss is not a finite number at step {self.state.global_step + 1}. Nothing was saved from this "
                "step. Lower learning_rate in the --config file and train again"
            )
