"""Does a mutation do what it says? A judge that shares no evidence with the operators.

The operators work on attributes of fields; this model reads plain text, by a tokeniser and weights of its own, and is
fitted on train judgments of other queries than the one it is asked about (out-of-fold by root query). It confirms an
effect only when its expected grade moves by a margin, and says nothing where it has too little to learn from or has
learnt nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from storage.grades import Scale

VERIFIER = "text-tfidf/1"
MIN_JUDGED = 60
N_FOLDS = 5
MARGIN = 0.1  # of a step between two grades
MIN_EXPLAINED = 0.02  # share of the grades' variance it must explain out of fold before its word counts
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")

Matrix = NDArray[np.float64]


class Effect(StrEnum):
    """What a mutation declares: the grade stays, rises, falls, or becomes a given one."""

    KEEP = "keep"
    RAISE = "raise"
    LOWER = "lower"
    TO = "to"


@dataclass(frozen=True, slots=True)
class PairText:
    """A pair as the verifier reads it: text, and the root query that decides the fold. `doc` is title and fields."""

    query: str
    doc: str
    body: str
    root_query_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict on one mutation. The expected grades are None when there was no model to ask."""

    is_confirmed: bool
    reason: str
    parent_expected: float | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class Verifier:
    """Text models, one a fold. `refusal` is why none is trusted; rates are out-of-fold on train judgments."""

    scale: Scale
    n_judged: int
    refusal: str | None
    accuracy: float | None = None
    explained: float | None = None
    reader: _Reader | None = None
    models: tuple[Any, ...] = ()
    folds: dict[str, int] | None = None

    def check(self, parent: PairText, mutated: PairText, *, effect: Effect, grade: int | None = None) -> Check:
        """Hold a declared effect against the expected grades before and after; `grade` goes with `Effect.TO`."""
        if self.refusal is not None or self.reader is None:
            return Check(False, self.refusal or "no model")
        before, after = self.expected([parent, mutated])
        moved = after - before
        step = (self.scale.highest - self.scale.lowest) / (len(self.scale.values) - 1)
        margin = MARGIN * step
        is_confirmed = {
            Effect.KEEP: abs(moved) <= margin,
            Effect.RAISE: moved >= margin,
            Effect.LOWER: -moved >= margin,
            Effect.TO: grade is not None and abs(after - grade) <= 0.5 * step,
        }[effect]
        said = f"{effect}:{grade}" if effect is Effect.TO else str(effect)
        verdict = "confirmed" if is_confirmed else "not confirmed"
        reason = f"{said} {verdict}: expected grade {before:.2f} → {after:.2f} (margin {margin:.2f})"
        return Check(is_confirmed, reason, before, after)

    def expected(self, pairs: Sequence[PairText]) -> list[float]:
        """Return the expected grades, each by a model that saw no judgment of the pair's root query."""
        assert self.reader is not None and self.folds is not None
        matrix = self.reader.read(pairs)
        grades: list[float] = []
        for row, pair in enumerate(pairs):
            model = self.models[self.folds.get(pair.root_query_id, 0)]
            grades.append(float(_expected(model, matrix[row : row + 1])[0]))
        return grades


def fit_verifier(pairs: Sequence[PairText], grades: Sequence[int], *, scale: Scale) -> Verifier:
    """Fit on train judgments; a verifier that cannot be trusted confirms nothing and says why."""
    truth = np.asarray(grades, np.float64)
    roots = sorted({pair.root_query_id for pair in pairs})
    if len(pairs) < MIN_JUDGED or len(roots) < N_FOLDS:
        return Verifier(
            scale, len(pairs), f"too few train judgments: {len(pairs)} of {len(roots)} queries, needs {MIN_JUDGED}"
        )
    if len(set(grades)) < 2:
        return Verifier(scale, len(pairs), "all train judgments have one grade")
    groups = np.asarray([pair.root_query_id for pair in pairs])
    reader = _Reader(pairs)
    matrix = reader.read(pairs)
    models: list[Any] = []
    folds: dict[str, int] = {}
    expected, chosen = np.empty(truth.size), np.empty(truth.size)
    with threadpool_limits(1):
        for fold, (fit_rows, rows) in enumerate(GroupKFold(N_FOLDS).split(matrix, truth, groups)):
            if np.unique(truth[fit_rows]).size < 2:
                return Verifier(scale, len(pairs), "a fold of the train judgments has one grade only")
            model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
            model.fit(matrix[fit_rows], truth[fit_rows])
            models.append(model)
            folds.update(dict.fromkeys(groups[rows].tolist(), fold))
            expected[rows], chosen[rows] = _expected(model, matrix[rows]), model.predict(matrix[rows])
    explained = 1.0 - float(np.mean((truth - expected) ** 2) / np.var(truth))
    accuracy = float(np.mean(chosen == truth))
    refusal = None
    if explained < MIN_EXPLAINED:
        refusal = (
            f"the verifier explains {max(0.0, explained):.1%} of train grades out of fold, needs {MIN_EXPLAINED:.0%}"
        )
    return Verifier(scale, len(pairs), refusal, accuracy, explained, reader, tuple(models), folds)


def _expected(model: Any, matrix: Matrix) -> Matrix:
    return np.asarray(model.predict_proba(matrix) @ model.classes_)


def _words(text: str) -> list[str]:
    """Split a text its own way: words cut to six letters (a rough stem), characters of scripts without spaces."""
    return [word[:6] for word in _WORD.findall(text.casefold())]


class _Reader:
    """Turns pairs into text features. Its weights know how rare a word is in train texts, never a grade."""

    def __init__(self, pairs: Sequence[PairText]) -> None:
        docs = list(dict.fromkeys(f"{pair.doc} {pair.body}" for pair in pairs))
        queries = list(dict.fromkeys(pair.query for pair in pairs))
        self._words = TfidfVectorizer(analyzer=_words, sublinear_tf=True).fit(docs + queries)
        self._grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=60_000)
        self._grams.fit([pair.doc for pair in pairs] + queries)
        self._idf = dict(zip(self._words.get_feature_names_out(), self._words.idf_, strict=True))
        self._rarest = float(self._words.idf_.max())

    def read(self, pairs: Sequence[PairText]) -> Matrix:
        """Return one row a pair: cosines by words and by character grams, and what the doc lacks, weighted by idf."""
        queries = [pair.query for pair in pairs]
        near = [pair.doc for pair in pairs]
        whole = [f"{pair.doc} {pair.body}" for pair in pairs]
        by_words, by_grams = self._words.transform(queries), self._grams.transform(queries)
        cosines = [
            by_words.multiply(self._words.transform(near)).sum(axis=1),
            by_words.multiply(self._words.transform(whole)).sum(axis=1),
            by_grams.multiply(self._grams.transform(near)).sum(axis=1),
        ]
        lacks = np.asarray([self._lacks(query, doc) for query, doc in zip(queries, whole, strict=True)])
        return np.column_stack([*(np.asarray(cosine).ravel() for cosine in cosines), lacks])

    def _lacks(self, query: str, doc: str) -> tuple[float, float, float, float]:
        words = list(dict.fromkeys(_words(query)))
        held = set(_words(doc))
        weights = [float(self._idf.get(word, self._rarest)) for word in words]
        missing = [weight for word, weight in zip(words, weights, strict=True) if word not in held]
        total = sum(weights) or 1.0
        return sum(missing) / total, max(missing, default=0.0) / self._rarest, float(len(missing)), float(len(words))
