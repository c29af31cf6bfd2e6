"""The replay gate: an edit that helps overall is turned away when it makes a slice of the judgments surely worse.

A slice is the pairs a rule votes on, or those judged one grade. On each, the same pairs labelled under the parent and
under the child are compared: how many were right and are wrong now, how many the other way round. The 95% interval of
the change in the share that is right is that of Bonett and Price (2012) for paired proportions (Wald's, with one case
added to either count), which holds its level on few pairs; a slice regresses when all of it is below zero. Under four
pairs no slice can: fewer cases cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.intervals import Interval, paired_change
from evolution.instructions.scores import UNLABELLED, Ints, Mask


@dataclass(frozen=True, slots=True)
class Slice:
    """A named part of the judged pairs: `rows` says which."""

    name: str
    rows: Mask


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a slice: of `n` pairs labelled under both, `n_lost` are wrong now, `n_won` right."""

    name: str
    n: int
    n_right_before: int
    n_lost: int
    n_won: int
    interval: Interval

    @property
    def is_regression(self) -> bool:
        """Whether the slice is surely worse."""
        return self.interval.high < 0

    def told(self) -> str:
        """Say it for a reason."""
        after = self.n_right_before - self.n_lost + self.n_won
        change, sure = (self.n_won - self.n_lost) / self.n, self.interval
        return (
            f"{self.name}: right on {after} of {self.n} pairs, {self.n_right_before} before "
            f"(change {change:+.0%}, {sure.low:+.0%} to {sure.high:+.0%})"
        )


def changes(slices: Sequence[Slice], truth: Ints, parent: Ints, child: Ints, rows: Mask) -> list[Change]:
    """Return what became of every slice that has pairs labelled under both, among `rows`."""
    shared = rows & (parent != UNLABELLED) & (child != UNLABELLED)
    before, after = parent == truth, child == truth
    told = []
    for one in slices:
        inside = one.rows & shared
        n = int(inside.sum())
        if n:
            lost, won = int((inside & before & ~after).sum()), int((inside & ~before & after).sum())
            interval = paired_change(n, n_lost=lost, n_won=won)
            told.append(Change(one.name, n, int((inside & before).sum()), lost, won, interval))
    return told


def regressions(found: Sequence[Change]) -> list[Change]:
    """Return the slices that are surely worse, the worst first."""
    return sorted((one for one in found if one.is_regression), key=lambda one: (one.interval.high, one.name))
