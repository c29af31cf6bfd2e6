"""How well labels under an instruction agree with judgments, and two instructions on the very same pairs.

Quality is the mean of macro-F1 and quadratic weighted kappa; the objective takes off what the prompt's length costs. A
pair that could not be labelled has no grade: it counts as failed and in no figure. Intervals are bootstraps over
queries (percentiles), those of a difference paired: each draw takes the same queries for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]

UNLABELLED = -1
N_RESAMPLES = 500
LENGTH_COST = 0.005  # of quality, for a thousand characters of instruction: every request carries them


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its 95% interval; None where it is not defined. `n` pairs."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Judged pairs: their grades as places on the scale, the query each belongs to, how many grades there are."""

    places: Ints
    queries: Ints
    n_grades: int


def quality(confusion: Floats) -> Floats:
    """Return the mean of macro-F1 and kappa of matrices (…, truth, said); macro-F1 alone where kappa is undefined."""
    f1, kappa = macro_f1(confusion), weighted_kappa(confusion)
    return np.asarray(np.where(np.isnan(kappa), f1, (f1 + kappa) / 2))


def macro_f1(confusion: Floats) -> Floats:
    """Return the mean F1 over the grades that occur or are said."""
    both = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = _divide(2 * np.diagonal(confusion, axis1=-2, axis2=-1), both)
    return _divide(np.nansum(f1, axis=-1), (~np.isnan(f1)).sum(axis=-1))


def weighted_kappa(confusion: Floats) -> Floats:
    """Return Cohen's kappa with squared distances on the scale; NaN where chance alone gives no disagreement."""
    places = np.arange(confusion.shape[-1])
    distance = (places[:, None] - places[None, :]) ** 2
    expected = confusion.sum(axis=-1)[..., :, None] * confusion.sum(axis=-2)[..., None, :]
    total = confusion.sum(axis=(-2, -1))
    return 1 - _divide((distance * confusion).sum(axis=(-2, -1)) * total, (distance * expected).sum(axis=(-2, -1)))


def accuracy(confusion: Floats) -> Floats:
    """Return the share of right grades."""
    return _divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


METRICS = {"macro_f1": macro_f1, "qwk": weighted_kappa, "accuracy": accuracy}


def measure(truth: Truth, said: Ints, rows: Mask) -> dict[str, Measured]:
    """Return every metric of the labels on the rows that have one."""
    rows = rows & (said != UNLABELLED)
    confusion = _by_query(truth, said, rows)
    draws = _draws(len(confusion))
    point, drawn = confusion.sum(axis=0), _resampled(draws, confusion)
    n = int(rows.sum())
    return {name: _measured(float(formula(point)), formula(drawn), n) for name, formula in METRICS.items()}


def objective(truth: Truth, said: Ints, rows: Mask, n_characters: int) -> float:
    """Return quality less the cost of the instruction's length; NaN where no row has a label."""
    confusion = _by_query(truth, said, rows & (said != UNLABELLED)).sum(axis=0)
    return float(quality(confusion)) - length_cost(n_characters)


def length_cost(n_characters: int) -> float:
    """Return what an instruction of so many characters costs, in quality."""
    return LENGTH_COST * n_characters / 1000


@dataclass(frozen=True, slots=True)
class Gain:
    """What a child's objective is above its parent's on the pairs both labelled, with the paired 95% interval."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves nothing out: the rise is more than the luck of the draw."""
        return self.low > 0


def gain(truth: Truth, parent: Ints, child: Ints, rows: Mask, *, n_parent: int, n_child: int) -> Gain | None:
    """Return the child's gain over the parent on the rows that both labelled; None without any.

    `n_parent`, `n_child`: characters of each instruction.
    """
    rows = rows & (parent != UNLABELLED) & (child != UNLABELLED)
    if not rows.any():
        return None
    before, after = _by_query(truth, parent, rows), _by_query(truth, child, rows)
    draws = _draws(len(before))
    shorter = length_cost(n_parent) - length_cost(n_child)
    value = float(quality(after.sum(axis=0)) - quality(before.sum(axis=0))) + shorter
    drawn = quality(_resampled(draws, after)) - quality(_resampled(draws, before)) + shorter
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Gain(value, float(low), float(high), int(rows.sum()))


def _by_query(truth: Truth, said: Ints, rows: Mask) -> Floats:
    """Return a confusion matrix for each query that has such a row: (queries, truth, said)."""
    kept = np.flatnonzero(rows)
    queries = np.unique(truth.queries[kept], return_inverse=True)[1]
    matrices = np.zeros((int(queries.max()) + 1 if kept.size else 0, truth.n_grades, truth.n_grades))
    np.add.at(matrices, (queries, truth.places[kept], said[kept]), 1)
    return matrices


def _draws(n_queries: int) -> Floats:
    """Return how often each query is drawn in each resample; the same for the same number of queries."""
    if not n_queries:
        return np.zeros((N_RESAMPLES, 0))
    shares = np.full(n_queries, 1 / n_queries)
    return np.random.default_rng(0).multinomial(n_queries, shares, size=N_RESAMPLES).astype(float)


def _resampled(draws: Floats, matrices: Floats) -> Floats:
    return np.asarray(np.einsum("rq,qts->rts", draws, matrices))


def _measured(value: float, drawn: Floats, n: int) -> Measured:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not defined.size:
        return Measured(None, None, None, n)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Measured(value, float(low), float(high), n)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(denominator == 0, np.nan, numerator / denominator))
