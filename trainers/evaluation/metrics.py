"""How good predicted grades are, each number with its n and a bootstrap interval.

Pure numpy. A metric that is undefined (a grade that neither occurs nor is predicted, ranking without a relevant doc)
is None, never 0. Intervals resample queries, not pairs: docs of one query stand or fall together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_RESAMPLES = 1000
N_BINS = 10
NDCG_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric: its value, its 95% interval, and how many pairs (for ndcg: queries) it rests on."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
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
    """Return all metrics of predictions against the truth.

    truth, predicted (n,): positions on the scale. probabilities (n, K): needed for ece and ndcg@10 only, which are
    left out without them. `grades` names the K grades, lowest first.
    """
    n_grades = len(grades)
    _, query = np.unique(np.asarray(query_ids), return_inverse=True)
    n_queries = int(query.max()) + 1 if len(query) else 0
    draws = resample(n_queries, n_resamples, seed)  # (R, Q): how often each query is drawn
    confusion = confusions(truth, predicted, query, n_queries, n_grades)
    point = confusion.sum(axis=0)
    resampled = (draws @ confusion.reshape(n_queries, -1)).reshape(-1, n_grades, n_grades)
    n = len(truth)
    measures = [
        _with_interval(name, formula(point[None])[0], formula(resampled), n)
        for name, formula in (
            ("accuracy", accuracy),
            ("macro_f1", macro_f1),
            ("qwk", quadratic_weighted_kappa),
            ("adjacent_error", adjacent_error),
            ("non_adjacent_error", non_adjacent_error),
        )
    ]
    point_f1, resampled_f1 = grade_f1(point[None])[0], grade_f1(resampled)
    measures += [
        _with_interval(f"f1_grade_{grade}", point_f1[k], resampled_f1[:, k], int((truth == k).sum()))
        for k, grade in enumerate(grades)
    ]
    if probabilities is not None:
        bins = _bin_sums(truth, predicted, probabilities, query, n_queries)
        ece = calibration_error(bins.sum(axis=0)[None])[0]
        resampled_bins = (draws @ bins.reshape(n_queries, -1)).reshape(-1, *bins.shape[1:])
        measures.append(_with_interval("ece", ece, calibration_error(resampled_bins), n))
        gains = ndcg_per_query(truth, probabilities @ np.arange(n_grades), query, n_queries)
        is_ranked = ~np.isnan(gains)
        n_drawn = draws @ is_ranked
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled_ndcg = draws @ np.where(is_ranked, gains, 0.0) / n_drawn
            value = gains[is_ranked].mean() if is_ranked.any() else np.nan
        measures.append(_with_interval(f"ndcg@{NDCG_DEPTH}", value, resampled_ndcg, int(is_ranked.sum())))
    return measures


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
    mean = _divide(sums.sum(), sizes.sum())
    return _with_interval(metric, float(mean), _divide(draws @ sums, draws @ sizes), len(values))


# Confusion matrices have shape (..., K truth, K predicted); each formula returns shape (...), NaN where undefined.


def accuracy(confusion: Floats) -> Floats:
    """Return the share of right grades."""
    return _divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def grade_f1(confusion: Floats) -> Floats:
    """Return the F1 of each grade, shape (..., K); NaN for a grade that neither occurs nor is predicted."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _divide(2 * right, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Floats) -> Floats:
    """Return the mean F1 over the grades where it is defined."""
    f1 = grade_f1(confusion)
    return _divide(np.nansum(f1, axis=-1), (~np.isnan(f1)).sum(axis=-1))


def quadratic_weighted_kappa(confusion: Floats) -> Floats:
    """Return Cohen's kappa with squared distances on the scale; NaN when chance alone gives no disagreement."""
    distance = _distances(confusion) ** 2
    expected = confusion.sum(axis=-1)[..., :, None] * confusion.sum(axis=-2)[..., None, :]
    total = confusion.sum(axis=(-2, -1))
    observed = (distance * confusion).sum(axis=(-2, -1)) * total
    return 1 - _divide(observed, (distance * expected).sum(axis=(-2, -1)))


def adjacent_error(confusion: Floats) -> Floats:
    """Return the share of pairs graded one place off."""
    return _share_where(confusion, _distances(confusion) == 1)


def non_adjacent_error(confusion: Floats) -> Floats:
    """Return the share of pairs graded two places off or more."""
    return _share_where(confusion, _distances(confusion) >= 2)


def calibration_error(bins: Floats) -> Floats:
    """Return the expected calibration error of bins (..., N_BINS, 3): count, sum of confidence, number right."""
    count, confidence, right = bins[..., 0], bins[..., 1], bins[..., 2]
    return _divide(np.abs(confidence - right).sum(axis=-1), count.sum(axis=-1))


def ndcg_per_query(truth: Ints, scores: Floats, query: Ints, n_queries: int) -> Floats:
    """Return NDCG@10 of each query, gain `2^place - 1`; NaN where a query has no doc above the lowest grade.

    Docs with the same score share the discounts of the places they fill, so the order of the rows does not matter.
    """
    result = np.full(n_queries, np.nan)
    order = np.argsort(query, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(query[order])) + 1) if len(order) else []:
        gains = 2.0 ** truth[rows] - 1
        discounts = np.where(np.arange(len(rows)) < NDCG_DEPTH, 1 / np.log2(np.arange(len(rows)) + 2), 0.0)
        best = np.sort(gains)[::-1] @ discounts
        if best > 0:
            _, tied, n_tied = np.unique(-scores[rows], return_inverse=True, return_counts=True)
            shared = np.bincount(np.repeat(np.arange(len(n_tied)), n_tied), weights=discounts) / n_tied
            result[query[rows[0]]] = gains @ shared[tied] / best
    return result


def _distances(confusion: Floats) -> Ints:
    places = np.arange(confusion.shape[-1])
    return np.abs(places[:, None] - places[None, :])


def _share_where(confusion: Floats, is_meant: NDArray[np.bool_]) -> Floats:
    return _divide((confusion * is_meant).sum(axis=(-2, -1)), confusion.sum(axis=(-2, -1)))


def _bin_sums(truth: Ints, predicted: Ints, probabilities: Floats, query: Ints, n_queries: int) -> Floats:
    confidence = probabilities[np.arange(len(predicted)), predicted]
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    sums = np.zeros((n_queries, N_BINS, 3))
    for column, values in enumerate((np.ones(len(truth)), confidence, (truth == predicted).astype(float))):
        np.add.at(sums[:, :, column], (query, bins), values)
    return sums


def confusions(truth: Ints, predicted: Ints, query: Ints, n_queries: int, n_grades: int) -> Floats:
    """Return each query's confusion matrix, shape (Q, K truth, K predicted)."""
    counts = np.zeros((n_queries, n_grades, n_grades))
    np.add.at(counts, (query, truth, predicted), 1)
    return counts


def resample(n_queries: int, n_resamples: int, seed: int) -> Floats:
    """Return how often each query is drawn, shape (R, Q): bootstrap samples of queries."""
    random = np.random.default_rng(seed)
    if n_queries == 0:
        return np.zeros((n_resamples, 0))
    return random.multinomial(n_queries, np.full(n_queries, 1 / n_queries), size=n_resamples).astype(float)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def _with_interval(metric: str, value: float, resampled: Floats, n: int) -> Measure:
    """Attach the 2.5 and 97.5 percentiles of the resamples in which the metric is defined."""
    if np.isnan(value):
        return Measure(metric, None, None, None, n)
    defined = resampled[~np.isnan(resampled)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (None, None)
    return Measure(metric, float(value), None if low is None else float(low), None if high is None else float(high), n)
