"""Which docs a query is paired with: the best, a draw from each range of ranks below, and hard negatives.

Judging only what ranks high teaches a model nothing of the rest, and judging a plain draw wastes people on the obvious;
so a query gets some of each, and every pair says which choice made it. All is pure and drawn by the query's id: the
same store gives the same pairs.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.bm25 import Bm25Index, Places
from curation.pool_config import PoolConfig, Stratum

ORIGIN = "pool"
TOP = "pool:top"
HARD = "pool:hard"
HARD_PREDICTED = f"{HARD} predicted low"
HARD_CONFLICT = f"{HARD} conflict"
HARD_MISSING = f"{HARD} missing term"
# A doc that shares so many words with one that a model graded is taken to deserve about that grade.
ALIKE = 0.4
LOOKED_AT = 3  # docs looked at for each hard negative wanted: their features are the cost


@dataclass(frozen=True, slots=True)
class Choice:
    """A doc for a query, by place, and the choice that made it: the pair's `source`."""

    place: int
    source: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many docs a query still gets of each kind."""

    top: int
    strata: tuple[int, ...]
    hard: int

    @property
    def total(self) -> int:
        return self.top + sum(self.strata) + self.hard


def allot(weights: NDArray[np.float64], *, most: int, limit: int | None) -> NDArray[np.int64]:
    """Return how many pairs each query gets: `most`, or its share by weight of `limit` in all, never above `most`.

    What a query cannot take goes to the others. Fractions are rounded so that the limit is met, the largest up first.
    """
    n = len(weights)
    if limit is None or most * n <= limit:
        return np.full(n, most, np.int64)
    shares = np.zeros(n)
    is_full = np.zeros(n, np.bool_)
    while True:
        is_open = ~is_full & (weights > 0)
        if not is_open.any():
            break
        shares[is_open] = (limit - most * is_full.sum()) * weights[is_open] / weights[is_open].sum()
        over = is_open & (shares > most)
        if not over.any():
            break
        shares[over], is_full[over] = most, True
    whole = np.floor(shares + 1e-9).astype(np.int64)
    n_left = min(limit - int(whole.sum()), int(((whole < most) & (weights > 0)).sum()))
    if n_left > 0:
        fractions = np.where((whole < most) & (weights > 0), shares - whole, -1)
        whole[np.argsort(-fractions, kind="stable")[:n_left]] += 1
    return whole


def quota(n: int, config: PoolConfig, held: Mapping[str, int]) -> Quota:
    """Return how many docs of each kind a query still gets of n in all, of which it holds some by source.

    n is parted as the config's own numbers are to each other; fractions are rounded, the largest up first, the kind
    that comes first of equals.
    """
    wanted = [config.top, *[config.per_stratum] * len(config.strata), config.hard]
    exact = [n * part / config.per_query for part in wanted]
    parts = [int(share + 1e-9) for share in exact]
    for at in sorted(range(len(parts)), key=lambda at: parts[at] - exact[at])[: n - sum(parts)]:
        parts[at] += 1
    n_hard = sum(count for source, count in held.items() if source.startswith(HARD))
    top, *strata, hard = parts
    open_top = max(0, top - held.get(TOP, 0))
    open_strata = [max(0, k - held.get(s.source, 0)) for k, s in zip(strata, config.ranges(), strict=True)]
    open_hard = max(0, hard - n_hard)
    # what a query holds of strata that are configured no more counts all the same
    n_open = max(0, n - sum(held.values()))
    top = min(open_top, n_open)
    n_open -= top
    drawn = []
    for k in open_strata:
        drawn.append(min(k, n_open))
        n_open -= drawn[-1]
    return Quota(top, tuple(drawn), min(open_hard, n_open))


class Held:
    """The docs a query has, judged or chosen, and what is no news beside them: the same again, or nearly so.

    Two docs are nearly the same when they share `threshold` of their distinct words (Jaccard over terms).
    """

    def __init__(self, index: Bm25Index, places: Places, *, threshold: float, marks: NDArray[np.uint8]) -> None:
        """Begin with docs by place. `marks` are zeros, one a term of the index: scratch that many may share."""
        self._index = index
        self._threshold = threshold
        self._marks = marks
        self._places = set(places.tolist())
        worded = [(place, terms) for place in places.tolist() if len(terms := index.terms_of(place))]
        self._worded = [place for place, _ in worded]
        self._n_terms = np.array([len(terms) for _, terms in worded], np.int64)
        self._terms = np.concatenate([np.empty(0, np.int32), *(terms for _, terms in worded)])
        self.near: set[int] = set()  # docs that were refused as nearly a held one

    def __contains__(self, place: int) -> bool:
        return place in self._places

    def take(self, place: int) -> bool:
        """Add a doc unless it is held or nearly a held one; say whether it was added."""
        if place in self._places or place in self.near:
            return False
        alike = self._alike(place)
        if len(alike) and alike.max() >= self._threshold:
            self.near.add(place)
            return False
        terms = self._index.terms_of(place)
        self._places.add(place)
        self._worded.append(place)
        self._n_terms = np.append(self._n_terms, len(terms))
        self._terms = np.concatenate([self._terms, terms])
        return True

    def most_alike(self, place: int, among: Mapping[int, float]) -> tuple[int, float] | None:
        """Return the held doc among these that is most like a doc, and how much; None when there is none."""
        alike = self._alike(place)
        known = [at for at, held in enumerate(self._worded) if held in among]
        if not known:
            return None
        at = max(known, key=lambda at: alike[at])
        return self._worded[at], float(alike[at])

    def _alike(self, place: int) -> NDArray[np.float64]:
        """Return the Jaccard of a doc's terms with those of each held doc that has any."""
        if not len(self._n_terms):
            return np.empty(0)
        terms = self._index.terms_of(place)
        self._marks[terms] = 1
        starts = np.cumsum(self._n_terms) - self._n_terms
        shared = np.add.reduceat(self._marks[self._terms], starts, dtype=np.int64)
        self._marks[terms] = 0
        return np.asarray(shared / (self._n_terms + len(terms) - shared), np.float64)


