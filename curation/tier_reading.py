"""Read what tiers are cut from out of the store: whole rows for a snapshot, or only what predicates ask of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curation.tier_rows import TierFacts, TierRows, tier_facts, tier_rows
from storage.progress import Stage, Watch, unwatched
from storage.session import read_scale

if TYPE_CHECKING:
    import polars as pl

    from storage.store import Store


def read_tier_rows(store: Store, watch: Watch = unwatched) -> TierRows:
    """Read the relation tiers are cut from; the store must see test rows."""
    frames = _frames(
        store,
        "judged_pairs",
        "features_of_judged_pairs",
        "held_back_queries",
        "rules",
        "rule_rates",
        "approved_grades_of_judged_pairs",
        watch=watch,
    )
    return tier_rows(
        frames["judged_pairs"],
        frames["features_of_judged_pairs"],
        frames["held_back_queries"],
        rules=frames["rules"],
        rule_rates=frames["rule_rates"],
        votes=frames["approved_grades_of_judged_pairs"],
        scale=read_scale(store),
        watch=watch,
    )


def read_tier_facts(store: Store, watch: Watch = unwatched) -> TierFacts:
    """Read what predicates ask of the rows, without docs and evidence; the store must see test rows."""
    frames = _frames(store, "judged_facts", "held_back_queries", "rules", "rule_rates", watch=watch)
    n_rows = len(frames["judged_facts"])
    watch(Stage.BUILDING, 0, n_rows)
    return tier_facts(
        frames["judged_facts"],
        frames["held_back_queries"],
        rules=frames["rules"],
        rule_rates=frames["rule_rates"],
        scale=read_scale(store),
    )


def _frames(store: Store, *reads: str, watch: Watch) -> dict[str, pl.DataFrame]:
    found = {}
    for place, name in enumerate(reads):
        watch(Stage.READING, place, len(reads))
        found[name] = store.frame(name)
    return found
