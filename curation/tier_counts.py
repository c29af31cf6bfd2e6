"""What tiers hold, in counts of train and dev rows. Test rows are never here: their tier tells of their grades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curation.tiers import Tier


@dataclass(frozen=True, slots=True)
class TierCount:
    """A tier and how many rows it holds; `train_grades` counts the train rows of each grade."""

    tier: int
    name: str
    where: str
    train: int
    dev: int
    train_grades: Mapping[int, int]


def count_tiers(assigned: pl.DataFrame, tiers: Sequence[Tier]) -> list[TierCount]:
    """Count the rows that `tiers.assign` gave each tier."""
    counts = []
    for one in tiers:
        members = assigned.filter(assigned["tier"] == one.tier)
        train = members.filter(members["split"] == "train")
        by_split = Counter(members["split"].to_list())
        grades = dict(sorted(Counter(train["grade"].to_list()).items()))
        counts.append(TierCount(one.tier, one.name, one.where, by_split["train"], by_split["dev"], grades))
    return counts
