"""Which prompts are worth rollouts: groups that agree teach nothing, groups of one grade teach that grade.

Prompts whose classes come alike are `mode_balance.DrawnRows` over their grades; how alike they came is the coefficient
of variation. Window and class balance after TaoSR1 (arXiv 2508.12365, from detailed notes) and DyKnow-RAG (arXiv
2510.11122: group accuracy in [0.01, 0.9]); all-equal groups are dropped and refilled as in DAPO (arXiv 2503.14476).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

Group = TypeVar("Group")


def in_accuracy_window(is_right: torch.Tensor, *, low: float = 0.01, high: float = 0.9) -> torch.Tensor:
    """Return which groups are neither hopeless nor mastered: (P,) from is_right (P, G).

    Bounds are inclusive shares of right rollouts. A group whose rollouts are all right or all wrong is out whatever
    the bounds: its outcome advantages are 0.
    """
    accuracy = is_right.float().mean(dim=1)
    agrees = is_right.all(dim=1) | ~is_right.any(dim=1)
    return (accuracy >= low) & (accuracy <= high) & ~agrees


def expert_places(is_right: torch.Tensor, *, below: float) -> torch.Tensor:
    """Return where the expert's answer takes a rollout's place, among all B in a row, from is_right (P, G).

    It is the last wrong one of each group whose share of right rollouts lies below `below`.
    """
    is_poor = is_right.float().mean(dim=1) < below  # so one of them is wrong
    n = is_right.shape[1]
    last_wrong = n - 1 - (~is_right).int().flip(dims=[1]).argmax(dim=1)
    return (torch.arange(len(is_right), device=is_right.device) * n + last_wrong)[is_poor]


@dataclass(frozen=True, slots=True)
class Refilled(Generic[Group]):
    """Groups that were kept, at most as many as were wanted, and how many had to be drawn for them."""

    groups: list[Group]
    n_drawn: int

    @property
    def silent_rate(self) -> float | None:
        """The share of drawn groups that were not kept; None before any was drawn."""
        return 1 - len(self.groups) / self.n_drawn if self.n_drawn else None


def refill(
    draw: Callable[[int], Sequence[Group]], is_kept: Callable[[Group], bool], *, n_wanted: int, max_rounds: int
) -> Refilled[Group]:
    """Draw rounds of groups until `n_wanted` are kept or `max_rounds` are spent.

    draw(round) returns the groups of a round, counted from 0. Looking stops at the last group wanted: those behind it
    in its round were not looked at and do not count as drawn.
    """
    kept: list[Group] = []
    n_drawn = 0
    for turn in range(max_rounds):
        for group in draw(turn):
            if len(kept) == n_wanted:
                break
            n_drawn += 1
            if is_kept(group):
                kept.append(group)
        if len(kept) == n_wanted:
            break
    return Refilled(kept, n_drawn)


def coefficient_of_variation(counts: Sequence[int]) -> float | None:
    """Return the standard deviation of counts over their mean, 0 for even ones; None when there is nothing counted."""
    mean = float(np.mean(counts)) if len(counts) else 0.0
    return float(np.std(counts)) / mean if mean else None
