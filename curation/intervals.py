"""Intervals for shares and means, so that no figure is shown without saying how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95% interval."""

    low: float
    high: float


def wilson(n_hits: int, n: int) -> Interval | None:
    """Return Wilson's score interval of a share (Wilson 1927), None over nothing; it never leaves [0, 1]."""
    if n == 0:
        return None
    rate, z2 = n_hits / n, Z_95**2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def paired_change(n: int, *, n_lost: int, n_won: int) -> Interval:
    """Return the interval of the change of a share over `n` pairs seen twice (Bonett and Price 2012)."""
    lost, won = (n_lost + 1) / (n + 2), (n_won + 1) / (n + 2)
    half = Z_95 * sqrt(max(0.0, lost + won - (won - lost) ** 2) / (n + 2))
    return Interval(max(-1.0, won - lost - half), min(1.0, won - lost + half))


def mean_interval(mean: float, variance: float | None, n: int) -> Interval | None:
    """Return Student's interval of a mean of n independent values of this sample variance; None under two of them."""
    if n < 2 or variance is None:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.975)) * sqrt(max(0.0, variance) / n)
    return Interval(mean - half, mean + half)