def choose_ranked(
    places: Sequence[int], held: Held, *, query_id: str, wanted: Quota, strata: Sequence[Stratum]
) -> list[Choice]:
    """Choose from the docs of a query, best first: the top ones that are news, then a draw from each stratum."""
    chosen: list[Choice] = []
    _take(places, held, TOP, wanted.top, chosen)
    for stratum, n in zip(strata, wanted.strata, strict=True):
        ranked = list(places[stratum.first - 1 : stratum.last])
        random.Random(f"{query_id} {stratum.source}").shuffle(ranked)
        _take(ranked, held, stratum.source, n, chosen)
    return chosen


def choose_rest(places: Iterable[int], held: Held, *, n: int) -> list[Choice]:
    """Choose n more docs, best ranked first: what strata and hard negatives could not fill goes to the next best."""
    chosen: list[Choice] = []
    _take(places, held, TOP, n, chosen)
    return chosen


def _take(places: Iterable[int], held: Held, source: str, n: int, chosen: list[Choice]) -> None:
    for place in places:
        if n == 0:
            return
        if held.take(place):
            chosen.append(Choice(place, source))
            n -= 1


def hard_candidates(places: Sequence[int], held: Held, *, n: int, depth: int) -> list[int]:
    """Return the docs to look at for n hard negatives: the best ranked that are news to the query, as far as known."""
    return news(places[:depth], held)[: n * LOOKED_AT]


def news(places: Iterable[int], held: Held) -> list[int]:
    """Return the docs that the query neither has nor was found to have nearly."""
    return [place for place in places if place not in held and place not in held.near]


def choose_hard(
    looked_at: Sequence[tuple[int, Mapping[str, Any]]],
    held: Held,
    *,
    n: int,
    expected: Mapping[int, float],
    low: float,
) -> list[Choice]:
    """Choose n hard negatives among docs, best ranked first, each with its pair's features.

    First docs much like a held one whose `expected` grade is at most `low`, by place; then docs that conflict with a
    number, an attribute or a negation of the query; then docs that lack a term of it. The others are no negatives.
    """
    reasons = [(reason, place) for place, row in looked_at if (reason := _hardness(place, row, held, expected, low))]
    chosen: list[Choice] = []
    for source in (HARD_PREDICTED, HARD_CONFLICT, HARD_MISSING):
        _take((p for reason, p in reasons if reason == source), held, source, n - len(chosen), chosen)
    return chosen


def _hardness(
    place: int, features: Mapping[str, Any], held: Held, expected: Mapping[int, float], low: float
) -> str | None:
    if expected and (found := held.most_alike(place, expected)) is not None:
        other, share = found
        if share >= ALIKE and expected[other] <= low:
            return HARD_PREDICTED
    if any(features[name] for name in ("n_attribute_conflicts", "n_number_conflicts", "n_negated_present")):
        return HARD_CONFLICT
    return HARD_MISSING if features["missing_terms"] else None
