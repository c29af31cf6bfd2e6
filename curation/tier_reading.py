"""Read what tiers are cut from out of the store: whole rows for a snapshot, or only what predicates ask of them.

One named read answers all of it, so a judgment that is committed meanwhile is in every part or in none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from curation.tier_rows import Relation, TierFacts, TierRows, tier_facts, tier_rows
from storage.progress import Stage, Watch, unwatched
from storage.session import read_scale

if TYPE_CHECKING:
    from storage.store import Store

_RULE_COLUMNS = {
    "rule_id": "rule_id",
    "rule_text": "text",
    "rule_condition": "condition",
    "rule_grade": "grade",
    "rule_status": "status",
    "rule_rate": "rate",
}
_HELD_BACK_COLUMNS = ("query_id", "query", "split")


def read_tier_rows(store: Store, watch: Watch = unwatched) -> TierRows:
    """Read the relation tiers are cut from; the store must see test rows."""
    return tier_rows(_read(store, "tier_relation", watch), watch=watch)


def read_tier_facts(store: Store, watch: Watch = unwatched) -> TierFacts:
    """Read what predicates ask of the rows, without docs and evidence; the store must see test rows."""
    relation = _read(store, "tier_facts", watch)
    watch(Stage.BUILDING, 0, len(relation.judged))
    return tier_facts(relation)


def _read(store: Store, name: str, watch: Watch) -> Relation:
    watch(Stage.READING, 0, 1)
    scale = read_scale(store)  # set once, when the workspace is made
    parts = store.frame(name)
    rules = parts.filter(pl.col("part") == "rule").select(pl.col(old).alias(new) for old, new in _RULE_COLUMNS.items())
    return Relation(
        judged=parts.filter(pl.col("part") == "judged").drop("part", *_RULE_COLUMNS),
        held_back=parts.filter(pl.col("part") == "held_back").select(_HELD_BACK_COLUMNS),
        rules=rules.sort("rule_id"),
        scale=scale,
    )
