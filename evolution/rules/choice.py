"""Which of the conjunctions found become head rules: weighted covering, and nothing that a simpler rule says already.

A pair that rules of its grade already explain counts for less, so the next rule looks elsewhere; the grades take turns,
so that a common one does not fill the book. What is left out for saying no more than another is told with that other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from curation.intervals import wilson
from evolution.rules.search import Found, Judged

DISCOUNT = 0.5  # weight of a pair for each rule of its grade that covers it already
BREADTH = 0.5  # how much a rule of more pairs is worth more: the square root of their number
SAME_PAIRS_RATE = 0.95  # share of a rule's pairs that another must cover to say the same of them


@dataclass(frozen=True, slots=True)
class Told:
    """A conjunction and what another says already: the same grade of nearly the same or more pairs, no less surely."""

    grade: int
    found: Found
    by: Found


@dataclass(frozen=True, slots=True)
class Choice:
    """Head rules in the order they were chosen, and the conjunctions that say no more than one of them."""

    heads: tuple[tuple[int, Found], ...]
    told: tuple[Told, ...]


def choose(judged: Judged, pools: Mapping[int, Sequence[Found]], *, max_rules: int) -> Choice:
    """Choose at most `max_rules` heads from the pools of each grade."""
    shelves = {grade: _Shelf(judged, grade, pool) for grade, pool in pools.items() if pool}
    chosen: list[tuple[int, Found]] = []
    told: list[Told] = []
    held: dict[Found, NDArray[np.bool_]] = {}
    while shelves and len(chosen) < max_rules:
        for grade in sorted(shelves):
            if len(chosen) >= max_rules:
                break
            best = shelves[grade].next()
            if best is None:
                del shelves[grade]
                continue
            found, mask = best
            simpler = next((f for g, f in chosen if g == grade and says_no_more(found, mask, f, held[f])), None)
            if simpler is not None:
                told.append(Told(grade, found, simpler))
                continue
            shelves[grade].discount(mask)
            outdone = [f for g, f in chosen if g == grade and says_no_more(f, held[f], found, mask)]
            told += [Told(grade, f, found) for f in outdone]
            chosen = [(g, f) for g, f in chosen if g != grade or f not in outdone]
            chosen.append((grade, found))
            held[found] = mask
    return Choice(tuple(chosen), _followed(told))


def _followed(told: Sequence[Told]) -> tuple[Told, ...]:
    """Return each with the one that stands in the end: a rule that outdid another may have been outdone itself."""
    by = {(one.grade, one.found): one.by for one in told}

    def last(grade: int, found: Found) -> Found:
        while (grade, found) in by:
            found = by[grade, found]
        return found

    return tuple(Told(one.grade, one.found, last(one.grade, one.by)) for one in told)


def says_no_more(found: Found, mask: NDArray[np.bool_], other: Found, other_mask: NDArray[np.bool_]) -> bool:
    """Say whether a rule says no more than another that is no longer, of the same grade.

    It does not when the other covers nearly all its pairs and it is not surely righter: the other's accuracy is inside
    its 95% interval or above.
    """
    if len(other.atoms) > len(found.atoms) or (mask & other_mask).sum() < SAME_PAIRS_RATE * mask.sum():
        return False
    interval = wilson(found.n_right, found.n_votes)
    return interval is None or interval.low <= other.n_right / other.n_votes


class _Shelf:
    """The conjunctions found for one grade, and how much each would still add."""

    def __init__(self, judged: Judged, grade: int, pool: Sequence[Found]) -> None:
        self._judged, self._pool = judged, pool
        rows = [np.flatnonzero(judged.table.cover(f.atoms)).astype(np.int32) for f in pool]
        starts = np.cumsum([0, *(found.size for found in rows)])
        shape = (len(pool), judged.truth.size)
        self._covers = sparse.csr_matrix((np.ones(int(starts[-1]), np.float32), np.concatenate(rows), starts), shape)
        self._sizes = np.diff(starts).astype(np.float32)
        self._gains = np.array([f.bound - judged.base_rate(grade) for f in pool], np.float32)
        self._weights = np.ones(judged.truth.size, np.float32)
        self._fresh = self._sizes.copy()

    def next(self) -> tuple[Found, NDArray[np.bool_]] | None:
        """Take the rule of most worth that says something new and speaks of two queries; None when there is none."""
        worth = self._gains * self._fresh**BREADTH * (self._fresh / self._sizes)
        for i in np.argsort(-worth, kind="stable").tolist():
            fresh = self._fresh[i]
            if worth[i] <= 0.0 or (fresh < 0.3 * self._sizes[i] and fresh < 2.0):
                return None
            self._gains[i] = 0.0
            rows = self._covers.indices[self._covers.indptr[i] : self._covers.indptr[i + 1]]
            of = self._judged.groups[rows]
            if (of != of[0]).any():
                mask = np.zeros(self._judged.truth.size, np.bool_)
                mask[rows] = True
                return self._pool[i], mask
        return None

    def discount(self, mask: NDArray[np.bool_]) -> None:
        """Count the pairs of a rule that was chosen for less from now on."""
        self._weights[mask] *= DISCOUNT
        self._fresh = self._covers @ self._weights
