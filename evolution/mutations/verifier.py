"""Does a mutation do what it says? A judge that shares no evidence with the operators.

What each may know beside the text that was rewritten (`mutations/operator.py` names the same kinds of evidence):

- an operator that rewrites a query: the doc's fields, the pair's own grade, values and wordings seen elsewhere, a small
  list of words, or what a language model knows; never the doc's title and body, nor any other pair's grade;
- an operator that rewrites a doc: the same, and never the query;
- this verifier: the text of the other side and train judgments of *other* queries. It is given no field and no grade
  of the pair it is asked about: `PairText` has no place for them, and each pair is read by a model fitted without any
  judgment of its root query.

It reads words by a tokeniser and weights of its own. It confirms an effect only where the grade it expects moves (or
stays) as declared by a margin, and says nothing where it has too little to learn from, has learnt nothing, or is shown
a doc without text or with more text than it reads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from evolution.mutations import Effect, Evidence, Side, holds, say_effect
from storage.grades import Scale

VERIFIER = "text-tfidf/2"
READS = {
    Side.QUERY: frozenset({Evidence.DOC_TEXT, Evidence.OTHER_GRADES}),
    Side.DOC: frozenset({Evidence.QUERY_TEXT, Evidence.OTHER_GRADES}),
}
MIN_JUDGED = 60
N_FOLDS = 5
MARGIN = 0.1  # of a step between two grades
MIN_EXPLAINED = 0.02  # share of the grades' variance it must explain out of fold before its word counts
NEAR_WORD = 0.8  # share of letters from which an unknown word is taken for one of the doc's
MAX_CHARACTERS = 50_000  # of a doc; the rest of a longer one is not read
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_LONG_WORD = re.compile(r"(?<!\w)[a-z]{4,}(?!\w)")
_RULED_OUT = re.compile(r"\b(?:not|no|without)\s+(\w+)|(\w+)-free\b|(?:不要|不含|不带|没有|无)\s*(\w{1,2})")

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairText:
    """What the verifier is given of a pair: text, and the root query that decides the fold. No fields, no grade."""

    query: str
    title: str
    body: str
    root_query_id: str

    @property
    def doc(self) -> str:
        """Title and body, as far as they are read."""
        return f"{self.title} {self.body}"[:MAX_CHARACTERS]

    @property
    def unreadable(self) -> str | None:
        """Why no word can be said of this pair, None when one can."""
        n = len(self.title) + len(self.body)
        if n > MAX_CHARACTERS:
            return f"the doc has {n} characters and the verifier reads {MAX_CHARACTERS}"
        if not _WORD.search(self.doc):
            return "the doc has no words to check by"
        return None if _WORD.search(self.query) else "the query has no words to check by"


@dataclass(frozen=True, slots=True)
class Claim:
    """A declared effect with the pair before and after."""

    before: PairText
    after: PairText
    effect: Effect
    bound: int | None = None


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

    def check(self, claims: Sequence[Claim]) -> list[Check]:
        """Hold declared effects against the grades expected before and after."""
        if self.refusal is not None or self.reader is None:
            return [Check(False, self.refusal or "no model")] * len(claims)
        readable = [claim for claim in claims if not (claim.before.unreadable or claim.after.unreadable)]
        grades = iter(self.expected([pair for claim in readable for pair in (claim.before, claim.after)]))
        checks = []
        for claim in claims:
            unreadable = claim.before.unreadable or claim.after.unreadable
            if unreadable:
                checks.append(Check(False, f"{say_effect(claim.effect, claim.bound)} not confirmed: {unreadable}"))
            else:
                checks.append(self._judge(claim, next(grades), next(grades)))
        return checks

    def _judge(self, claim: Claim, before: float, after: float) -> Check:
        step = (self.scale.highest - self.scale.lowest) / (len(self.scale.values) - 1)
        margin = MARGIN * step
        is_confirmed = holds(
            claim.effect, before=before, after=after, bound=claim.bound, margin=margin, slack=0.5 * step
        )
        verdict = "confirmed" if is_confirmed else "not confirmed"
        said = say_effect(claim.effect, claim.bound)
        reason = f"{said} {verdict}: expected grade {before:.2f} → {after:.2f} (margin {margin:.2f})"
        return Check(is_confirmed, reason, before, after)

    def expected(self, pairs: Sequence[PairText]) -> list[float]:
        """Return the expected grades, each by a model that saw no judgment of the pair's root query."""
        assert self.reader is not None and self.folds is not None
        if not pairs:
            return []
        matrix = self.reader.read(pairs)
        folds = np.asarray([self.folds.get(pair.root_query_id, 0) for pair in pairs])
        grades = np.empty(len(pairs))
        with threadpool_limits(1):
            for fold in np.unique(folds):
                rows = folds == fold
                grades[rows] = _expected(self.models[fold], matrix[rows])
        return [float(grade) for grade in grades]


