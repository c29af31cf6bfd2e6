"""The supervised term beside reinforcement learning that keeps rules alive, and the draws of rows it is made of.

Reinforcement learning follows what its prompts reward and forgets what they seldom show (arXiv 2602.10006, abstract);
`L = L_rl + λ · L_sft` over expert rows holds against it. Weight, schedule and draw are our reconstruction: anchors are
0.1 beside 1.0 (LREM) and an entropy gate `λ · exp(-H)` (SRFT). Balanced draws: our own finding, docs/evidence.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from trainers.objectives.policy_loss import row_mean


class Draw(StrEnum):
    NATURAL = "natural"
    BALANCED = "balanced"


class Schedule(StrEnum):
    CONSTANT = "constant"
    LINEAR = "linear"
    ENTROPY_GATED = "entropy_gated"


def sft_loss(log_probs: torch.Tensor, is_counted: torch.Tensor, *, n_accumulated: int = 1) -> torch.Tensor:
    """Return the mean over expert rows of `-(1/|y|) sum_t log pi(y_t)`, divided by the accumulated micro-batches.

    log_probs (B, T): of the expert's tokens; is_counted (B, T): true on the completion. ValueError for a batch without
    a counted token, whose mean would be NaN or, worse, 0.
    """
    if not bool(is_counted.any()):
        raise ValueError("the micro-batch holds no expert token, so there is nothing that keeps the rules alive")
    return -row_mean(log_probs, is_counted) / n_accumulated


@dataclass(frozen=True, slots=True)
class SftWeight:
    """λ: `start` throughout, linear from `start` to `end` over `n_steps`, or `start · exp(-entropy)`."""

    start: float
    schedule: Schedule = Schedule.CONSTANT
    end: float = 0.0
    n_steps: int = 1

    def at(self, step: int, entropy: float) -> float:
        """Return λ of a step, counted from 0. entropy: of the policy, in nats, the mean over the sampled tokens."""
        if self.schedule is Schedule.ENTROPY_GATED:
            return self.start * math.exp(-entropy)
        if self.schedule is Schedule.LINEAR:
            done = min(1.0, step / self.n_steps)
            return self.start + (self.end - self.start) * done
        return self.start


class DrawnRows:
    """An endless, reproducible order of rows, so many a micro-batch: a function of seed and step alone.

    Natural: every row once a round. Balanced: every key once a round, with one of the rows that have it; rows without
    any stand for a key of their own. Keys are the rules that expert rows cite, or the grades of prompts, whose classes
    then come alike. A resumed run asks for its next step and gets what it would have had.
    """

    def __init__(self, keys: Sequence[Sequence[str]], draw: Draw, *, n_rows: int, seed: int) -> None:
        """keys: of each row. ValueError without rows, or for an `n_rows` that leaves batches empty."""
        if not keys or n_rows < 1:
            raise ValueError(f"{n_rows} of {len(keys)} rows a micro-batch: there must be one at least")
        self._n_rows = n_rows
        self._seed = seed
        if draw is Draw.NATURAL:
            self._buckets = [[row] for row in range(len(keys))]
        else:
            of_key: dict[str | None, list[int]] = {}
            for row, held in enumerate(keys):
                for key in dict.fromkeys(held) if held else (None,):
                    of_key.setdefault(key, []).append(row)
            self._buckets = list(of_key.values())

    def at(self, step: int) -> list[int]:
        """Return the rows of a micro-batch, counted from 0: `n_rows` of them, never none."""
        orders: dict[int, Sequence[int]] = {}
        drawn = []
        for place in range(step * self._n_rows, (step + 1) * self._n_rows):
            turn, within = divmod(place, len(self._buckets))
            if turn not in orders:
                orders[turn] = np.random.default_rng([self._seed, 0, turn]).permutation(len(self._buckets)).tolist()
            bucket = self._buckets[orders[turn][within]]
            drawn.append(bucket[int(np.random.default_rng([self._seed, 1, place]).integers(len(bucket)))])
        return drawn
