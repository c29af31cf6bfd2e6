"""How good predicted grades are, each number with its n and a bootstrap interval.

Pure numpy. A metric that is undefined (a grade that neither occurs nor is predicted, ranking without a relevant doc)
is None, never 0. Intervals resample queries, not pairs: docs of one query stand or fall together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.evaluation.calibration import bin_sums, calibration_error
from trainers.evaluation.ranking import (
    BADCASE_DEPTH,
    NDCG_DEPTH,
    auc,
    auc_over_draws,
    badcase_per_query,
    ndcg_per_query,
)
from trainers.evaluation.resampling import Floats, Ints, divide, interval_of, mean_of_defined, resample

N_RESAMPLES = 1000
FORM = 2  # of what `evaluate` measures: a run that was measured when there was less to measure is measured anew


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric: its value, its 95% interval, and how many pairs (for rankings: queries) it rests on."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class DrawnMetric:
    """One metric on the pairs and on each resample of their queries, shape (R,); NaN where it is undefined."""

    metric: str
    value: float
    resampled: Floats
    n: int


def measure(
    truth: Ints,
    predicted: Ints,
    query_ids: Sequence[str],
    *,
    grades: Sequence[int],
    probabilities: Floats | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Measure]:
    """Return all metrics of predictions against the truth, as `drawn_metrics` takes them."""
    found = drawn_metrics(
        truth, predicted, query_ids, grades=grades, probabilities=probabilities, n_resamples=n_resamples, seed=seed
    )
    return [with_interval(one.metric, one.value, one.resampled, one.n) for one in found]


def drawn_metrics(
    truth: Ints,
    predicted: Ints,
    query_ids: Sequence[str],
    *,
    grades: Sequence[int],
    probabilities: Floats | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[DrawnMetric]:
    """Return all metrics, each on the pairs and on resamples of their queries; the same seed draws the same queries.

    truth, predicted (n,): positions on the scale. probabilities (n, K): docs are ranked by the grade they expect, else
    by the predicted one; ece and auc need them and are left out without. `grades` names the K grades, lowest first.
    """
    n, n_grades = len(truth), len(grades)
    _, query = np.unique(np.asarray(query_ids), return_inverse=True)
    n_queries = int(query.max()) + 1 if len(query) else 0
    draws = resample(n_queries, n_resamples, seed)  # (R, Q): how often each query is drawn
    confusion = confusions(truth, predicted, query, n_queries, n_grades)
    point = confusion.sum(axis=0)
    resampled = (draws @ confusion.reshape(n_queries, -1)).reshape(-1, n_grades, n_grades)
    n_of_grade = [int((truth == k).sum()) for k in range(n_grades)]
    found = [
        DrawnMetric(name, formula(point[None])[0], formula(resampled), n)
        for name, formula in (
            ("accuracy", accuracy),
            ("macro_f1", macro_f1),
            ("qwk", quadratic_weighted_kappa),
            ("adjacent_error", adjacent_error),
            ("non_adjacent_error", non_adjacent_error),
        )
    ]
    point_f1, resampled_f1 = grade_f1(point[None])[0], grade_f1(resampled)
    found += [
        DrawnMetric(f"f1_grade_{grade}", point_f1[k], resampled_f1[:, k], n_of_grade[k])
        for k, grade in enumerate(grades)
    ]
    if probabilities is not None:
        bins = bin_sums(truth, predicted, probabilities, query, n_queries)
        resampled_bins = (draws @ bins.reshape(n_queries, -1)).reshape(-1, *bins.shape[1:])
        found.append(
            DrawnMetric("ece", calibration_error(bins.sum(axis=0)[None])[0], calibration_error(resampled_bins), n)
        )
        areas = [(truth == k, probabilities[:, k]) for k in range(n_grades)]
        point_area = np.array([auc(*one, np.ones((1, n)))[0] for one in areas])
        resampled_area = np.stack([auc_over_draws(*one, query, draws) for one in areas], axis=1)
        found += [
            DrawnMetric(f"auc_grade_{grade}", point_area[k], resampled_area[:, k], n_of_grade[k])
            for k, grade in enumerate(grades)
        ]
        found.append(DrawnMetric("auc", float(mean_of_defined(point_area)), mean_of_defined(resampled_area), n))
    scores = predicted.astype(float) if probabilities is None else probabilities @ np.arange(n_grades)
    for name, values in (
        (f"ndcg@{NDCG_DEPTH}", ndcg_per_query(truth, scores, query, n_queries)),
        (f"badcase@{BADCASE_DEPTH}", badcase_per_query(truth, scores, query, n_queries)),
    ):
        found.append(_mean_over_queries(name, values, draws))
    return found


def mean_measure(
    metric: str,
    values: Sequence[float],
    query_ids: Sequence[str],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Measure:
    """Return the mean of values, one a pair, with its interval; queries are resampled as in `measure`."""
    _, query = np.unique(np.asarray(query_ids), return_inverse=True)
    n_queries = int(query.max()) + 1 if len(query) else 0
    draws = resample(n_queries, n_resamples, seed)
    sums = np.bincount(query, weights=values, minlength=n_queries)
    sizes = np.bincount(query, minlength=n_queries).astype(float)
    mean = divide(sums.sum(), sizes.sum())
    return with_interval(metric, float(mean), divide(draws @ sums, draws @ sizes), len(values))


# Confusion matrices have shape (..., K truth, K predicted); each formula returns shape (...), NaN where undefined.


def accuracy(confusion: Floats) -> Floats:
    """Return the share of right grades."""
    return divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def grade_f1(confusion: Floats) -> Floats:
    """Return the F1 of each grade, shape (..., K); NaN for a grade that neither occurs nor is predicted."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return divide(2 * right, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Floats) -> Floats:
    """Return the mean F1 over the grades where it is defined."""
    return mean_of_defined(grade_f1(confusion))


