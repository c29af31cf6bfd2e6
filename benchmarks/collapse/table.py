"""The tables of the mode-collapse study: what is kept of rare rules, at what reward, with intervals.

Intervals are 95% and of a bootstrap in two stages: seeds are drawn, then the sixty rare rules within each. With three
seeds the first stage is coarse; the spread over seeds is printed beside. Nothing is dropped: a cell that is not held is
left out of its mean and its absence shows in the number of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 4000
KEPT = 0.98  # of SFT's rare-rule recall: what the claim asks for
Record = Mapping[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"


def write_tables(records: Sequence[Record], rates: Mapping[tuple[str, str], float]) -> None:
    """Print a table a regime, then rare recall at matched reward, then the claim."""
    chosen: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        key = record["regime"], record["arm"]
        if record["rate"] == rates.get(key):
            chosen.setdefault(key, []).append(record)
    for regime in dict.fromkeys(regime for regime, _ in chosen):
        of_regime = {arm: rows for (name, arm), rows in chosen.items() if name == regime}
        print(f"\n### {regime}\n")
        _main_table(of_regime)
        _detail_table(of_regime)
        _matched_table(of_regime)
        _claim(of_regime)


def _main_table(arms: Mapping[str, Sequence[Record]]) -> None:
    print("| arm | rate | seeds | reward (least–most) | rare recall, greedy | kept of SFT's | sampled, kept |")
    print("|---|---|---|---|---|---|---|")
    started = [rows[0]["points"][0] for rows in _by_seed(arms).values()]
    print(
        f"| *SFT, the start* | | {len(started)} | {_spread([p['reward'] for p in started])} "
        f"| {recall(started, 'rare_greedy')} | | |"
    )
    for arm, rows in arms.items():
        first, last = [r["points"][0] for r in rows], [r["points"][-1] for r in rows]
        print(
            f"| {arm} | {rows[0]['rate']:g} | {len(rows)} | {_spread([p['reward'] for p in last])} "
            f"| {recall(last, 'rare_greedy')} "
            f"| {kept(first, last, 'rare_greedy')} | {kept(first, last, 'rare_sampled')} |"
        )
    print()


def _detail_table(arms: Mapping[str, Sequence[Record]]) -> None:
    print(
        "| arm | recall by frequency third, high to low | head recall | citations right, rare / head "
        "| trace NLL, rare / head | entropy | silent groups, first / last |"
    )
    print("|---|---|---|---|---|---|---|")
    started = [rows[0]["points"][0] for rows in _by_seed(arms).values()]
    for arm, points, rows in [("*SFT, the start*", started, [])] + [
        (arm, [r["points"][-1] for r in rows], rows) for arm, rows in arms.items()
    ]:
        thirds = np.array([p["rare_greedy"] for p in points]).mean(axis=0).reshape(3, -1).mean(axis=1)
        mean = {name: float(np.mean([p[name] for p in points])) for name in points[0] if _is_plain(points[0][name])}
        silent = "–"
        if rows and rows[0]["points"][-1]["silent_rate"] is not None:
            silent = " / ".join(
                _short(float(np.mean([r["points"][at]["silent_rate"] for r in rows]))) for at in (1, -1)
            )
        print(
            f"| {arm} | {', '.join(_short(third) for third in thirds)} | {_short(mean['head_recall'])} "
            f"| {_short(mean['rare_citations'])} / {_short(mean['head_citations'])} "
            f"| {mean['rare_trace_nll']:.3f} / {mean['head_trace_nll']:.3f} | {mean['entropy']:.3f} | {silent} |"
        )
    print()


def _matched_table(arms: Mapping[str, Sequence[Record]]) -> None:
    """At the highest reward that every arm of reinforcement reaches on its way, seed by seed."""
    taught = {arm: rows for arm, rows in arms.items() if not arm.startswith("sft")}
    reached = min((max(p["reward"] for p in r["points"]) for rows in taught.values() for r in rows), default=0.0)
    print(f"Rare recall (greedy) where an arm first reaches the reward {_short(reached)}, mean over seeds:")
    for arm, rows in taught.items():
        values = [recall_at(r["points"], reached) for r in rows]
        print(f"- {arm}: {_short(float(np.mean(values)))} (least {_short(min(values))}, most {_short(max(values))})")
    print()


def recall_at(points: Sequence[Record], reward: float) -> float:
    """Return greedy rare recall where a curve first reaches a reward, between two points in proportion."""
    before = points[0]
    for point in points:
        if point["reward"] >= reward:
            rise = point["reward"] - before["reward"]
            share = (reward - before["reward"]) / rise if rise > 0 else 1.0
            share = min(1.0, max(0.0, share))
            return float(before["rare_recall"] + share * (point["rare_recall"] - before["rare_recall"]))
        before = point
    raise ValueError(f"no point of the curve reaches the reward {reward}")


def _claim(arms: Mapping[str, Sequence[Record]]) -> None:
    """Say whether mode-balanced training keeps 98% of SFT's rare recall at no lower a reward than the arms at λ = 0."""
    plain = [arm for arm in ("outcome 0", "step 0") if arm in arms]
    for arm in (arm for arm in arms if "balanced" in arm and not arm.startswith("sft")):
        for other in plain:
            seeds = {r["seed"]: r for r in arms[other]}
            pairs = [(r, seeds[r["seed"]]) for r in arms[arm] if r["seed"] in seeds]
            if not pairs:
                continue
            ours, theirs = ([pair[at]["points"][-1] for pair in pairs] for at in (0, 1))
            first = [pair[0]["points"][0] for pair in pairs]
            mine, its = kept(first, ours, "rare_greedy"), kept(first, theirs, "rare_greedy")
            gap = np.mean([a["reward"] - b["reward"] for a, b in zip(ours, theirs, strict=True)])
            holds = mine.value >= KEPT and its.value < KEPT and gap >= 0
            print(
                f"- {arm} against {other}: kept {mine} against {its}, reward {gap:+.3f}: the claim "
                f"{'holds' if holds else 'does not hold'} by the means"
                f"{' and by the intervals' if holds and mine.low >= KEPT and its.high < KEPT else ''}"
            )
    print()


