"""The order of tiers in training: all at once, one after another, or the sequence's own visits in a random order.

The random order is the control: the same visits to the same rows in as many steps, so that what a sequence gains over
it is the order's. A stage fills its last step with rows of its own, so that no step holds rows of two stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class Curriculum(StrEnum):
    MIXTURE = "mixture"
    SEQUENCE = "sequence"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Stage:
    """Visits that are mixed with one another. rows: one a visit. tier: None where all tiers are mixed.

    n_kept: how many of the visits are to rows of tiers before it.
    """

    tier: int | None
    rows: tuple[int, ...]
    n_kept: int = 0


@dataclass(frozen=True, slots=True)
class StageSteps:
    """The steps a stage takes, both ends included, counted from 1."""

    tier: int
    first_step: int
    last_step: int
    n_visits: int
    n_kept: int


@dataclass(frozen=True, slots=True)
class StageCurve:
    """How a stage went: the grade loss where it was first and last logged, None where no step of it was."""

    tier: int
    first_step: int
    last_step: int
    n_visits: int
    n_kept: int
    grade_loss_first: float | None
    grade_loss_last: float | None


def plan_stages(
    tiers: Sequence[int],
    curriculum: Curriculum,
    *,
    epochs: int,
    keep_rate: float,
    step_size: int,
    random: np.random.Generator,
) -> list[Stage]:
    """Return the stages over rows whose tiers are given, in the order in which the tiers first come.

    Every row is visited `epochs` times in its own stage. `keep_rate` of a stage's visits, in 0..1, go to rows of tiers
    before it, drawn evenly, in addition. A stage that others follow is filled up to whole steps of `step_size` visits
    with rows of its own tier.
    """
    places = {tier: np.flatnonzero(np.asarray(tiers) == tier) for tier in dict.fromkeys(tiers)}
    if curriculum is Curriculum.MIXTURE:
        return [Stage(None, _rounds(np.arange(len(tiers)), epochs * len(tiers), random))]
    stages: list[Stage] = []
    before = np.zeros(0, dtype=np.int64)
    for nth, (tier, own) in enumerate(places.items(), start=1):
        n_own = epochs * len(own)
        n_kept = round(n_own * keep_rate / (1 - keep_rate)) if len(before) else 0
        if nth < len(places):
            n_own += -(n_own + n_kept) % step_size
        stages.append(Stage(tier, _rounds(own, n_own, random) + _rounds(before, n_kept, random), n_kept))
        before = np.concatenate([before, own])
    if curriculum is Curriculum.SEQUENCE:
        return [Stage(it.tier, tuple(random.permutation(it.rows).tolist()), it.n_kept) for it in stages]
    return [Stage(None, tuple(random.permutation([row for stage in stages for row in stage.rows]).tolist()))]


def stage_steps(stages: Sequence[Stage], step_size: int) -> list[StageSteps]:
    """Return which steps of `step_size` visits each stage of a tier takes; nothing where all tiers are mixed."""
    found: list[StageSteps] = []
    n_before = 0
    for stage in stages:
        if stage.tier is None:
            continue
        n_steps = -(-len(stage.rows) // step_size)
        found.append(StageSteps(stage.tier, n_before + 1, n_before + n_steps, len(stage.rows), stage.n_kept))
        n_before += n_steps
    return found


def stage_at(stages: Sequence[StageSteps], step: int) -> StageSteps | None:
    """Return the stage a step belongs to; None outside all of them."""
    return next((stage for stage in stages if stage.first_step <= step <= stage.last_step), None)


def stage_curves(stages: Sequence[StageSteps], metrics: Sequence[Mapping[str, Any]]) -> tuple[StageCurve, ...]:
    """Return how each stage went, from the lines of a run's metrics."""
    curves = []
    for stage in stages:
        losses = [line["grade_loss"] for line in metrics if stage.first_step <= line["step"] <= stage.last_step]
        ends = (losses[0], losses[-1]) if losses else (None, None)
        curves.append(StageCurve(stage.tier, stage.first_step, stage.last_step, stage.n_visits, stage.n_kept, *ends))
    return tuple(curves)


def _rounds(rows: np.ndarray[Any, Any], n_visits: int, random: np.random.Generator) -> tuple[int, ...]:
    """Return so many visits to rows, each row once in a round before any comes again."""
    n_rounds = -(-n_visits // len(rows)) if len(rows) else 0
    visits = [int(row) for _ in range(n_rounds) for row in random.permutation(rows)]
    return tuple(visits[:n_visits])
