"""Balancing leaves train rows out until the tier holds what it asks for, always the same, or says what is short."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import Balance, Balanced, balance_rows, variation
from curation.tiers import TIER_COLUMNS, parse_tiers
from curation.training_tokens import count_tokens
from storage.errors import UserError

KINDS = {"varchar": pl.String, "integer": pl.Int32, "double": pl.Float64, "boolean": pl.Boolean}
SCHEMA = {name: KINDS[kind] for name, kind in TIER_COLUMNS.items()}
TEXTS = {"query": "red sofa", "title": "Sofa", "body": "", "fields": "{}", "evidence": "", "steps": None}


def rows(*groups: tuple[int, int, dict[str, Any]]) -> pl.DataFrame:
    """Return n rows of a grade for each group."""
    held = [{"grade": grade, **more} for grade, n, more in groups for _ in range(n)]
    held = [{"source": "shop", "split": "train"} | row | {"pair_id": f"p_{n}"} for n, row in enumerate(held)]
    return pl.DataFrame(held, schema={**SCHEMA, "source": pl.String}).with_columns(
        pl.lit(text, dtype=pl.String).alias(name) for name, text in TEXTS.items()
    )


def balanced(frame: pl.DataFrame, **asked: Any) -> Balanced:
    return balance_rows(frame, Balance(**asked), columns=list(TIER_COLUMNS), count_tokens=three_each, seed="tier 1")


def three_each(frame: pl.DataFrame) -> pl.Series:
    return pl.Series([3] * len(frame), dtype=pl.Int64)


def grades(frame: pl.DataFrame, found: Balanced) -> dict[int, int]:
    return dict(Counter(frame.filter(pl.col("pair_id").is_in(found.kept.implode()))["grade"].to_list()))


def test_the_variation_is_the_deviation_over_the_mean() -> None:
    assert variation({0: 2, 1: 4, 2: 6}) == pytest.approx(math.sqrt(8 / 3) / 4)
    assert variation({0: 5, 3: 5}) == 0
    assert variation({}) is None


def test_grades_are_levelled_to_the_rarest() -> None:
    frame = rows((0, 10, {}), (1, 3, {}), (2, 7, {}))
    found = balanced(frame, by_grade=True)
    assert grades(frame, found) == {0: 3, 1: 3, 2: 3}
    assert found.left_out == {"levelling its grades": 11}
    # counts 10, 3, 7: mean 20/3, variance ((10/3)^2 + (11/3)^2 + (1/3)^2) / 3 = 74/9
    assert (found.cv_before, found.cv_after) == (pytest.approx(math.sqrt(74 / 9) / (20 / 3)), 0)


def test_grades_are_levelled_no_further_than_the_variation_asks() -> None:
    """Of 2 and n rows the variation is (n - 2) / (n + 2): 1/3 at 4, above 0.34 at 5 (3/7)."""
    frame = rows((0, 100, {}), (3, 2, {}))
    found = balanced(frame, by_grade=True, max_cv=0.34)
    assert grades(frame, found) == {0: 4, 3: 2}
    assert found.cv_after == pytest.approx(1 / 3) and found.problems == ()


def test_a_variation_that_nothing_is_left_out_for_is_a_problem_with_figures() -> None:
    found = balanced(rows((0, 6, {}), (1, 2, {})), max_cv=0.4)
    assert found.left_out == {} and len(found.kept) == 8
    (problem,) = found.problems
    assert "is 0.500 (6 of grade 0, 2 of grade 1), its max_cv is 0.4" in problem


def test_a_source_gives_no_more_than_its_cap() -> None:
    frame = rows((0, 9, {"source": "shop"}), (1, 2, {"source": "web"}))
    found = balanced(frame, max_per_source=4)
    assert grades(frame, found) == {0: 4, 1: 2}
    assert found.left_out == {"beyond their source's cap": 5}


def test_rows_beside_a_slice_go_until_it_has_its_share() -> None:
    """Three rows that are to be a quarter allow nine beside them."""
    frame = rows((0, 3, {"n_cited_rules": 1}), (1, 20, {"n_cited_rules": 0}))
    found = balanced(frame, slices=(("cites", "n_cited_rules > 0"),), min_share=0.25)
    assert grades(frame, found) == {0: 3, 1: 9}
    assert (found.left_out, found.shares, found.problems) == ({"beside its slices": 11}, {"cites": 0.25}, ())


def test_a_slice_that_cannot_have_its_share_is_a_problem_with_figures() -> None:
    frame = rows((0, 8, {"n_cited_rules": 0}))
    found = balanced(frame, slices=(("cites", "n_cited_rules > 0"),), min_share=0.25)
    assert len(found.kept) == 8
    assert found.problems == ("slice cites is 0.0% of its 8 train rows (0), its min_share is 25.0%",)
    # two slices that share no row cannot both be the larger half
    frame = rows((0, 8, {"n_cited_rules": 0}), (1, 2, {"n_cited_rules": 1}))
    both = (("cites", "n_cited_rules > 0"), ("none", "n_cited_rules = 0"))
    assert [problem[:12] for problem in balanced(frame, slices=both, min_share=0.6).problems] == ["slice cites "]


def test_a_token_budget_is_filled_in_the_shares_of_the_grades() -> None:
    """60 tokens are 20 rows of three; grades 0 and 1 stand three to one."""
    frame = rows((0, 60, {}), (1, 20, {}))
    found = balanced(frame, max_tokens=60)
    assert grades(frame, found) == {0: 15, 1: 5}
    assert (found.n_tokens, found.left_out) == (60, {"beyond its token budget": 60})
    assert "its max_tokens are 2" in balanced(frame, max_tokens=2).problems[0]


def test_tokens_are_those_of_the_prompt_and_the_completion() -> None:
    """Of a body a prompt shows 600 characters: 300 words that are two characters with their blank, 1.4 tokens each."""
    plain = rows((0, 1, {}))
    without = count_tokens(plain).item()
    assert count_tokens(plain.with_columns(pl.lit("x " * 4000).alias("body"))).item() - without == pytest.approx(
        300 * 1.4, abs=4
    )
    explained = plain.with_columns(
        pl.lit('[["verdict", "ten words are told here by this one rationale step"]]').alias("steps")
    )
    assert count_tokens(explained).item() - without == pytest.approx(10 * 1.4, abs=1)


def test_a_tokenizer_counts_exactly(tmp_path: Path) -> None:
    """One that knows no word says one token for each, so a rationale of three words is three tokens more."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    plain = rows((0, 1, {}))
    explained = plain.with_columns(pl.lit('[["verdict", "three words here"]]').alias("steps"))
    assert count_tokens(explained, str(path)).item() - count_tokens(plain, str(path)).item() == 3


