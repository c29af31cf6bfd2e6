"""What the features alone say of a grade: a small classifier over the numeric columns, and a fixed rule before there is
anything to learn from.

Judged pairs are predicted by models that saw neither them nor another pair of their query, so that the confidence of
a proposal is honest on old pairs and new ones alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from curation.features import FEATURE_SCHEMA
from storage.grades import Scale

MIN_JUDGED = 40  # below, the fixed rule speaks
MANY_JUDGED = 3000  # above, boosting wins; below, it overfits and a linear model or a forest is chosen
N_FOLDS = 3
FLOOR = 1e-3  # no grade is impossible

NUMERIC: Final = tuple(name for name, kind in FEATURE_SCHEMA.items() if kind.is_numeric() or kind == pl.Boolean())
NULL_BOOLEAN, NULL_NUMBER = 0.5, 1.0  # between no and yes; as far from the start as can be

Matrix = NDArray[np.float64]


MIN_FIELD_PAIRS = 8  # pairs in which a field must agree or conflict before it gets columns of its own


@dataclass(frozen=True, slots=True)
class Columns:
    """Which doc fields get 0/1 columns; decided on train.

    For each: it agrees, it conflicts, it is asked but not stated, it is stated but not asked.
    """

    fields: tuple[str, ...]

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """Return the numeric columns, then the 0/1 columns; one row a pair."""
        if not self.fields:
            return _numeric_matrix(features)
        asked, stated = _field_of("query_attributes"), _field_of("doc_attributes")
        told = []
        for name in self.fields:
            told += [
                pl.col("matched_fields").list.contains(name).alias(f"{name} agrees"),
                pl.col("conflicting_fields").list.contains(name).alias(f"{name} conflicts"),
                (asked.list.contains(name) & ~stated.list.contains(name)).alias(f"{name} unstated"),
                (stated.list.contains(name) & ~asked.list.contains(name)).alias(f"{name} unasked"),
            ]
        return np.hstack([_numeric_matrix(features), features.select(told).to_numpy().astype(np.float64)])


def choose_columns(features: pl.DataFrame) -> Columns:
    """Return the fields that agree or conflict often enough."""
    named = pl.concat([features["matched_fields"].explode(), features["conflicting_fields"].explode()]).drop_nulls()
    counts = named.alias("field").value_counts()
    return Columns(tuple(counts.filter(pl.col("count") >= MIN_FIELD_PAIRS)["field"].sort()))


def _field_of(column: str) -> pl.Expr:
    return pl.col(column).list.eval(pl.element().str.split("=").list.first())


def _numeric_matrix(features: pl.DataFrame) -> Matrix:
    columns = [
        pl.col(name).cast(pl.Float64).fill_null(NULL_BOOLEAN if FEATURE_SCHEMA[name] == pl.Boolean() else NULL_NUMBER)
        for name in NUMERIC
    ]
    matrix: Matrix = features.select(*columns, pl.col("missing_terms").list.len().cast(pl.Float64)).to_numpy()
    return matrix


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """A fitted classifier, or the fixed rule when `classifier` is None. `name` says which."""

    scale: Scale
    columns: Columns
    classifier: Any
    name: str

    def predict(self, features: pl.DataFrame) -> Matrix:
        """Return the grade distributions (pairs × grades in scale order)."""
        if features.is_empty():
            return np.empty((0, len(self.scale.values)))
        if self.classifier is None:
            return _fixed_rule(features, self.scale)
        with threadpool_limits(1):
            told = self.classifier.predict_proba(self.columns.matrix(features))
        return _spread(told, self.classifier.classes_, self.scale)


@dataclass(frozen=True, slots=True)
class FittedEvidence:
    """A model fitted on all judged pairs, and what others that had not seen them say of each (`out_of_fold`)."""

    model: EvidenceModel
    out_of_fold: Matrix


def fit_evidence(
    features: pl.DataFrame, grades: Sequence[int], *, queries: Sequence[str], scale: Scale, seed: int = 0
) -> FittedEvidence:
    """Fit on judged pairs; the classifier is chosen by out-of-fold log loss. `queries`: the root query of each row."""
    truth = np.asarray(grades)
    groups = np.unique(np.asarray(queries), return_inverse=True)[1] if len(queries) else np.empty(0, np.intp)
    n_groups = int(groups.max()) + 1 if groups.size else 0
    if truth.size < MIN_JUDGED or np.unique(truth).size < 2 or n_groups < N_FOLDS:
        fixed = EvidenceModel(scale, Columns(()), None, "fixed rule")
        return FittedEvidence(fixed, fixed.predict(features))
    with threadpool_limits(1):  # more threads than free cores make boosting thirty times slower, not faster
        return _fit(choose_columns(features), features, truth, groups, scale, seed)


def _fit(
    columns: Columns,
    features: pl.DataFrame,
    truth: NDArray[np.int_],
    groups: NDArray[np.intp],
    scale: Scale,
    seed: int,
) -> FittedEvidence:
    matrix = columns.matrix(features)
    makers = {"boosting": _boosting} if truth.size > MANY_JUDGED else {"logistic": _logistic, "forest": _forest}
    tried: dict[str, Matrix] = {}
    for name, make in makers.items():
        out = np.empty((truth.size, len(scale.values)))
        for fit_rows, rows in GroupKFold(N_FOLDS).split(matrix, truth, groups):
            out[rows] = _fold(make(seed), matrix, truth, fit_rows, rows, scale)
        tried[name] = out
    name = min(tried, key=lambda n: float(log_loss(truth, tried[n], labels=list(scale.values))))
    classifier = makers[name](seed).fit(matrix, truth)
    return FittedEvidence(EvidenceModel(scale, columns, classifier, name), tried[name])


def _fold(
    classifier: Any,
    matrix: Matrix,
    truth: NDArray[np.int_],
    fit_rows: NDArray[np.intp],
    rows: NDArray[np.intp],
    scale: Scale,
) -> Matrix:
    seen = np.unique(truth[fit_rows])
    if seen.size < 2:
        return _spread(np.ones((rows.size, 1)), seen, scale)
    classifier.fit(matrix[fit_rows], truth[fit_rows])
    return _spread(classifier.predict_proba(matrix[rows]), classifier.classes_, scale)


def _spread(probabilities: Matrix, classes: NDArray[np.int_], scale: Scale) -> Matrix:
    """Place a classifier's columns on the scale and leave every grade a little."""
    out = np.zeros((probabilities.shape[0], len(scale.values)))
    out[:, [scale.position(int(grade)) for grade in classes]] = probabilities
    out += FLOOR
    told: Matrix = out / out.sum(axis=1, keepdims=True)
    return told


def _fixed_rule(features: pl.DataFrame, scale: Scale) -> Matrix:
    """Place a pair on the scale by its overlap, a third of the scale lower for each conflict; wide on purpose."""
    overlap = features.select(
        (pl.col("term_overlap") + pl.col("gram_overlap")) / 2
        - (pl.col("n_attribute_conflicts") + pl.col("n_number_conflicts") + pl.col("n_negated_present")) / 3
    ).to_series()
    top = len(scale.values) - 1
    place = np.clip(overlap.to_numpy(), 0.0, 1.0)[:, None] * top
    closeness = np.exp(-np.abs(np.arange(top + 1)[None, :] - place))
    return np.asarray(closeness / closeness.sum(axis=1, keepdims=True))


def _logistic(seed: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=400, random_state=seed))


def _forest(seed: int) -> Any:
    return RandomForestClassifier(100, min_samples_leaf=3, max_features=0.3, random_state=seed)


def _boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=70, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed
    )
