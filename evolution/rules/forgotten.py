"""The rules a model forgot while it was trained: what the trainers' alarm tells the next cycle, by way of the store.

Asked are the finished runs of `train` on the snapshot that was last trained from with a watch: an older snapshot says
nothing of today's rows, and of several runs on one each says what that kind of training does to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.features import FEATURE_SCHEMA
from curation.rules import ABSTAIN, Rule, vote_matrix
from evolution.rules.book import approved_rules
from storage.store import Store


def forgotten_rules(store: Store) -> tuple[Rule, ...]:
    """Return the approved rules that were forgotten last, by id."""
    forgotten = set(store.read("last_forgotten").column("rule_id").to_pylist())
    return tuple(rule for rule in approved_rules(store) if rule.rule_id in forgotten) if forgotten else ()


def voted_on(rules: Sequence[Rule], features: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which pairs, rows with features, any of the rules votes on."""
    if not rules:
        return np.zeros(len(features), np.bool_)
    votes = vote_matrix(rules, features.select(list(FEATURE_SCHEMA)))
    return np.asarray((votes != ABSTAIN).any(axis=1), np.bool_)
