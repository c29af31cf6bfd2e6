"""The gate: counts on all train judgments, each reason to turn a rule away, and the rare one that stays."""

from __future__ import annotations

from typing import Any

import polars as pl

from curation.rules import Rule, make_rule
from evolution.rules.gate import Gate, held_out_queries
from tests.evolution.rules.test_mining import frame

N = 120
HELD_OUT = held_out_queries(f"q_{i}" for i in range(N))


def judged(mark: Any, grade: Any) -> pl.DataFrame:
    """One pair a query: `mark(i)` says whether its colour conflicts, `grade(i)` its grade."""
    rows = frame([{"conflicting_fields": ["colour"] if mark(i) else []} for i in range(N)])
    queries = [f"q_{i}" for i in range(N)]
    return rows.with_columns(root_query_id=pl.Series(queries), grade=pl.Series([grade(i) for i in range(N)]))


COLOUR = make_rule("Colour.", "list_contains(conflicting_fields, 'colour')", 0)


def verdict(pairs: pl.DataFrame, rule: Rule = COLOUR, *, in_play: list[Rule] | None = None) -> Any:
    (found,) = Gate(pairs, in_play or [], held_out=HELD_OUT).judge([rule], [None])
    return found


def test_a_rule_that_holds_is_kept_and_confirmed_on_held_out_queries() -> None:
    pairs = judged(lambda i: i % 2 == 0, lambda i: 0 if i % 2 == 0 else 1 + i // 2 % 2)
    found = verdict(pairs)
    n_held = sum((f"q_{i}" in HELD_OUT) for i in range(0, N, 2))
    assert found.is_kept and found.held_out.is_confirmed
    assert (found.count.n_votes, found.count.n_right) == (60, 60)
    assert (found.held_out.n_votes, found.held_out.n_right) == (n_held, n_held)
    assert found.reason == f"confirmed: right on {n_held} of {n_held} held-out pairs"


def test_three_cases_all_right_are_kept_in_sight_though_nothing_confirms_them() -> None:
    learnt = [i for i in range(N) if f"q_{i}" not in HELD_OUT][:3]
    found = verdict(judged(lambda i: i in learnt, lambda i: 0 if i in learnt else 1 + i % 2))
    assert found.is_kept and not found.held_out.is_confirmed
    assert found.reason == "not confirmed: right on 0 of 0 held-out pairs"


def test_a_rule_that_is_mostly_wrong_is_turned_away() -> None:
    found = verdict(judged(lambda i: i < 20, lambda i: 0 if i < 10 else 1))
    assert (found.is_kept, found.reason) == (False, "right on 10 of 20 judged train pairs, under 60%")


def test_a_rule_no_surer_than_its_grade_is_turned_away() -> None:
    """Grade 0 is 70% of all, and of the rule's pairs 15 of 20."""
    found = verdict(judged(lambda i: i < 20, lambda i: 1 if i in range(15, 20) or i >= 89 else 0))
    assert not found.is_kept and "not surely more than the" in found.reason


def test_a_rule_that_covers_nothing_is_turned_away() -> None:
    found = verdict(judged(lambda _: False, lambda i: i % 3))
    assert (found.is_kept, found.reason) == (False, "covers 0 judged train pairs; 3 are needed")


def test_one_querys_memory_is_turned_away() -> None:
    pairs = judged(lambda i: i < 5, lambda i: 0 if i < 5 else 1)
    pairs = pairs.with_columns(
        root_query_id=pl.when(pl.arange(0, N) < 5).then(pl.lit("q_x")).otherwise("root_query_id")
    )
    assert "one query only" in verdict(pairs).reason


def test_what_fails_on_held_out_queries_is_turned_away() -> None:
    """Right on all 60 learnt pairs it covers and wrong on all held-out ones: that was learnt by heart."""
    pairs = judged(lambda i: i < 80, lambda i: (1 if f"q_{i}" in HELD_OUT else 0) if i < 80 else 1)
    found = verdict(pairs)
    assert not found.is_kept and found.reason.startswith("fails on held-out queries: right on 0 of")


def test_a_rule_in_play_that_says_as_much_is_named() -> None:
    pairs = judged(lambda i: i < 40, lambda i: 0 if i < 40 else 1 + i % 2)
    same = make_rule("More.", "len(conflicting_fields) >= 1", 0)
    assert verdict(pairs, in_play=[same]).reason == f"says no more than {same.rule_id}"


def test_conflicts_with_rules_in_play_are_counted() -> None:
    pairs = judged(lambda i: i < 40, lambda i: 0 if i < 40 else 1 + i % 2)
    other = make_rule("Other.", "n_query_terms = 3", 2)  # votes everywhere
    assert verdict(pairs, in_play=[other]).count.n_conflicts == 40
    assert verdict(pairs).count.n_conflicts == 0


def test_a_quarter_of_the_queries_is_held_out_whatever_their_order() -> None:
    roots = [f"q_{i}" for i in range(47)]
    assert len(held_out_queries(roots)) == 11
    assert held_out_queries(roots) == held_out_queries([*reversed(roots), *roots])
