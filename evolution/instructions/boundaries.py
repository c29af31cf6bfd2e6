"""Contrastive boundary pairs: two judged train pairs that read alike and are judged adjacent grades.

After GUIDE (as METHODS tells it): exemplars of similar text (cosine at least 0.7) and adjacent grades, each with why it
is its grade and not the other. Likeness here is the cosine of TF-IDF word vectors of query and title, our own
reconstruction: an embedding would also find paraphrases. Pairs labelled the other of the two grades come first, then
pairs of rules that a model forgot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.completion import one_line
from curation.text import tokenize
from evolution.instructions.sections import quotes
from evolution.labelling.rationale import write_rationale
from storage.grades import Scale

MIN_LIKENESS, MAX_LIKENESS = 0.7, 0.999  # above, the texts say the same and the judgments contradict each other
MAX_PAIRS = 2000  # of a grade that are compared, those mixed up first
MAX_QUERY_CHARACTERS, MAX_TITLE_CHARACTERS = 200, 300  # a case quotes both whole, so that an erasure can find them


@dataclass(frozen=True, slots=True)
class BoundaryPair:
    """Two judged pairs, rows of train pairs with features; `n_mixed_up` of them were labelled the other's grade."""

    lower: Mapping[str, Any]
    upper: Mapping[str, Any]
    likeness: float
    n_mixed_up: int

    @property
    def pair_ids(self) -> tuple[str, str]:
        """The two pairs."""
        return self.lower["pair_id"], self.upper["pair_id"]


class _Found(NamedTuple):
    """Two rows of the train pairs that read alike."""

    n_mixed_up: int
    n_forgotten: int
    likeness: float
    lower: int
    upper: int


def find_boundary_pairs(
    train: pl.DataFrame, scale: Scale, *, said: Mapping[str, int], text: str, n: int
) -> list[BoundaryPair]:
    """Return at most n boundary pairs an instruction does not quote yet, no query or pair in two of them.

    `said` are grades labelled under the instruction; `is_forgotten` of train, the pairs of forgotten rules.
    Deterministic.
    """
    shown = train.filter(
        (pl.col("query").str.len_chars() <= MAX_QUERY_CHARACTERS)
        & (pl.col("title").str.len_chars() <= MAX_TITLE_CHARACTERS)
        & (pl.col("title").str.strip_chars() != "")
    ).sort("pair_id")
    if shown.is_empty():
        return []
    words, grades = _word_vectors(shown), shown["grade"].to_numpy()
    told = np.array([said.get(one, grade) for one, grade in shown.select("pair_id", "grade").iter_rows()])
    forgotten = shown["is_forgotten"].to_numpy()
    found: list[_Found] = []
    for lower, upper in pairwise(scale.values):
        mixed_up = ((grades == lower) & (told == upper)) | ((grades == upper) & (told == lower))
        first, second = (_some(np.flatnonzero(grades == grade), mixed_up) for grade in (lower, upper))
        if not (first.size and second.size):
            continue
        alike = (words[first] @ words[second].T).tocoo()
        kept = (alike.data >= MIN_LIKENESS) & (alike.data <= MAX_LIKENESS)
        for row, column, likeness in zip(alike.row[kept], alike.col[kept], alike.data[kept], strict=True):
            a, b = int(first[row]), int(second[column])
            n_mixed_up, n_forgotten = int(mixed_up[a]) + int(mixed_up[b]), int(forgotten[a]) + int(forgotten[b])
            found.append(_Found(n_mixed_up, n_forgotten, round(float(likeness), 6), a, b))
    found.sort(key=lambda one: (-one.n_mixed_up, -one.n_forgotten, -one.likeness, one.lower, one.upper))
    return _distinct(shown, found, text, n)


def contrast(pair: BoundaryPair, scale: Scale) -> tuple[str, str] | None:
    """Say from the features what the lower pair lacks or breaks and what the upper one meets, where the other does not.

    None where there is no such thing of both: a case without a reason teaches nothing. The words are those of the
    lexical rationale.
    """
    lower, upper = (_parts(one, scale) for one in (pair.lower, pair.upper))
    broken = [one for one in lower if one not in upper and not _is_met(one)]
    met = [one for one in upper if one not in lower and _is_met(one)]
    return ("; ".join(broken), "; ".join(met)) if broken and met else None


def _is_met(part: str) -> bool:
    return part.endswith("agrees") or part == "all terms found"


def _parts(pair: Mapping[str, Any], scale: Scale) -> list[str]:
    steps = write_rationale(pair, title=pair["title"], grade=pair["grade"], rules=(), scale=scale)
    return [part for step in steps if step.label in ("category", "attributes") for part in step.text.split("; ")]


def _some(rows: NDArray[np.intp], mixed_up: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.concatenate([rows[mixed_up[rows]], rows[~mixed_up[rows]]])[:MAX_PAIRS]


def _word_vectors(pairs: pl.DataFrame) -> Any:
    """Return the TF-IDF rows of query and title, of length one."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [[*tokenize(query), *tokenize(title)] for query, title in pairs.select("query", "title").iter_rows()]
    return TfidfVectorizer(analyzer=lambda words: words or ["-"], sublinear_tf=True).fit_transform(texts)


def _distinct(pairs: pl.DataFrame, found: Sequence[_Found], text: str, n: int) -> list[BoundaryPair]:
    chosen: list[BoundaryPair] = []
    taken: set[str] = set()
    for alike in found:
        if len(chosen) == n:
            break
        lower, upper = pairs.row(alike.lower, named=True), pairs.row(alike.upper, named=True)
        names = {lower["pair_id"], upper["pair_id"], lower["root_query_id"], upper["root_query_id"]}
        is_same = all(one_line(lower[name]) == one_line(upper[name]) for name in ("query", "title"))
        is_quoted = any(quotes(text, one["query"], one["title"]) for one in (lower, upper))
        if is_same or is_quoted or names & taken:
            continue
        taken |= names
        chosen.append(BoundaryPair(lower, upper, alike.likeness, alike.n_mixed_up))
    return chosen
