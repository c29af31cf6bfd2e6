from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from curation.tiers import DEFAULT_TIERS, TIER_COLUMNS, Tier, assign, parse_tiers
from storage.errors import UserError
from storage.sql.predicates import check_predicate

# A unanimous judgment in the middle of the scale, no rule cited, nothing known of its difficulty.
ROW: dict[str, Any] = {
    "pair_id": "p_1",
    "split": "train",
    "grade": 2,
    "lowest_grade": 0,
    "highest_grade": 3,
    "origin": "consensus",
    "source": "shop",
    "n_answers": 1,
    "is_unanimous": True,
    "is_revised": False,
    "n_cited_rules": 0,
    "rarest_rule_rate": None,
    "has_rule_conflict": False,
    "pass_rate": None,
    "operator": None,
    "confidence": 0.8,
    "has_rationale": True,
    "agrees_with_rule": None,
}
SCHEMA = {
    name: {"varchar": pl.String, "integer": pl.Int32, "double": pl.Float64, "boolean": pl.Boolean}[kind]
    for name, kind in TIER_COLUMNS.items()
}
CITED = {"n_cited_rules": 1, "rarest_rule_rate": 0.2, "agrees_with_rule": True}
SPLIT_VOTE = {"is_unanimous": False, "n_answers": 3}


def tier_of(**changes: Any) -> int | None:
    rows = pl.DataFrame([ROW | changes], schema=SCHEMA)
    found = assign(rows, DEFAULT_TIERS)["tier"].to_list()
    return found[0]


@pytest.mark.parametrize(
    ("changes", "tier"),
    [
        ({}, 1),
        ({"origin": "import", "is_unanimous": False, "n_answers": 0}, 1),
        ({"has_rule_conflict": True}, 3),
        (SPLIT_VOTE, 3),
        (CITED, 2),
        (CITED | {"grade": 3}, 2),
        (CITED | SPLIT_VOTE, 3),
        (CITED | {"has_rule_conflict": True}, 2),
        (CITED | {"agrees_with_rule": False}, 3),
        (CITED | {"rarest_rule_rate": 0.009}, 3),
        (CITED | {"rarest_rule_rate": 0.01}, 2),
        ({"is_revised": True}, 3),
        (SPLIT_VOTE | {"origin": "adjudicated"}, 3),
        ({"pass_rate": 0.5}, 3),
        ({"pass_rate": 1.0}, 1),
        ({"pass_rate": 0.0}, 1),  # waits for its re-audit
        ({"pass_rate": 0.0, "n_answers": 2}, 3),  # confirmed
    ],
)
def test_a_row_belongs_to_the_highest_tier_it_meets(changes: dict[str, Any], tier: int | None) -> None:
    assert tier_of(**changes) == tier


def test_rows_cut_without_any_difficulty_score() -> None:
    rows = pl.DataFrame([ROW, ROW | CITED, ROW | {"is_revised": True}])  # pass_rate is a column of nulls
    assert assign(rows, DEFAULT_TIERS)["tier"].to_list() == [1, 2, 3]


def test_no_rows_make_no_tiers() -> None:
    assert assign(pl.DataFrame(schema=SCHEMA), DEFAULT_TIERS)["tier"].to_list() == []


def test_the_default_tiers_are_sound() -> None:
    checked = [check_predicate(tier.where, columns=TIER_COLUMNS) for tier in DEFAULT_TIERS]
    assert len(set(checked)) == len(DEFAULT_TIERS) == 3


def test_a_workspace_may_set_its_own_tiers_in_any_order() -> None:
    tables = [{"tier": 2, "name": "rest", "where": "grade > 0"}, {"tier": 1, "name": "zero", "where": "grade = 0"}]
    assert parse_tiers(tables) == (Tier(1, "zero", "grade = 0"), Tier(2, "rest", "grade > 0"))
    assert parse_tiers() == DEFAULT_TIERS


def test_all_mistakes_are_told_together() -> None:
    tables = [
        {"tier": 1, "name": "one", "where": "score > 1"},
        {"tier": 1, "name": "one", "where": "grade + 1", "color": "red"},
        {"tier": "2", "where": "true"},
    ]
    with pytest.raises(UserError) as raised:
        parse_tiers(tables)
    message = str(raised.value)
    for part in (
        "[[tiers]] 1: where:",
        "[[tiers]] 2: where:",
        "[[tiers]] 2: unknown key 'color'",
        "[[tiers]] 3: tier = '2' is not a whole number",
        "[[tiers]] 3: name is missing",
        "tier = 1 is given twice",
        "name = 'one' is given twice",
    ):
        assert part in message
