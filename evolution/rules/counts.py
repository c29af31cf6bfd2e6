"""What rules are worth on judged pairs: votes, right ones, conflicts with the other rules, examples either way.

The counts are of the predicate as the store will run it, not of the search that found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.intervals import Interval, wilson
from curation.rule_votes import PAIRS_PER_BATCH
from curation.rules import ABSTAIN, Rule, vote_matrix

N_EXAMPLES = 4


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Of `n_judged` pairs a rule votes on `n_votes` and is right on `n_right`; on `n_conflicts` another rule says
    another grade. `examples` and `counter_examples` are pairs it is right and wrong on.
    """

    n_judged: int
    n_votes: int
    n_right: int
    n_conflicts: int
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]

    @property
    def accuracy(self) -> float | None:
        return self.n_right / self.n_votes if self.n_votes else None

    @property
    def interval(self) -> Interval | None:
        return wilson(self.n_right, self.n_votes)


def count_rules(rules: Sequence[Rule], judged: pl.DataFrame, *, others: Sequence[Rule] = ()) -> list[RuleCount]:
    """Count each rule on judged pairs (rows of `train_features`); conflicts are with one another and with `others`.

    UserError when a condition is no predicate or takes too long.
    """
    if not rules:
        return []
    votes = judged_votes([*rules, *others], judged)
    grades = judged["grade"].to_numpy()
    pair_ids = judged["pair_id"].to_list()
    has_vote = votes != ABSTAIN
    lowest = np.where(has_vote, votes, np.iinfo(votes.dtype).max).min(axis=1, initial=np.iinfo(votes.dtype).max)
    highest = votes.max(axis=1, initial=ABSTAIN)
    counts = []
    for column in range(len(rules)):
        said = has_vote[:, column]
        right = said & (votes[:, column] == grades)
        conflicts = said & ((lowest != votes[:, column]) | (highest != votes[:, column]))
        counts.append(
            RuleCount(
                n_judged=len(judged),
                n_votes=int(said.sum()),
                n_right=int(right.sum()),
                n_conflicts=int(conflicts.sum()),
                examples=_first(pair_ids, right),
                counter_examples=_first(pair_ids, said & ~right),
            )
        )
    return counts


def judged_votes(rules: Sequence[Rule], features: pl.DataFrame) -> NDArray[np.int16]:
    """Return the votes (pairs × rules) as `vote_matrix` does, a batch of pairs at a time."""
    batches = [
        vote_matrix(rules, features.slice(start, PAIRS_PER_BATCH)).astype(np.int16)
        for start in range(0, len(features), PAIRS_PER_BATCH)
    ]
    return np.concatenate(batches) if batches else np.empty((0, len(rules)), np.int16)


def _first(pair_ids: Sequence[str], mask: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the first few pairs: in the order of their ids, which are hashes, and so a fixed draw."""
    return tuple(sorted(pair_ids[i] for i in np.flatnonzero(mask).tolist())[:N_EXAMPLES])
