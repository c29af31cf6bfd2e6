"""Curriculum tiers as predicates over judged rows; a row belongs to the highest tier it meets.

The default tiers are our reading of a staged curriculum (easy, rule-heavy, long tail and conflict; arXiv 2602.10006
publishes neither number nor definition). They hold without difficulty scores: an absent pass rate meets no predicate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.balance import UNBALANCED, Balance
from curation.balance_config import BALANCE_KEYS, balance_mistakes, parse_balance
from curation.config_tables import raise_mistakes, repeated, table_mistakes
from storage.sql.predicates import matches

RARE_RULE_RATE = 0.01
TIER_COLUMNS: dict[str, str] = {
    "pair_id": "varchar",
    "split": "varchar",
    "grade": "integer",
    "lowest_grade": "integer",
    "highest_grade": "integer",
    "origin": "varchar",  # import, consensus, adjudicated
    "source": "varchar",
    "n_answers": "integer",
    "is_unanimous": "boolean",
    "is_revised": "boolean",
    "n_cited_rules": "integer",
    "rarest_rule_rate": "double",  # share of train judgments the rarest cited rule covers; null when none is cited
    "has_rule_conflict": "boolean",
    "pass_rate": "double",  # null before rollouts
    "operator": "varchar",  # mutation operator; null for a pair that was not mutated
    "confidence": "double",
    "has_rationale": "boolean",
    "agrees_with_rule": "boolean",  # null when no rule is cited
}


@dataclass(frozen=True, slots=True)
class Tier:
    """A curriculum stage: its number (1 is trained first), name, predicate over `TIER_COLUMNS`, and balance."""

    tier: int
    name: str
    where: str
    balance: Balance = UNBALANCED

    def to_table(self) -> dict[str, Any]:
        """Return it as its table in `afrel.toml`."""
        return {"tier": self.tier, "name": self.name, "where": self.where, **self.balance.to_table()}


DEFAULT_TIERS = (
    Tier(
        1,
        "clear",
        "(is_unanimous or origin = 'import') and not has_rule_conflict "
        "and (grade = lowest_grade or grade = highest_grade or n_cited_rules = 0)",
    ),
    Tier(
        2,
        "ruled",
        "n_cited_rules >= 1 and (is_unanimous or origin = 'import') and coalesce(agrees_with_rule, true)",
    ),
    # What no rollout got right waits for a second answer: a wrong judgment looks just like a hard pair.
    Tier(
        3,
        "hard",
        f"is_revised or origin = 'adjudicated' or rarest_rule_rate < {RARE_RULE_RATE} or not agrees_with_rule "
        # without these two, rows the machine got wrong would drop out, and dev and test would flatter every model
        "or (has_rule_conflict and n_cited_rules = 0) or not (is_unanimous or origin = 'import') "
        "or (pass_rate < 1 and (pass_rate > 0 or n_answers >= 2))",
    ),
)
_KEYS: dict[str, type] = {"tier": int, "name": str, "where": str}


def parse_tiers(tables: Sequence[Mapping[str, Any]] = ()) -> tuple[Tier, ...]:
    """Return the tiers of `[[tiers]]` tables in ascending order, the default ones where there are none.

    UserError names all mistakes of all tables together.
    """
    raise_mistakes(tier_mistakes(tables, place="[[tiers]]"))
    tiers = (Tier(table["tier"], table["name"], table["where"], parse_balance(table)) for table in tables)
    return tuple(sorted(tiers, key=lambda tier: tier.tier)) or DEFAULT_TIERS


def tier_mistakes(tables: Sequence[Mapping[str, Any]], *, place: str) -> list[str]:
    """Return what is wrong with tiers; `place` is what one of them is called where they stand."""
    mistakes: list[str] = []
    for number, table in enumerate(tables, start=1):
        mistakes += table_mistakes(
            f"{place} {number}",
            table,
            keys=_KEYS,
            names=("name",),
            predicate_key="where",
            columns=TIER_COLUMNS,
            known_elsewhere=BALANCE_KEYS,
        )
        mistakes += balance_mistakes(f"{place} {number}", table, columns=TIER_COLUMNS)
    for key in ("tier", "name"):
        mistakes += repeated(place, key, [table[key] for table in tables if key in table])
    return mistakes


def assign(rows: pl.DataFrame, tiers: Sequence[Tier]) -> pl.DataFrame:
    """Return the rows (columns `TIER_COLUMNS` at least) with a column `tier`; null where a row meets none."""
    masks = matches(rows.select(list(TIER_COLUMNS)), {str(tier.tier): tier.where for tier in tiers})
    highest = pl.Series("tier", [None] * len(rows), dtype=pl.Int32)
    for tier in sorted(tiers, key=lambda tier: tier.tier):
        highest = highest.set(pl.Series(masks[str(tier.tier)]), tier.tier)
    return rows.with_columns(highest)
