"""The order in which training visits the rows: one explicit list, a pure function of lengths and seed.

Made before the first step and never drawn during training, so a run that was killed goes on with the very rows an
uninterrupted run would have seen. Rows of like length share a batch, which saves padding.
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
    lengths: Sequence[int],
    grade_only_lengths: Sequence[int],
    *,
    epochs: int,
    batch_size: int,
    rationale_rate: float,
    seed: int,
) -> list[Visit]:
    """Return every visit of a training run, in order: each row exactly `epochs` times, batch by batch.

    A visit carries the rationale with probability `rationale_rate`: at 1 always, at 0 never. Only the last batch may be
    smaller than `batch_size`.
    """
    random = np.random.default_rng(seed)
    n_rows = len(lengths)
    rows = np.concatenate([random.permutation(n_rows) for _ in range(epochs)])
    has_rationale = random.random(len(rows)) < rationale_rate
    visit_lengths = np.where(has_rationale, np.asarray(lengths)[rows], np.asarray(grade_only_lengths)[rows])
    order: list[int] = []
    pool_size = batch_size * BATCHES_PER_POOL
    for start in range(0, len(rows), pool_size):
        pool = start + np.argsort(visit_lengths[start : start + pool_size], kind="stable")
        n_whole = len(pool) // batch_size
        for batch in random.permutation(n_whole):
            order.extend(pool[batch * batch_size : (batch + 1) * batch_size].tolist())
        order.extend(pool[n_whole * batch_size :].tolist())  # only the last pool has such a rest
    return [Visit(int(rows[at]), bool(has_rationale[at])) for at in order]