def quadratic_weighted_kappa(confusion: Floats) -> Floats:
    """Return Cohen's kappa with squared distances on the scale; NaN when chance alone gives no disagreement."""
    distance = _distances(confusion) ** 2
    expected = confusion.sum(axis=-1)[..., :, None] * confusion.sum(axis=-2)[..., None, :]
    total = confusion.sum(axis=(-2, -1))
    observed = (distance * confusion).sum(axis=(-2, -1)) * total
    return 1 - divide(observed, (distance * expected).sum(axis=(-2, -1)))


def adjacent_error(confusion: Floats) -> Floats:
    """Return the share of pairs graded one place off."""
    return _share_where(confusion, _distances(confusion) == 1)


def non_adjacent_error(confusion: Floats) -> Floats:
    """Return the share of pairs graded two places off or more."""
    return _share_where(confusion, _distances(confusion) >= 2)


def _distances(confusion: Floats) -> Ints:
    places = np.arange(confusion.shape[-1])
    distances: Ints = np.abs(places[:, None] - places[None, :])
    return distances


def _share_where(confusion: Floats, is_meant: NDArray[np.bool_]) -> Floats:
    return divide((confusion * is_meant).sum(axis=(-2, -1)), confusion.sum(axis=(-2, -1)))


def confusions(truth: Ints, predicted: Ints, query: Ints, n_queries: int, n_grades: int) -> Floats:
    """Return each query's confusion matrix, shape (Q, K truth, K predicted)."""
    counts = np.zeros((n_queries, n_grades, n_grades))
    np.add.at(counts, (query, truth, predicted), 1)
    return counts


def with_interval(metric: str, value: float, resampled: Floats, n: int) -> Measure:
    """Attach the 95% interval of the resamples in which the metric is defined."""
    if np.isnan(value):
        return Measure(metric, None, None, None, n)
    return Measure(metric, float(value), *interval_of(resampled), n)


def _mean_over_queries(metric: str, values: Floats, draws: Floats) -> DrawnMetric:
    """Return the mean of a value each query has, over those where it is defined; n counts queries."""
    is_defined = ~np.isnan(values)
    held = np.where(is_defined, values, 0.0)
    point = float(divide(held.sum(), is_defined.sum().astype(float)))
    return DrawnMetric(metric, point, divide(draws @ held, draws @ is_defined), int(is_defined.sum()))
