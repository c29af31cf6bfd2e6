"""Which rows a cut would freeze: each in the highest tier it meets, the tiers balanced, everything left out counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from curation.balance import Balanced, balance_rows
from curation.tier_rows import TierRows
from curation.tiers import TIER_COLUMNS, Tier, assign
from curation.training_tokens import count_tokens

NO_TIER = "meets no tier"


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows with their `tier`, null for those no tier takes, and how many settled pairs are left out, by reason.

    `balanced` is by tier, of those that ask for it; `problems` say which tier is short of what it asks for.
    """

    tiers: tuple[Tier, ...]
    assigned: pl.DataFrame
    left_out: Mapping[str, int]
    balanced: Mapping[int, Balanced]
    problems: tuple[str, ...]

    @property
    def members(self) -> pl.DataFrame:
        """The rows that some tier takes."""
        return self.assigned.filter(pl.col("tier").is_not_null())

    @property
    def n_shared_docs(self) -> int:
        """How many train rows are of a doc that dev or test rows are of, too: no leak, for the query is another."""
        members = self.members
        held_back = members.filter(pl.col("split") != "train").select("doc_id").unique()
        return members.filter(pl.col("split") == "train").join(held_back, on="doc_id", how="semi").height


def choose(rows: TierRows, tiers: Sequence[Tier], *, tokenizer: str | None = None) -> Choice:
    """Give the rows their tiers and balance those that ask for it.

    `tokenizer` is the file that counts the tokens of a budget; without one they are estimated.
    """
    count = partial(count_tokens, tokenizer=tokenizer)
    assigned = assign(rows.frame, tiers)
    left_out = {**rows.left_out, NO_TIER: int(assigned["tier"].is_null().sum())}
    balanced: dict[int, Balanced] = {}
    problems: list[str] = []
    for tier in (tier for tier in tiers if tier.balance.is_set):
        is_trained = (pl.col("tier") == tier.tier) & (pl.col("split") == "train")
        train = assigned.filter(is_trained)
        found = balance_rows(
            train, tier.balance, columns=list(TIER_COLUMNS), count_tokens=count, seed=f"tier {tier.tier}"
        )
        is_kept = pl.col("pair_id").is_in(found.kept.implode())
        assigned = assigned.with_columns(
            pl.when(is_trained.fill_null(value=False) & ~is_kept).then(None).otherwise(pl.col("tier")).alias("tier")
        )
        left_out |= {f"tier {tier.tier}, {reason}": n for reason, n in found.left_out.items()}
        problems += [f"tier {tier.tier} ({tier.name}): {problem}" for problem in found.problems]
        balanced[tier.tier] = found
    return Choice(tuple(tiers), assigned, left_out, balanced, tuple(problems))
