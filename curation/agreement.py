"""How far people agree: weighted kappa of two raters, Krippendorff's alpha of any number, per reviewer and per rule.

Every coefficient carries its n and a bootstrap interval, and is None where it is undefined (nothing rated, or one
grade only): 0 would claim agreement by chance, which is another finding. Resampling is over units, with a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.intervals import Interval, wilson
from storage.grades import Scale

N_RESAMPLES = 1000
# Fewer defined resamples than this share say nothing about the spread.
MIN_DEFINED_RATE = 0.5

Floats = NDArray[np.float64]


class Weights(StrEnum):
    """How much a disagreement of d grades counts in kappa: all alike, d, or d squared."""

    UNWEIGHTED = "unweighted"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


class Metric(StrEnum):
    """Krippendorff's difference function."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient over n units with its 95% interval; None where undefined."""

    coefficient: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """One reviewer against the settled grades. `n_alone` were settled by this reviewer alone and say nothing."""

    account: str
    kappa: Agreement
    exact_rate: float | None
    exact_interval: Interval | None
    n_alone: int


@dataclass(frozen=True, slots=True)
class RuleAgreement:
    """How far people agree on the pairs a rule votes on. `exact_rate`: pairs with two or more answers, all equal."""

    rule_id: str
    alpha: Agreement
    exact_rate: float | None
    exact_interval: Interval | None


def weighted_kappa(
    first: Sequence[int], second: Sequence[int], *, scale: Scale, weights: Weights = Weights.QUADRATIC, seed: int = 0
) -> Agreement:
    """Return Cohen's weighted kappa (Cohen 1968) of two raters' grades of the same units."""
    k = len(scale.values)
    counts = np.zeros((k, k))
    for one, other in zip(first, second, strict=True):
        counts[scale.position(one), scale.position(other)] += 1
    n = int(counts.sum())
    if n == 0:
        return Agreement(None, None, 0)
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    cost = {Weights.UNWEIGHTED: np.sign(distance), Weights.LINEAR: distance, Weights.QUADRATIC: distance**2}[weights]
    draws = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=N_RESAMPLES)
    resamples = draws.reshape(-1, k, k).astype(np.float64)
    return Agreement(_kappa(counts, cost), _interval([_kappa(sample, cost) for sample in resamples]), n)


def krippendorff_alpha(
    units: Iterable[Sequence[int]], *, scale: Scale, metric: Metric = Metric.ORDINAL, seed: int = 0
) -> Agreement:
    """Return Krippendorff's alpha; each unit is the grades it got, by however many raters.

    Units with fewer than two grades pair with nothing and do not count. Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability".
    """
    return alpha_of_patterns(Counter(tuple(sorted(unit)) for unit in units), scale=scale, metric=metric, seed=seed)


def alpha_of_patterns(
    patterns: Mapping[tuple[int, ...], int], *, scale: Scale, metric: Metric = Metric.ORDINAL, seed: int = 0
) -> Agreement:
    """Return Krippendorff's alpha of units told as patterns: which grades, and how many units got just these.

    Of millions of units there are few patterns; the result is that of the units one by one.
    """
    k = len(scale.values)
    n_of: Counter[tuple[int, ...]] = Counter()
    for grades, n_units in patterns.items():
        if len(grades) >= 2 and n_units:
            given = Counter(scale.position(grade) for grade in grades)
            n_of[tuple(given[place] for place in range(k))] += n_units
    if not n_of:
        return Agreement(None, None, 0)
    counts = np.array(sorted(n_of), dtype=np.float64)  # (P, k); in order, so that a seed draws the same every time
    n_each = np.array([n_of[pattern] for pattern in sorted(n_of)])
    products = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(k)
    coincidences = products / (counts.sum(axis=1) - 1)[:, None, None]  # (P, k, k)
    n = int(n_each.sum())
    draws = np.random.default_rng(seed).multinomial(n, n_each / n, size=N_RESAMPLES)
    resamples = np.tensordot(draws, coincidences, axes=1)  # (N_RESAMPLES, k, k)
    observed = np.tensordot(n_each, coincidences, axes=1)
    (coefficient,) = _alphas(observed[None], metric)
    return Agreement(coefficient, _interval(_alphas(resamples, metric)), n)


