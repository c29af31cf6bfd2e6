"""The order in which training visits the rows: one explicit list, a pure function of lengths and seed.

Made before the first step and never drawn during training, so a run that was killed goes on with the very rows an
uninterrupted run would have seen. Rows of like length share a batch, which saves padding; rows of two stages never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BATCHES_PER_POOL = 16  # lengths are sorted within a pool of this many batches; more saves padding, less mixes better


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to a row: with its whole completion, or with the grade alone."""

    row: int
    has_rationale: bool


def plan_visits(
    stages: Sequence[Sequence[int]],
    lengths: Sequence[int],
    grade_only_lengths: Sequence[int],
    *,
    batch_size: int,
    rationale_rate: float,
    random: np.random.Generator,
) -> list[Visit]:
    """Return every visit of a training run, in order, stage after stage, batch by batch.

    stages: the rows each visits, a row as often as it is to be visited. A visit carries the rationale with probability
    `rationale_rate`: at 1 always, at 0 never. Only a stage's last batch may be smaller than `batch_size`.
    """
    visits: list[Visit] = []
    for stage in stages:
        rows = np.asarray(stage, dtype=np.int64)
        has_rationale = random.random(len(rows)) < rationale_rate
        visit_lengths = np.where(has_rationale, np.asarray(lengths)[rows], np.asarray(grade_only_lengths)[rows])
        order = _batch_by_length(visit_lengths.tolist(), batch_size, random)
        visits += [Visit(int(rows[at]), bool(has_rationale[at])) for at in order]
    return visits


def _batch_by_length(lengths: Sequence[int], batch_size: int, random: np.random.Generator) -> list[int]:
    """Return the places of visits, batches of like length in a random order within each pool."""
    order: list[int] = []
    pool_size = batch_size * BATCHES_PER_POOL
    for start in range(0, len(lengths), pool_size):
        pool = start + np.argsort(lengths[start : start + pool_size], kind="stable")
        n_whole = len(pool) // batch_size
        for batch in random.permutation(n_whole):
            order.extend(pool[batch * batch_size : (batch + 1) * batch_size].tolist())
        order.extend(pool[n_whole * batch_size :].tolist())  # only the last pool has such a rest
    return order
