"""How many of the pairs that cite a rule are graded right, rule by rule, each with its n and interval. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.evaluation.metrics import N_RESAMPLES
from trainers.evaluation.resampling import interval_of, resample

TAIL = 0.025


@dataclass(frozen=True, slots=True)
class RuleRecall:
    """The share of right grades among the n pairs whose rationale cites a rule, with its 95% interval."""

    rule_id: str
    recall: float
    low: float
    high: float
    n: int


def rule_recalls(
    rule_ids: Sequence[Sequence[str]],
    is_right: NDArray[np.bool_],
    query_ids: Sequence[str],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[RuleRecall, ...]:
    """Return the recall of each rule that any pair cites, by rule id.

    Queries that cite the rule are resampled. Where all its pairs are right, or all wrong, resampling knows no other
    value; the open end is then the exact binomial bound for as many draws as there are queries.
    """
    places: dict[str, list[int]] = {}
    for at, cited in enumerate(rule_ids):
        for rule_id in dict.fromkeys(cited):
            places.setdefault(rule_id, []).append(at)
    found = []
    for rule_id, cites in sorted(places.items()):
        _, query = np.unique(np.array([query_ids[place] for place in cites]), return_inverse=True)
        right = is_right[cites].astype(float)
        recall, n_queries = float(right.mean()), int(query.max()) + 1
        bound = TAIL ** (1 / n_queries)
        if recall in (0.0, 1.0):
            low, high = (0.0, 1 - bound) if recall == 0 else (bound, 1.0)
        else:
            draws = resample(n_queries, n_resamples, seed)
            ends = interval_of(draws @ np.bincount(query, weights=right) / (draws @ np.bincount(query)))
            low, high = (float(end) for end in ends if end is not None)
        found.append(RuleRecall(rule_id, recall, low, high, len(cites)))
    return tuple(found)
