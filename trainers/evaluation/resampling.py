"""Bootstrap samples of queries, and what is undefined in some of them. Pure numpy.

Queries are drawn, not pairs: docs of one query stand or fall together. NaN is undefined and never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def resample(n_queries: int, n_resamples: int, seed: int) -> Floats:
    """Return how often each query is drawn, shape (R, Q): bootstrap samples of queries."""
    random = np.random.default_rng(seed)
    if n_queries == 0:
        return np.zeros((n_resamples, 0))
    return random.multinomial(n_queries, np.full(n_queries, 1 / n_queries), size=n_resamples).astype(float)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the last axis of what is defined; NaN where nothing is."""
    return divide(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def interval_of(resampled: Floats) -> tuple[float | None, float | None]:
    """Return the 2.5 and 97.5 percentiles of the resamples in which a metric is defined; None where it is in none."""
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