def recall(points: Sequence[Record], name: str) -> Estimate:
    """Return mean recall over seeds and rules."""
    values = np.array([point[name] for point in points])  # (seeds, rules)
    return _estimate(values, np.ones_like(values))


def kept(first: Sequence[Record], last: Sequence[Record], name: str) -> Estimate:
    """Return the recall at the end over the recall at the start, pairs of all seeds and rules together."""
    return _estimate(np.array([p[name] for p in last]), np.array([p[name] for p in first]))


def _estimate(above: Floats, below: Floats) -> Estimate:
    """Return sum(above) / sum(below) over (seeds, rules) and its interval: seeds are drawn, then rules within each."""
    random = np.random.default_rng(0)
    n_seeds, n_rules = above.shape
    seeds = random.integers(0, n_seeds, (N_RESAMPLES, n_seeds, 1))
    rules = random.integers(0, n_rules, (N_RESAMPLES, n_seeds, n_rules))
    drawn = above[seeds, rules].sum(axis=(1, 2)) / below[seeds, rules].sum(axis=(1, 2))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(float(above.sum() / below.sum()), float(low), float(high))


def _by_seed(arms: Mapping[str, Sequence[Record]]) -> dict[int, list[Record]]:
    of_seed: dict[int, list[Record]] = {}
    for rows in arms.values():
        for record in rows:
            of_seed.setdefault(record["seed"], []).append(record)
    return of_seed


def _spread(values: Sequence[float]) -> str:
    return f"{_short(float(np.mean(values)))} ({_short(min(values))}–{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _is_plain(value: object) -> bool:
    return isinstance(value, float | int)
