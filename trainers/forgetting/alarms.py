"""What a model has forgotten since the start, slice by slice: counts, a test against chance, and an alarm. Pure numpy.

A slice is the held-back pairs a rule decides, those of a tier, or those of a grade. The same pairs are graded at the
start and now, so only those that changed sides speak: had nothing been forgotten, a changed pair were as likely won as
lost, and the chance of so many lost or more is a binomial tail (McNemar's test, one-sided and exact). Experts' traces
are compared by Student's one-sided test of each row's change in nats a token; the mean rise is the rise of the forward
KL from experts to model, whose other part, the entropy of the experts, stays as it was (METHODS §1).

Many slices are tested at once. The level is shared out among those only that could ring with as many changed pairs as
they have (Tarone, Biometrics 46, 1990): a rule on three pairs can prove nothing, and must not blunt the test of others.
It holds for one measurement, not for a run of many. What is certain may still be small: an alarm also needs a least
fall. Whoever reads an alarm reads the n beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, stdtr


class SliceKind(StrEnum):
    RULE = "rule"
    TIER = "tier"
    GRADE = "grade"
    TRACES = "traces"  # of all held-back pairs: not recall but nats a token of the expert's completion


class OnAlarm(StrEnum):
    """What an alarm does: tell and train on, end the run as it is, or end it with the weights of its best point."""

    TELL = "tell"
    STOP = "stop"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Slice:
    """A named part of the held-back pairs, by their places. name: a rule's id, a tier or a grade."""

    kind: SliceKind
    name: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """A model on the held-back pairs, both (n,): whether the grade is right, and the expert's completion in nats a
    token.
    """

    is_right: NDArray[np.bool_]
    trace_nll: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AlarmBounds:
    """When an alarm rings: at this level over all slices of a measurement, and from these changes on.

    level: the chance of a false alarm, in (0, 1). least_fall: of recall, 0..1. least_rise: in nats a token.
    """

    level: float
    least_fall: float
    least_rise: float


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a slice of n pairs: recall before and after, of traces nats a token, and the chance of it.

    p: of as much or more being lost if nothing was forgotten; not yet corrected for the number of slices.
    """

    kind: SliceKind
    name: str
    n: int
    before: float
    after: float
    p: float
    is_alarm: bool

    def told(self) -> str:
        """Say it."""
        if self.kind is SliceKind.TRACES:
            return (
                f"expert traces: {self.before:.3f} → {self.after:.3f} nats a token on {self.n} held-back pairs "
                f"(p = {self.p:.2g})"
            )
        return (
            f"{self.kind} {self.name}: recall {self.before:.2f} → {self.after:.2f} on {self.n} held-back pairs "
            f"(p = {self.p:.2g})"
        )


def changes(slices: Sequence[Slice], before: Answers, after: Answers, bounds: AlarmBounds) -> list[Change]:
    """Return what became of every slice, in their order, and last of the experts' traces. No slice may be empty."""
    counted = [_counts(one, before, after) for one in slices]
    chances = [lost_by_chance(n_lost, n_won) for n_lost, n_won in counted]
    rise = float((after.trace_nll - before.trace_nll).mean())
    rise_chance = risen_by_chance(after.trace_nll - before.trace_nll)
    bar = shared_level([0.5 ** (n_lost + n_won) for n_lost, n_won in counted] + [0.0], bounds.level)
    found = []
    for one, (n_lost, n_won), p in zip(slices, counted, chances, strict=True):
        n, n_before = len(one.rows), int(before.is_right[list(one.rows)].sum())
        is_alarm = p <= bar and (n_lost - n_won) / n >= bounds.least_fall
        found.append(Change(one.kind, one.name, n, n_before / n, (n_before - n_lost + n_won) / n, p, is_alarm))
    traces = Change(
        SliceKind.TRACES, "", len(before.trace_nll), float(before.trace_nll.mean()), float(after.trace_nll.mean()),
        rise_chance, rise_chance <= bar and rise >= bounds.least_rise,
    )  # fmt: skip
    return [*found, traces]


def lost_by_chance(n_lost: int, n_won: int) -> float:
    """Return the chance that of `n_lost + n_won` fair coins at least `n_lost` fall on the losing side."""
    return 1.0 if n_lost == 0 else float(bdtrc(n_lost - 1, n_lost + n_won, 0.5))


def risen_by_chance(rises: NDArray[np.float64]) -> float:
    """Return the one-sided p of Student's test that the mean of paired changes is not above 0; 1 under two of them."""
    if len(rises) < 2:
        return 1.0
    mean, deviation = float(rises.mean()), float(rises.std(ddof=1))
    if deviation == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(len(rises) - 1, -mean / (deviation / len(rises) ** 0.5)))


def shared_level(least: Sequence[float], level: float) -> float:
    """Return the level of each single test, so that the chance of any false alarm stays under `level`.

    least: the smallest p each test could have had. It is `level / k` with the smallest k for which no more than k tests
    could reach it (Tarone 1990); with tests that all could, that is Bonferroni's.
    """
    for k in range(1, len(least) + 1):
        if sum(p <= level / k for p in least) <= k:
            return level / k
    return level


def grade_entropy(probabilities: NDArray[np.float64]) -> float:
    """Return the mean entropy of grade distributions (n, K), in nats."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return float(-(probabilities * logs).sum(axis=1).mean())


def draw_evenly(keys: Sequence[Sequence[str]], n_rows: int, *, seed: int) -> list[int]:
    """Return the places of at most `n_rows` rows, ascending: every key gives one row a turn while it has any left.

    keys: the rules that decide each row; rows without any share a key of their own. So a rare rule keeps all its pairs
    where a plain draw would leave it one or none. The same seed draws the same.
    """
    if len(keys) <= n_rows:
        return list(range(len(keys)))
    waiting: dict[str | None, list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(keys)).tolist():
        for key in keys[row] or (None,):
            waiting.setdefault(key, []).append(row)
    drawn: set[int] = set()
    while len(drawn) < n_rows:
        for rows in waiting.values():
            while rows and rows[-1] in drawn:
                rows.pop()
            if rows and len(drawn) < n_rows:
                drawn.add(rows.pop())
    return sorted(drawn)


def _counts(one: Slice, before: Answers, after: Answers) -> tuple[int, int]:
    """Return how many pairs of a slice were right and are wrong now, and how many the other way round."""
    rows = list(one.rows)
    was, is_now = before.is_right[rows], after.is_right[rows]
    return int((was & ~is_now).sum()), int((~was & is_now).sum())
