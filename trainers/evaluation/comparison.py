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

from trainers.evaluation.metrics import N_RESAMPLES, DrawnMetric, Measure, drawn_metrics, with_interval
from trainers.evaluation.resampling import Floats, Ints, divide, interval_of


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model says of n pairs: places on the scale (n,), and probabilities (n, K) where it has them."""

    places: Ints
    probabilities: Floats | None = None


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
    a: Answered,
    b: Answered,
    query_ids: Sequence[str],
    *,
    grades: Sequence[int],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[list[Difference], Measure]:
    """Return each metric's difference, and the share of A's macro-F1 that B has: how much of a teacher a student kept.

    truth (n,): places on the scale. The same queries are drawn for both.
    """
    drawn = [
        drawn_metrics(
            truth, one.places, query_ids, grades=grades, probabilities=one.probabilities, n_resamples=n_resamples,
            seed=seed,
        )
        for one in (a, b)
    ]  # fmt: skip
    first, second = ({one.metric: one for one in side} for side in drawn)
    shared = [(first[name], second[name]) for name in first if name in second]
    return [_difference(*pair) for pair in shared], _retention(first["macro_f1"], second["macro_f1"])


def rule_differences(
    rule_ids: Sequence[Sequence[str]], a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]
) -> list[RuleDifference]:
    """Return the recall of each rule that any pair cites; what b lost most comes first."""
    places: dict[str, list[int]] = {}
    for at, cited in enumerate(rule_ids):
        for rule_id in dict.fromkeys(cited):
            places.setdefault(rule_id, []).append(at)
    found = []
    for rule_id, cites in places.items():
        paired = mcnemar(a_right[cites], b_right[cites])
        means = float(a_right[cites].mean()), float(b_right[cites].mean())
        found.append(RuleDifference(rule_id, len(cites), *means, paired.n_only_a, paired.n_only_b, paired.p))
    return sorted(found, key=lambda one: (one.b - one.a, -one.n, one.rule_id))


def _difference(a: DrawnMetric, b: DrawnMetric) -> Difference:
    changed = b.resampled - a.resampled
    defined = changed[~np.isnan(changed)]
    if np.isnan(a.value) or np.isnan(b.value) or not len(defined):
        of_a, of_b = (None if np.isnan(one.value) else float(one.value) for one in (a, b))
        return Difference(a.metric, of_a, of_b, None, None, None, None, a.n)
    # with one more on either side, so that no finite number of draws proves anything beyond doubt
    tail = min((defined <= 0).sum(), (defined >= 0).sum()) + 1
    p = min(1.0, 2 * float(tail) / (len(defined) + 1))
    change = float(b.value - a.value)
    return Difference(a.metric, float(a.value), float(b.value), change, *interval_of(changed), p, a.n)


def _retention(a: DrawnMetric, b: DrawnMetric) -> Measure:
    point: Floats = divide(np.asarray(b.value), np.asarray(a.value))
    return with_interval("retention", float(point), divide(b.resampled, a.resampled), a.n)
