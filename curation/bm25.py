"""BM25 over all docs of a workspace: which docs share a query's rarest words, best first.

An index is two views of one sparse matrix: by term, the docs and what the term adds to their score, and by doc, its
terms. It lives in memory only and is made anew by each run: a copy on disk would have to be found by every erasure.
The score is Robertson and Zaragoza's (2009) with Lucene's idf, `ln(1 + (N - n + 0.5) / (n + 0.5))`, which is never
negative. Equal scores stand in the order of the docs, so that the same store gives the same ranking.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from curation.doc_terms import TermCounts
from curation.text import is_unspaced

K1 = 1.2
B = 0.75

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The docs of a query, best first, by place, and their scores. Only docs that share a term are in it."""

    places: Places
    scores: NDArray[np.float32]


class IndexBuilder:
    """Takes counted docs piece by piece, in their order."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._places: list[NDArray[np.int32]] = []
        self._counts: list[NDArray[np.float32]] = []
        self._n_terms: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.float32]] = []

    def add(self, counted: TermCounts) -> None:
        """Take the next docs."""
        numbers = self._numbers
        own = np.fromiter((numbers.setdefault(term, len(numbers)) for term in counted.terms), np.int32)
        self._places.append(own[counted.places])
        self._counts.append(counted.counts)
        self._n_terms.append(np.diff(counted.offsets))
        self._lengths.append(counted.lengths)

    def build(self) -> Bm25Index:
        """Return the index of all docs taken; the builder is empty then."""
        n_terms = len(self._numbers)
        lengths = np.concatenate([np.empty(0, np.float32), *self._lengths])
        n_docs = len(lengths)
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.empty(0, np.int64), *self._n_terms]))])
        holders = np.zeros(n_terms, np.int64)  # in how many docs each term stands
        for places in self._places:
            holders += np.bincount(places, minlength=n_terms)
        idf = np.log1p((n_docs - holders + 0.5) / (holders + 0.5)).astype(np.float32)
        mean = float(lengths.mean()) if lengths.any() else 1.0
        terms = np.empty(int(offsets[-1]), np.int32)
        weights = np.empty(len(terms), np.float32)
        at = 0
        for _ in range(len(self._places)):  # piece by piece, each let go: this is the peak of memory
            places, counts = self._places.pop(0), self._counts.pop(0)
            damping = K1 * (1 - B + B * self._lengths.pop(0) / mean)
            piece = slice(at, at + len(places))
            terms[piece] = places
            weights[piece] = idf[places] * counts / (counts + np.repeat(damping, self._n_terms.pop(0)))
            at = piece.stop
        numbers, self._numbers = self._numbers, {}
        return Bm25Index(numbers, offsets, terms, weights)


class Bm25Index:
    """Ranks docs for queries. Many threads may ask at once."""

    def __init__(
        self,
        numbers: dict[str, int],
        offsets: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
    ) -> None:
        """Index docs, terms by place: those of doc i are `terms[offsets[i]:offsets[i + 1]]`, with what each adds."""
        self._numbers = numbers
        self._offsets = offsets
        self._terms = terms
        by_doc = csr_matrix((weights, terms, offsets), shape=(len(offsets) - 1, len(numbers)))
        by_term = by_doc.tocsc()
        self._docs, self._weights, self._starts = by_term.indices, by_term.data, by_term.indptr
        self._of_character: dict[str, list[int]] | None = None
        self._scratch = threading.local()
        self._lock = threading.Lock()

    @property
    def n_docs(self) -> int:
        return len(self._offsets) - 1

    @property
    def n_terms(self) -> int:
        return len(self._numbers)

    def terms_of(self, place: int) -> NDArray[np.int32]:
        """Return the distinct terms of a doc, as numbers, in no order."""
        return self._terms[self._offsets[place] : self._offsets[place + 1]]

    def rank(self, terms: Sequence[str], depth: int) -> Ranking:
        """Return the `depth` best docs for a query's terms; fewer where fewer share one."""
        scores = self._zeros()
        for number, share in self._asked(terms):
            found = slice(self._starts[number], self._starts[number + 1])
            weights = self._weights[found] if share == 1 else self._weights[found] * np.float32(share)
            np.add.at(scores, self._docs[found], weights)  # twice as fast as `scores[docs] += weights`
        ranking = best(scores, depth)
        scores.fill(0)
        return ranking

    def _asked(self, terms: Sequence[str]) -> list[tuple[int, float]]:
        """Return the numbers of the terms that some doc has, each with its share.

        A lone character of a script without spaces stands for the bigrams it is part of, half each: it is in two.
        """
        asked = []
        for term in terms:
            if (number := self._numbers.get(term)) is not None:
                asked.append((number, 1.0))
            if len(term) == 1 and is_unspaced(term):
                asked += [(number, 0.5) for number in self._bigrams().get(term, ())]
        return asked

    def _bigrams(self) -> dict[str, list[int]]:
        with self._lock:
            if self._of_character is None:
                found: defaultdict[str, list[int]] = defaultdict(list)
                for term, number in self._numbers.items():
                    if len(term) == 2 and is_unspaced(term):
                        for character in set(term):
                            found[character].append(number)
                self._of_character = dict(found)
        return self._of_character

    def _zeros(self) -> NDArray[np.float32]:
        """Return this thread's scores, all zero: a fresh million of them costs more than most queries."""
        if not hasattr(self._scratch, "scores"):
            self._scratch.scores = np.zeros(self.n_docs, np.float32)
        scores: NDArray[np.float32] = self._scratch.scores
        return scores


def best(scores: NDArray[np.float32], depth: int) -> Ranking:
    """Return the `depth` highest positive scores, best first; of equal ones the first."""
    least = np.partition(scores, len(scores) - depth)[len(scores) - depth] if len(scores) > depth else np.float32(0)
    found = np.flatnonzero(scores > least)
    if least > 0:
        found = np.concatenate([found, np.flatnonzero(scores == least)[: depth - len(found)]])
    found = found[np.lexsort((found, -scores[found]))]
    return Ranking(found.astype(np.int64), scores[found])
