"""What tiers hold, in counts of train and dev rows. Test rows are never here: their tier tells of their grades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from curation.balance import variation
from curation.tier_choice import Choice


@dataclass(frozen=True, slots=True)
class TierCount:
    """A tier and how many rows it holds; `train_grades` counts the train rows of each grade.

    `cv` is the coefficient of variation of those counts, `cv_before` what it was before the tier was balanced; None
    without rows. `shares` are of its slices; `n_tokens` is None unless it has a budget.
    """

    tier: int
    name: str
    where: str
    train: int
    dev: int
    train_grades: Mapping[int, int]
    cv: float | None
    cv_before: float | None
    shares: Mapping[str, float]
    n_tokens: int | None


def count_tiers(choice: Choice) -> list[TierCount]:
    """Count the rows that `tier_choice.choose` gave each tier."""
    counts = []
    assigned = choice.assigned
    for one in choice.tiers:
        members = assigned.filter(assigned["tier"] == one.tier)
        train = members.filter(members["split"] == "train")
        by_split = Counter(members["split"].to_list())
        grades = dict(sorted(Counter(train["grade"].to_list()).items()))
        balanced = choice.balanced.get(one.tier)
        cv = variation(grades)
        counts.append(
            TierCount(
                tier=one.tier,
                name=one.name,
                where=one.where,
                train=by_split["train"],
                dev=by_split["dev"],
                train_grades=grades,
                cv=cv,
                cv_before=cv if balanced is None else balanced.cv_before,
                shares={} if balanced is None else balanced.shares,
                n_tokens=None if balanced is None else balanced.n_tokens,
            )
        )
    return counts
