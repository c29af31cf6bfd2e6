"""Mined rules confirmed on held-out train queries: would the other queries have given the rule, and does it hold here?

The queries are cut in folds. For each fold the same mining runs on the rest; a rule of the book is found again there
when a rule of its grade covers nearly the same pairs, and that rule, which never saw the fold, is counted on it. So the
count owes nothing to the search. Whether the rule is right there more often than wrong, and than its grade is given, is
tested for all rules of the book together: Benjamini and Hochberg (1995), false discovery rate 5%. Dev and test grades
are in none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from evolution.rules.atom_table import AtomTable, Floats
from evolution.rules.search import Judged, effective_count

N_FOLDS = 4
MIN_QUERIES = 12  # under it a fold has too few queries to say anything
SAME_RULE = 0.6  # Jaccard similarity of the pairs covered
FALSE_DISCOVERY_RATE = 0.05
MIN_RATE = 0.5  # a rule that is not right more often than wrong is no rule

Conjunction = tuple[int, tuple[int, ...]]  # grade and atoms


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How a rule did on folds it was not mined from: folds in which it was found again, cases and right ones."""

    n_folds: int
    n_votes: int
    n_right: int
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the folds say of each rule of a book, and of the whole mining: every rule of every fold where it is new."""

    rules: tuple[HeldOut, ...]
    n_votes: int
    n_right: int


def confirm(
    judged: Judged, book: Sequence[Conjunction], mine: Callable[[Judged], Sequence[Conjunction]]
) -> Confirmation | None:
    """Mine again without each fold and count what was found on that fold; None when there are too few queries."""
    n_queries = int(judged.groups.max()) + 1
    if n_queries < MIN_QUERIES or not book:
        return None
    fold_of = (np.random.default_rng(0).permutation(n_queries) % N_FOLDS)[judged.groups]
    masks = judged.table.covers([atoms for _, atoms in book])
    tallies = [_Tally() for _ in book]
    n_votes = n_right = 0
    for fold in range(N_FOLDS):
        inside = np.flatnonzero(fold_of == fold)
        again = list(mine(judged.among(np.flatnonzero(fold_of != fold))))
        if not again or not inside.size:
            continue
        covers = judged.table.covers([atoms for _, atoms in again])
        found = _found_again(book, masks, again, covers)
        held = covers[inside] > 0
        right = held & (judged.truth[inside][:, None] == np.array([grade for grade, _ in again])[None, :])
        n_votes += int(held.sum())
        n_right += int(right.sum())
        for tally, at in zip(tallies, found, strict=True):
            if at is not None:
                tally.add(held[:, at], right[:, at], judged.groups[inside])
    chances = [
        tally.chance(max(MIN_RATE, judged.base_rate(grade))) for tally, (grade, _) in zip(tallies, book, strict=True)
    ]
    confirmed = benjamini_hochberg(chances, FALSE_DISCOVERY_RATE)
    rules = tuple(
        HeldOut(tally.n_folds, tally.n_votes, tally.n_right, is_confirmed)
        for tally, is_confirmed in zip(tallies, confirmed, strict=True)
    )
    return Confirmation(rules, n_votes, n_right)


def benjamini_hochberg(chances: Sequence[float], rate: float) -> list[bool]:
    """Return which of the p-values are discoveries at this false discovery rate (Benjamini and Hochberg 1995)."""
    order = np.argsort(chances, kind="stable")
    ranked = np.asarray(chances, np.float64)[order]
    below = np.flatnonzero(ranked <= rate * np.arange(1, len(chances) + 1) / max(1, len(chances)))
    found = np.zeros(len(chances), np.bool_)
    found[order[: below[-1] + 1 if below.size else 0]] = True
    return [bool(one) for one in found]


def binomial_tail(n_right: float, n: float, rate: float) -> float:
    """Return the chance of at least so many right out of n when each is right at this rate; counts may be fractions."""
    if n_right <= 0 or n <= 0:
        return 1.0
    return float(betainc(n_right, n - n_right + 1, rate))


@dataclass(slots=True)
class _Tally:
    n_folds: int = 0
    n_votes: int = 0
    n_right: int = 0
    n_effective: float = 0.0

    def add(self, held: NDArray[np.bool_], right: NDArray[np.bool_], groups: NDArray[np.intp]) -> None:
        self.n_folds += 1
        self.n_votes += int(held.sum())
        self.n_right += int(right.sum())
        self.n_effective += effective_count(groups[held])

    def chance(self, rate: float) -> float:
        """Return the p-value against a rule that is right at this rate; 1 where nothing was seen."""
        if not self.n_votes:
            return 1.0
        return binomial_tail(self.n_effective * self.n_right / self.n_votes, self.n_effective, rate)


def _found_again(
    book: Sequence[Conjunction], masks: Floats, again: Sequence[Conjunction], covers: Floats
) -> list[int | None]:
    """Return for each rule of the book the most similar rule of its grade mined without a fold, None without one."""
    both = masks.T @ covers  # book × again
    either = masks.sum(axis=0)[:, None] + covers.sum(axis=0)[None, :] - both
    likeness = both / np.maximum(either, 1.0)
    same_grade = np.array([grade for grade, _ in book])[:, None] == np.array([grade for grade, _ in again])[None, :]
    likeness = np.where(same_grade, likeness, 0.0)
    best = likeness.argmax(axis=1)
    return [int(at) if likeness[row, at] >= SAME_RULE else None for row, at in enumerate(best)]


def condition_of(table: AtomTable, atoms: Sequence[int]) -> str:
    """Return the SQL of a conjunction."""
    return " and ".join(table.atoms[i].condition for i in atoms)
