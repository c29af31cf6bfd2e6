"""The terms of docs, counted: what the pool's index is made of.

A term is a token of `curation.text` in the form it is matched by: without apostrophes and without an English plural
`s`. Counting is the cost of an index, so it runs in several processes: it is pure, and takes and gives plain arrays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.text import content_terms, doc_text, singular, tokenize

_APOSTROPHE = re.compile("['’]")


@dataclass(frozen=True, slots=True)
class TermCounts:
    """The terms of some docs: those of doc i are `places[offsets[i]:offsets[i + 1]]` of `terms`, each once.

    `counts` says how often each stands in its doc; `lengths` are the docs' tokens, repeats included.
    """

    terms: list[str]
    offsets: NDArray[np.int64]
    places: NDArray[np.int32]
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]


def as_term(token: str) -> str:
    """Return the form under which a token is matched."""
    return singular(_APOSTROPHE.sub("", token))


def query_terms(text: str) -> list[str]:
    """Return the distinct terms a query is looked up by, stop words only where there is nothing else."""
    return list(dict.fromkeys(as_term(token) for token in content_terms(tokenize(text))))


def count_terms(docs: pl.DataFrame) -> TermCounts:
    """Return the terms of docs (title, body, fields), in their order."""
    return count_texts([doc_text(*row) for row in docs.select("title", "body", "fields").iter_rows()])


def count_texts(texts: Sequence[str]) -> TermCounts:
    """Return the terms of texts, in their order; a text without a word has none."""
    numbers = _Numbering()
    pieces = [np.fromiter(map(numbers.__getitem__, tokenize(text)), np.int64) for text in texts]
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    tokens = np.concatenate([np.empty(0, np.int64), *pieces])
    # spelling is settled for each distinct token once, not where it stands
    terms = _Numbering()
    tokens = np.fromiter((terms[as_term(token)] for token in numbers), np.int64, len(numbers))[tokens]
    docs = np.repeat(np.arange(len(texts)), lengths)
    n_terms = max(1, len(terms))
    keys, counts = np.unique(docs * n_terms + tokens, return_counts=True)
    offsets = np.searchsorted(keys, np.arange(len(texts) + 1) * n_terms)
    return TermCounts(
        list(terms),
        offsets.astype(np.int64),
        (keys % n_terms).astype(np.int32),
        counts.astype(np.float32),
        lengths.astype(np.float32),
    )


class _Numbering(dict[str, int]):
    """Numbers from 0 for what is asked for, in the order it first is."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number
