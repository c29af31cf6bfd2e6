"""The replay gate: an edit that helps overall is turned away when it makes a slice of the judgments surely worse.

A slice is the pairs a rule votes on; where there is no rule, those judged one grade. On each, the same pairs labelled
under the parent and under the child are compared: how many were right and are wrong now, how many the other way round.
Two things must speak against a slice. The 95% interval of the change in the share that is right, that of Bonett and
Price (2012) for paired proportions (Wald's, with one case added to either count, which holds its level on few pairs),
must lie below zero; under four pairs it cannot. And it must be worse than chance makes the worst of all slices: of many
that an edit merely stirs up, some look bad. What chance does is counted as Westfall and Young (1993) do it: each pair
whose label turned right or wrong gets the one or the other by a coin, the same in all its slices, and the worst slice
of each throw is noted. So one look turns away an edit that only stirs in at most a tenth of cases, however many slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.intervals import Interval, paired_change
from evolution.instructions.scores import UNLABELLED, Floats, Ints, Mask

MAX_CHANCE = 0.1  # that some slice of an edit that only stirs fares as badly
N_THROWS = 2000
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Slice:
    """A named part of the judged pairs: `rows` says which. `is_rule`: those a rule votes on, else those of a grade."""

    name: str
    rows: Mask
    is_rule: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a slice: of `n` pairs labelled under both, `n_lost` are wrong now, `n_won` right.

    `chance` is how often some slice fares as badly under an edit that makes as many pairs right as wrong.
    """

    name: str
    n: int
    n_right_before: int
    n_lost: int
    n_won: int
    interval: Interval
    chance: float

    @property
    def is_regression(self) -> bool:
        """Whether the slice is surely worse, the number of slices looked at considered."""
        return self.interval.high < 0 and self.chance <= MAX_CHANCE

    def told(self) -> str:
        """Say it for a reason."""
        after = self.n_right_before - self.n_lost + self.n_won
        change, sure = (self.n_won - self.n_lost) / self.n, self.interval
        return (
            f"{self.name}: right on {after} of {self.n} pairs, {self.n_right_before} before "
            f"(change {change:+.0%}, {sure.low:+.0%} to {sure.high:+.0%}; some slice by chance: {self.chance:.0%})"
        )


def changes(slices: Sequence[Slice], truth: Ints, parent: Ints, child: Ints, rows: Mask) -> list[Change]:
    """Return what became of every slice that has pairs labelled under both, among `rows`."""
    shared = rows & (parent != UNLABELLED) & (child != UNLABELLED)
    before, after = parent == truth, child == truth
    seen = [one for one in slices if (one.rows & shared).any()]
    if not seen:
        return []
    inside = np.stack([one.rows & shared for one in seen])  # slices × pairs
    n, lost, won = (_counts(inside, chosen) for chosen in (shared, before & ~after, ~before & after))
    chances = _chances(inside[:, before != after], n, won - lost)
    right = _counts(inside, before)
    return [
        Change(
            one.name,
            int(n[place]),
            int(right[place]),
            int(lost[place]),
            int(won[place]),
            paired_change(int(n[place]), n_lost=int(lost[place]), n_won=int(won[place])),
            float(chances[place]),
        )
        for place, one in enumerate(seen)
    ]


def regressions(found: Sequence[Change]) -> list[Change]:
    """Return the slices that are surely worse, the worst first."""
    worse = [one for one in found if one.is_regression]
    return sorted(worse, key=lambda one: (one.chance, one.interval.high, one.name))


def _counts(inside: NDArray[np.bool_], chosen: Mask) -> Ints:
    return np.asarray((inside & chosen).sum(axis=1), np.intp)


def _chances(turned: NDArray[np.bool_], n: Ints, net: Ints) -> Floats:
    """Return for each slice how often the worst slice of a throw is as bad.

    `turned` (slices × pairs that turned right or wrong) says where each of those pairs stands; `net` is won less lost.
    """
    thrown = np.random.default_rng(0).choice([-1.0, 1.0], size=(N_THROWS, turned.shape[1]))
    n_turned = turned.sum(axis=1)
    worst = _scores(thrown @ turned.T.astype(float), n_turned, n).min(axis=1)
    seen = _scores(net.astype(float), n_turned, n)
    as_bad = (worst[:, None] <= seen[None, :] + ROUNDING).sum(axis=0)
    return np.asarray((1 + as_bad) / (1 + N_THROWS))


def _scores(net: Floats, n_turned: Ints, n: Ints) -> Floats:
    """Return how many standard errors the changes are from none, by the interval of `paired_change`."""
    change = net / (n + 2)
    return np.asarray(change / np.sqrt(((n_turned + 2) / (n + 2) - change**2) / (n + 2)))
