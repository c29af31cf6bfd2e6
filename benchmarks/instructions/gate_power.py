"""What the replay gate lets through and what it stops, by simulation: harmless edits, and edits that ruin one slice.

Labels under parent and child are drawn, and held against the gate of `evolution.instructions.gate` in the order a trial
asks it: on train, where the share that is right must have risen, then on train and dev together. A harmless edit stirs
labels up: so many right ones turn wrong, as many wrong ones right, whatever slice they stand in. A harmful one wins a
tenth besides, so that its rise is not what it fails by, and makes one slice worse. Slices have 5 to 150 pairs, evenly
on a logarithmic scale, and overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.intervals import wilson
from evolution.instructions.gate import Change, Slice, changes, regressions

N_PAIRS, RIGHT_BEFORE = 400, 0.7  # train and dev together, half each; of them right under the parent
SMALLEST, LARGEST = 5, 150
STIRS, N_SLICES = (0.04, 0.1), (10, 40, 120)
RUINED, DROPS = (5, 10, 20, 40), (0.5, 1.0)  # pairs of the slice that is made worse, and what share of them is lost
N_RUNS = 200
TRUTH = np.zeros(N_PAIRS, np.intp)
IS_TRAIN = np.arange(N_PAIRS) < N_PAIRS // 2
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Labels under parent and child (0: right), and the slices."""

    slices: tuple[Slice, ...]
    parent: NDArray[np.intp]
    child: NDArray[np.intp]

    def rises(self, rows: Mask) -> bool:
        """Say whether more are right under the child."""
        return bool((self.child[rows] == 0).sum() > (self.parent[rows] == 0).sum())

    def seen(self, rows: Mask) -> list[Change]:
        """Return what the gate looks at."""
        return changes(self.slices, TRUTH, self.parent, self.child, rows)


@dataclass(frozen=True, slots=True)
class Share:
    """How often, of n."""

    hits: int
    n: int

    def __str__(self) -> str:
        interval = wilson(self.hits, self.n)
        if interval is None:
            return "–"
        return f"{self.hits / self.n:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def report(n_runs: int = N_RUNS) -> str:
    """Simulate everything; return two tables as Markdown."""
    lines = [
        f"{N_PAIRS // 2} train and as many dev pairs; {n_runs} edits drawn a line; shares with 95% Wilson intervals.",
        "",
        "| harmless: labels stirred either way | slices | turned away of those that rise on train, before | now |",
        "|---|---:|---|---|",
    ]
    for stir in STIRS:
        for n_slices in N_SLICES:
            drawn = [harmless(stir, n_slices, seed) for seed in range(n_runs)]
            before, now = _turned_away([one for one in drawn if one.rises(IS_TRAIN)])
            lines.append(f"| {stir:.0%} | {n_slices} | {before} | {now} |")
    lines += [
        "",
        "| one slice made worse: its pairs | lost of them | slices | caught, before | now |",
        "|---:|---:|---:|---|---|",
    ]
    for n_ruined in RUINED:
        for drop in DROPS:
            for n_slices in N_SLICES:
                drawn = [harmful(n_ruined, drop, n_slices, seed) for seed in range(n_runs)]
                before, now = _turned_away(drawn)
                lines.append(f"| {n_ruined} | {drop:.0%} | {n_slices} | {before} | {now} |")
    return "\n".join(lines)


def harmless(stir: float, n_slices: int, seed: int) -> Drawn:
    """Draw an edit that turns as many right as wrong."""
    chance = np.random.default_rng([seed, n_slices, round(1000 * stir)])
    right = chance.random(N_PAIRS) < RIGHT_BEFORE
    turned = chance.random(N_PAIRS) < np.where(right, stir / RIGHT_BEFORE, stir / (1 - RIGHT_BEFORE))
    return Drawn(_slices(n_slices, chance), _places(right), _places(right ^ turned))


def harmful(n_ruined: int, drop: float, n_slices: int, seed: int) -> Drawn:
    """Draw an edit that wins a tenth, stirs a little, and loses a share of one slice's pairs, all right before."""
    chance = np.random.default_rng([seed, n_slices, n_ruined, round(100 * drop)])
    right = chance.random(N_PAIRS) < RIGHT_BEFORE
    ruined = np.zeros(N_PAIRS, np.bool_)
    ruined[chance.choice(N_PAIRS, n_ruined, replace=False)] = True
    right |= ruined
    stir, win = STIRS[0], 0.1
    turned = chance.random(N_PAIRS) < np.where(right, stir / RIGHT_BEFORE, (stir + win) / (1 - RIGHT_BEFORE))
    turned[ruined] = chance.random(n_ruined) < drop
    return Drawn((Slice("ruined", ruined), *_slices(n_slices - 1, chance)), _places(right), _places(right ^ turned))


def _slices(n: int, chance: np.random.Generator) -> tuple[Slice, ...]:
    sizes = np.exp(chance.uniform(np.log(SMALLEST), np.log(LARGEST), n)).astype(int)
    found = []
    for number, size in enumerate(sizes):
        rows = np.zeros(N_PAIRS, np.bool_)
        rows[chance.choice(N_PAIRS, size, replace=False)] = True
        found.append(Slice(f"rule {number}", rows))
    return tuple(found)


def _places(right: Mask) -> NDArray[np.intp]:
    return np.where(right, 0, 1)


def _turned_away(drawn: Sequence[Drawn]) -> tuple[Share, Share]:
    """Return how many the gate stops: by each slice's own interval, as it was, and as it is."""
    before = now = 0
    for one in drawn:
        looks = [one.seen(rows) for rows in (IS_TRAIN, IS_TRAIN | ~IS_TRAIN)]
        before += any(change.interval.high < 0 for look in looks for change in look)
        now += any(bool(regressions(look)) for look in looks)
    return Share(before, len(drawn)), Share(now, len(drawn))