def fit_verifier(pairs: Sequence[PairText], grades: Sequence[int], *, scale: Scale) -> Verifier:
    """Fit on train judgments of docs it can read; one that cannot be trusted confirms nothing and says why."""
    known = [(pair, grade) for pair, grade in zip(pairs, grades, strict=True) if pair.unreadable is None]
    pairs, grades = [pair for pair, _ in known], [grade for _, grade in known]
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
        docs = list(dict.fromkeys(pair.doc for pair in pairs))
        queries = list(dict.fromkeys(pair.query for pair in pairs))
        self._words = TfidfVectorizer(analyzer=_words, sublinear_tf=True).fit(docs + queries)
        self._grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=60_000)
        self._grams.fit([pair.title for pair in pairs] + queries)
        self._idf = dict(zip(self._words.get_feature_names_out(), self._words.idf_, strict=True))
        self._rarest = float(self._words.idf_.max())

    def read(self, pairs: Sequence[PairText]) -> Matrix:
        """Return one row a pair: cosines by words and by character grams, what the doc lacks, what it was not to have.

        What a query rules out is not among the words the doc is held against.
        """
        titles, whole = [pair.title for pair in pairs], [pair.doc for pair in pairs]
        wanted = [_RULED_OUT.sub(" ", pair.query.casefold()) for pair in pairs]
        asked = [self._read_through(query, doc) for query, doc in zip(wanted, whole, strict=True)]
        by_words, by_grams = self._words.transform(asked), self._grams.transform(asked)
        cosines = [
            by_words.multiply(self._words.transform(titles)).sum(axis=1),
            by_words.multiply(self._words.transform(whole)).sum(axis=1),
            by_grams.multiply(self._grams.transform(titles)).sum(axis=1),
        ]
        held = [set(_words(doc)) for doc in whole]
        lacks = [self._lacks(query, words) for query, words in zip(asked, held, strict=True)]
        unwanted = [_n_unwanted(pair.query, words) for pair, words in zip(pairs, held, strict=True)]
        return np.column_stack([*(np.asarray(cosine).ravel() for cosine in cosines), np.asarray(lacks), unwanted])

    def _read_through(self, query: str, doc: str) -> str:
        """Return the query with words nobody writes taken for the word of the doc that they nearly are."""
        unknown = {word for word in _LONG_WORD.findall(query) if word[:6] not in self._idf}
        if not unknown:
            return query
        known = sorted(set(_LONG_WORD.findall(doc.casefold())))
        meant = {word: near for word in unknown if (near := _nearest(word, known)) is not None}
        return _LONG_WORD.sub(lambda match: meant.get(match.group(), match.group()), query)

    def _lacks(self, query: str, held: set[str]) -> tuple[float, float, float, float]:
        words = list(dict.fromkeys(_words(query)))
        weights = [float(self._idf.get(word, self._rarest)) for word in words]
        missing = [weight for word, weight in zip(words, weights, strict=True) if word not in held]
        total = sum(weights) or 1.0
        return sum(missing) / total, max(missing, default=0.0) / self._rarest, float(len(missing)), float(len(words))


def _nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the word of the same first letter that shares most letters with this one, None where none is near."""
    letters = Counter(word)
    near = [
        (2 * (letters & Counter(other)).total() / (len(word) + len(other)), other)
        for other in known
        if other[0] == word[0] and abs(len(other) - len(word)) <= 1
    ]
    share, other = max(near, default=(0.0, ""))
    return other if share >= NEAR_WORD else None


def _n_unwanted(query: str, held: set[str]) -> float:
    """Count the ruled-out words a doc has."""
    ruled_out = ["".join(groups) for groups in _RULED_OUT.findall(query.casefold())]
    return float(sum(all(part in held for part in _words(word)) for word in ruled_out))
