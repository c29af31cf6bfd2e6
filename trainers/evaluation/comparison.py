"""Two models on the same pairs: how sure it is that one is better, as a whole and rule by rule. Pure numpy.

Both grade the same pairs, so their errors are set beside each other pair by pair: McNemar's exact test asks whether
those that only one gets right are split evenly, the paired bootstrap draws the same queries for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from trainers.evaluation.metrics import (
    N_RESAMPLES,
    Floats,
    Ints,
    accuracy,
    adjacent_error,
    confusions,
    macro_f1,
    non_adjacent_error,
    quadratic_weighted_kappa,
    resample,
)

FORMULAS = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "qwk": quadratic_weighted_kappa,
    "adjacent_error": adjacent_error,
    "non_adjacent_error": non_adjacent_error,
}


@dataclass(frozen=True, slots=True)
class McNemar:
    """Pairs by who grades them right. p: two-sided and exact; 1 when the two never differ."""

    n_both: int
    n_only_a: int
    n_only_b: int
    n_neither: int
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of both, b − a with its 95% interval over resampled queries, and the two-sided p of the resamples."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """Recall of both on the pairs that cite a rule."""

    rule_id: str
    n: int
    a: float
    b: float
    n_only_a: int
    n_only_b: int
    p: float


def mcnemar(a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]) -> McNemar:
    """Return how two models' right grades fall together (McNemar 1947, by the exact binomial)."""
    only_a, only_b = int((a_right & ~b_right).sum()), int((~a_right & b_right).sum())
    n = only_a + only_b
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), n, 0.5))) if n else 1.0
    return McNemar(int((a_right & b_right).sum()), only_a, only_b, int((~a_right & ~b_right).sum()), p)


def differences(
    truth: Ints,
    a: Ints,
    b: Ints,
    query_ids: Sequence[str],
    *,
    n_grades: int,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Return each metric's difference. truth, a, b (n,): places on the scale; the same queries are drawn for both."""
    _, query = np.unique(np.asarray(query_ids), return_inverse=True)
    n_queries = int(query.max()) + 1 if len(query) else 0
    draws = resample(n_queries, n_resamples, seed)
    sides = [confusions(truth, predicted, query, n_queries, n_grades) for predicted in (a, b)]
    points = [side.sum(axis=0)[None] for side in sides]
    drawn = [(draws @ side.reshape(n_queries, -1)).reshape(-1, n_grades, n_grades) for side in sides]
    return [
        _difference(
            name, *(float(formula(point)[0]) for point in points), formula(drawn[1]) - formula(drawn[0]), len(truth)
        )
        for name, formula in FORMULAS.items()
    ]


def rule_differences(
    rule_ids: Sequence[Sequence[str]], a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]
) -> list[RuleDifference]:
    """Return the recall of each rule that any pair cites; what b lost most comes first."""
    places: dict[str, list[int]] = {}
    for at, cited in enumerate(rule_ids):
        for rule_id in dict.fromkeys(cited):
            places.setdefault(rule_id, []).append(at)
    found = []
    for rule_id, at in places.items():
        paired = mcnemar(a_right[at], b_right[at])
        means = float(a_right[at].mean()), float(b_right[at].mean())
        found.append(RuleDifference(rule_id, len(at), *means, paired.n_only_a, paired.n_only_b, paired.p))
    return sorted(found, key=lambda one: (one.b - one.a, -one.n, one.rule_id))


def _difference(metric: str, a: float, b: float, resampled: Floats, n: int) -> Difference:
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(a) or np.isnan(b) or not len(defined):
        known = (None if np.isnan(value) else value for value in (a, b))
        return Difference(metric, *known, None, None, None, None, n)
    low, high = (float(edge) for edge in np.percentile(defined, [2.5, 97.5]))
    # with one more on either side, so that no finite number of draws proves anything beyond doubt
    tail = min((defined <= 0).sum(), (defined >= 0).sum()) + 1
    return Difference(metric, a, b, b - a, low, high, min(1.0, 2 * float(tail) / (len(defined) + 1)), n)
