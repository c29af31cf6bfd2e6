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
from trainers.launching.processes import processes


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


def filled_up(order: Sequence[int], *, batch_size: int, filler: int) -> list[int]:
    """Return an order whose last batch is whole: processes that share it must each have as many rows."""
    return [*order, *[filler] * (-len(order) % batch_size)]


class InPlannedOrder:
    """Stands before one of TRL's trainers. order: dataset indices, batch after batch.

    filler: the index of a row that counts for nothing, for a trainer that several processes may share.
    """

    state: Any  # the trainer's, as is args
    args: Any
    loss_is_scaled_for_ga: Any = False  # a batch's loss is a mean; the trainer divides by the accumulated batches

    def __init__(self, *args: Any, order: Sequence[int], filler: int | None = None, **kwargs: Any) -> None:
        self._order = list(order)
        self._filler = filler
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedOrder:  # noqa: ARG002 - the hook's signature
        n = processes().n
        if n == 1:
            return PlannedOrder(self._order)
        if self._filler is None:
            raise ValueError("a trainer without a filler takes no batch that is shared by several processes")
        at_once = n * self.args.per_device_train_batch_size
        return PlannedOrder(filled_up(self._order, batch_size=at_once, filler=self._filler))

    def _save_rng_state(self, output_dir: str) -> None:
        """Save the dice in the first process alone: they decide nothing, and only it writes."""
        if processes().is_first:
            super()._save_rng_state(output_dir)  # type: ignore[misc]

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: it would look things up on the network."""

    def require_finite_loss(self, loss: torch.Tensor) -> None:
        """Return when a loss is a number; UserError says at which step it is none."""
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"the loss is not a finite number at step {self.state.global_step + 1}. Nothing was saved from this "
                "step. Lower learning_rate in the --config file and train again"
            )