def test_balance_of_no_rows_is_no_rows() -> None:
    found = balanced(rows(), by_grade=True, max_tokens=5, max_per_source=1)
    assert (len(found.kept), found.left_out, found.cv_before, found.problems) == (0, {}, None, ())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"]), st.integers(0, 1)), min_size=1, max_size=60),
    st.integers(1, 200),
    st.integers(1, 30),
    st.floats(0, 1),
)
def test_what_is_kept_is_within_every_limit_or_a_problem_says_so_in_any_order_of_rows(
    drawn: list[tuple[int, str, int]], max_tokens: int, max_per_source: int, max_cv: float
) -> None:
    frame = rows(*((grade, 1, {"source": source, "n_cited_rules": n}) for grade, source, n in drawn))
    asked: dict[str, Any] = {
        "by_grade": True,
        "max_cv": max_cv,
        "max_tokens": max_tokens,
        "max_per_source": max_per_source,
        "slices": (("cites", "n_cited_rules > 0"),),
        "min_share": 0.3,
    }
    found = balanced(frame, **asked)
    kept = frame.filter(pl.col("pair_id").is_in(found.kept.implode()))
    assert set(balanced(frame.reverse(), **asked).kept) == set(found.kept)
    assert len(kept) + sum(found.left_out.values()) == len(frame)
    assert all(n <= max_per_source for n in Counter(kept["source"].to_list()).values())
    assert 3 * len(kept) <= max_tokens
    counted = variation(Counter(kept["grade"].to_list()))
    assert counted is None or counted <= max_cv + 1e-9
    n_cites = int((kept["n_cited_rules"] > 0).sum())
    if not found.problems:
        assert len(kept) and n_cites >= 0.3 * len(kept) - 1e-9


TABLE = {"tier": 1, "name": "one", "where": "true"}
FULL = {
    "balance": "grade",
    "max_cv": 0.3,
    "max_tokens": 1000,
    "max_per_source": 5,
    "slices": {"rare": "rarest_rule_rate < 0.01"},
    "min_share": 0.1,
}


def test_a_balance_is_read_and_written_as_it_stands_in_the_table() -> None:
    (tier,) = parse_tiers([TABLE | FULL])
    assert tier.balance == Balance(
        by_grade=True,
        max_cv=0.3,
        max_tokens=1000,
        max_per_source=5,
        slices=(("rare", "rarest_rule_rate < 0.01"),),
        min_share=0.1,
    )
    assert tier.to_table() == TABLE | FULL
    assert not parse_tiers([TABLE])[0].balance.is_set


def test_every_mistake_of_a_balance_is_told() -> None:
    wrong = {
        "balance": "source",
        "max_cv": -1,
        "max_tokens": 0,
        "max_per_source": True,
        "slices": {"rare": "score > 1"},
        "min_share": 2,
    }
    with pytest.raises(UserError) as raised:
        parse_tiers([TABLE | wrong, TABLE | {"tier": 2, "name": "two", "slices": ["x"]}])
    for part in (
        "afrel.toml has 8 mistake(s)",
        "[[tiers]] 1: balance = 'source' is not \"grade\"",
        "[[tiers]] 1: max_cv = -1 is not a number from 0",
        "[[tiers]] 1: max_tokens = 0 is not a whole number from 1",
        "[[tiers]] 1: max_per_source = True is not a whole number from 1",
        "[[tiers]] 1: min_share = 2 is not a share",
        "[[tiers]] 1: slices.rare:",
        "[[tiers]] 2: slices and min_share stand together",
        "[[tiers]] 2: slices = ['x'] is not a table of predicates",
    ):
        assert part in str(raised.value)
