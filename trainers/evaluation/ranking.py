"""How well scores order docs: NDCG and bad cases among the first of each query, and one-vs-rest AUC. Pure numpy.

Docs with the same score share the places they fill, so the order of the rows never matters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainers.evaluation.resampling import Floats, Ints, divide

NDCG_DEPTH = 10
BADCASE_DEPTH = 5
CHUNK = 1 << 22  # floats of a block of resamples by pairs


def ndcg_per_query(truth: Ints, scores: Floats, query: Ints, n_queries: int) -> Floats:
    """Return NDCG@10 of each query, gain `2^place - 1`; NaN where a query has no doc above the lowest grade."""
    result = np.full(n_queries, np.nan)
    for rows in _rows_by_query(query):
        gains = 2.0 ** truth[rows] - 1
        discounts = np.where(np.arange(len(rows)) < NDCG_DEPTH, 1 / np.log2(np.arange(len(rows)) + 2), 0.0)
        best = np.sort(gains)[::-1] @ discounts
        if best > 0:
            result[query[rows[0]]] = gains @ _shared(discounts, scores[rows]) / best
    return result


def badcase_per_query(truth: Ints, scores: Floats, query: Ints, n_queries: int) -> Floats:
    """Return the share of docs of the lowest grade among the first five of each query, of fewer where it has fewer.

    What Badcase@k counts is our reconstruction. A query whose docs are all bad counts 1 whatever the order, so the
    figure is to be read beside another model's on the same pairs.
    """
    result = np.full(n_queries, np.nan)
    for rows in _rows_by_query(query):
        is_shown = (np.arange(len(rows)) < BADCASE_DEPTH).astype(float)
        result[query[rows[0]]] = (truth[rows] == 0) @ _shared(is_shown, scores[rows]) / is_shown.sum()
    return result


def auc(is_positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Return the area under the ROC curve for weighted pairs (R, n), shape (R,): the chance that a positive stands
    above a negative, equal scores counting half. NaN where there is no positive or no negative.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, dtype=int)
    if not len(starts):
        return np.full(len(weights), np.nan)
    weighted, is_up = weights[:, order], is_positive[order]
    up = np.add.reduceat(np.where(is_up, weighted, 0.0), starts, axis=1)  # by distinct score, lowest first
    down = np.add.reduceat(np.where(is_up, 0.0, weighted), starts, axis=1)
    below = np.cumsum(down, axis=1) - down
    return divide((up * (below + down / 2)).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))


def auc_over_draws(is_positive: NDArray[np.bool_], scores: Floats, query: Ints, draws: Floats) -> Floats:
    """Return the AUC of each resample (R, Q) of queries, shape (R,)."""
    step = max(1, CHUNK // max(1, len(scores)))
    parts = [auc(is_positive, scores, draws[at : at + step][:, query]) for at in range(0, len(draws), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _rows_by_query(query: Ints) -> Iterator[NDArray[np.intp]]:
    order = np.argsort(query, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(query[order])) + 1)


def _shared(by_place: Floats, scores: Floats) -> Floats:
    """Return what each doc gets of what the places hold, best score first; docs that tie share theirs evenly."""
    _, tied, n_tied = np.unique(-scores, return_inverse=True, return_counts=True)
    shared: Floats = np.bincount(np.repeat(np.arange(len(n_tied)), n_tied), weights=by_place) / n_tied
    return shared[tied]