def reviewer_agreement(responses: pl.DataFrame, *, scale: Scale) -> list[ReviewerAgreement]:
    """Hold each reviewer's grades against the settled ones; one row a graded response on a settled pair.

    Columns: account, grade, settled_grade, is_alone (the settled grade rests on this response and no other).
    """
    found = []
    for (account,), rows in responses.sort("account").group_by(["account"], maintain_order=True):
        told = rows.filter(~pl.col("is_alone"))
        given, settled = told["grade"].to_list(), told["settled_grade"].to_list()
        n_equal = sum(one == other for one, other in zip(given, settled, strict=True))
        kappa = weighted_kappa(given, settled, scale=scale)
        rate = n_equal / len(told) if len(told) else None
        n_alone = len(rows) - len(told)
        found.append(ReviewerAgreement(str(account), kappa, rate, wilson(n_equal, len(told)), n_alone))
    return found


def rule_agreement(responses: pl.DataFrame, votes: pl.DataFrame, *, scale: Scale) -> list[RuleAgreement]:
    """Return people's agreement on the pairs each rule votes on, so that an unclear rule shows.

    `responses`: pair_id, grade, one row an account; `votes`: rule_id, pair_id.
    """
    per_pair = responses.group_by("pair_id").agg(pl.col("grade").sort().alias("grades"))
    joined = votes.select("rule_id", "pair_id").unique().join(per_pair, on="pair_id", how="left").sort("rule_id")
    found = []
    for (rule_id,), rows in joined.group_by(["rule_id"], maintain_order=True):
        units = [unit for unit in rows["grades"].to_list() if unit is not None and len(unit) >= 2]
        n_equal = sum(len(set(unit)) == 1 for unit in units)
        alpha = krippendorff_alpha(units, scale=scale)
        rate = n_equal / len(units) if units else None
        found.append(RuleAgreement(str(rule_id), alpha, rate, wilson(n_equal, len(units))))
    return found


def _kappa(counts: Floats, cost: Floats) -> float | None:
    """1 - observed over expected cost; None when chance alone could not disagree."""
    n = counts.sum()
    expected = (cost * np.outer(counts.sum(axis=1), counts.sum(axis=0))).sum() / n
    return None if expected == 0 else float(1 - (cost * counts).sum() / expected)


def _alphas(coincidences: Floats, metric: Metric) -> list[float | None]:
    """Return alpha of each of a stack of coincidence matrices, (N, k, k); None where nothing could disagree."""
    totals = coincidences.sum(axis=1)  # (N, k)
    n = totals.sum(axis=1)
    cost = _differences(totals, metric)
    expected = (cost * totals[:, :, None] * totals[:, None, :]).sum(axis=(1, 2)) / (n - 1)
    observed = (cost * coincidences).sum(axis=(1, 2))
    return [
        None if chance <= 0 else float(1 - found / chance)
        for found, chance in zip(observed.tolist(), expected.tolist(), strict=True)
    ]


def _differences(totals: Floats, metric: Metric) -> Floats:
    """Return squared differences of the grades, (N, k, k); ordinal: the grades given between them, half the ends."""
    positions: Floats = np.broadcast_to(np.arange(totals.shape[1], dtype=np.float64), totals.shape)
    if metric is Metric.ORDINAL:
        positions = np.cumsum(totals, axis=1) - totals / 2
    gaps: Floats = np.abs(positions[:, :, None] - positions[:, None, :])
    return np.sign(gaps) if metric is Metric.NOMINAL else np.square(gaps)


def _interval(resampled: Sequence[float | None]) -> Interval | None:
    defined = [value for value in resampled if value is not None]
    if len(defined) < MIN_DEFINED_RATE * len(resampled):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(float(low), float(high))
