"""What a proposer is told of each cluster: the rule it contradicts, and judged pairs outside that look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.features import FEATURE_SCHEMA
from curation.rules import Rule
from evolution.rules.disagreements import Cluster
from evolution.rules.requests import RuleMaterial
from storage.grades import Scale

N_COUNTERS = 6
_NUMBERS = [name for name, kind in FEATURE_SCHEMA.items() if kind.is_numeric() or kind == pl.Boolean()]


def gather_materials(
    clusters: Sequence[Cluster], learnt: pl.DataFrame, *, votes: Mapping[Rule, NDArray[np.bool_]], scale: Scale
) -> list[RuleMaterial]:
    """Return the material of each cluster.

    `learnt` are judged pairs that may be shown, with their texts; `votes` says on which each rule in play votes.
    """
    return [RuleMaterial(one, _counters(one, learnt), _parent(one, learnt, votes), scale) for one in clusters]


def _parent(cluster: Cluster, learnt: pl.DataFrame, votes: Mapping[Rule, NDArray[np.bool_]]) -> Rule | None:
    """Return the rule in play that says another grade of most of the cluster, if it says it of half."""
    rows = np.flatnonzero(learnt["pair_id"].is_in(cluster.pair_ids).to_numpy())
    against = [(int(held[rows].sum()), rule) for rule, held in votes.items() if rule.grade != cluster.settled_grade]
    n, rule = max(against, key=lambda one: (one[0], one[1].rule_id), default=(0, None))
    return rule if rule is not None and 2 * n >= max(1, rows.size) else None


def _counters(cluster: Cluster, learnt: pl.DataFrame) -> tuple[Mapping[str, Any], ...]:
    """Return the judged pairs nearest to the cluster whose grade is one that was said, wrongly, of the cluster."""
    said = [grade for grade in cluster.said_grades if grade != cluster.settled_grade]
    others = learnt.filter(pl.col("grade").is_in(said) & ~pl.col("pair_id").is_in(cluster.pair_ids))
    if others.is_empty():
        return ()
    inside, outside = _numbers(cluster.pairs), _numbers(others)
    spread = np.vstack([inside, outside]).std(axis=0)
    away = (((outside - inside.mean(axis=0)) / np.where(spread > 0, spread, 1.0)) ** 2).sum(axis=1)
    return tuple(others[np.argsort(away, kind="stable")[:N_COUNTERS].tolist()].iter_rows(named=True))


def _numbers(features: pl.DataFrame) -> NDArray[np.float64]:
    return np.column_stack([features[name].cast(pl.Float64).fill_null(0.5).to_numpy() for name in _NUMBERS])
