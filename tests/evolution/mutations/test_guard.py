"""A set of mutations does not become one query's, one operator's or one rewriting over and over."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from evolution.mutations.guard import MAX_PER_QUERY, MIN_DRAWN, CollapseGuard


def test_a_query_that_gave_its_share_gives_no_more_whatever_run_it_gave_it_in() -> None:
    guard = CollapseGuard(["typo"], Counter({"q_1": MAX_PER_QUERY - 1}))
    assert guard.next_operators("q_1") == ["typo"]
    guard.take("typo", "q_1", "rde mug")
    assert guard.next_operators("q_1") == []
    assert guard.next_operators("q_2") == ["typo"]
    assert guard.next_operators("q_3", n_waiting=MAX_PER_QUERY) == []


def test_the_least_used_operator_goes_first() -> None:
    guard = CollapseGuard(["typo", "slang"])
    guard.take("slang", "q_1", "some words here")
    assert guard.next_operators("q_2") == ["typo", "slang"]


def test_an_operator_that_repeats_itself_is_stopped_with_the_reason() -> None:
    guard = CollapseGuard(["typo", "slang"])
    for n in range(MIN_DRAWN):
        guard.take("typo", f"q_{n}", "the very same words" if n % 3 else f"words of number {n} {n * 7}")
    assert guard.next_operators("q") == ["slang"]
    tally = {one.name: one for one in guard.report().operators}["typo"]
    # 0, 3, 6, 9, 12, 15, 18 are new, and so is the first of the thirteen others
    assert (tally.n_drawn, tally.n_near_duplicates, tally.n_held_back) == (20, 12, 1)
    assert tally.near_duplicate_rate == 12 / 20
    assert tally.stopped == "stopped: 12 of its 20 rewritings are nearly one of its own (more than 50%)"


def test_an_operator_beyond_its_share_waits_until_others_have_caught_up() -> None:
    guard = CollapseGuard(["typo", "slang", "negation"])
    for n in range(MIN_DRAWN):
        guard.take("typo", f"q_{n}", f"text {n} of {n * 3} and {n * 5}")
    assert "typo" not in guard.next_operators("q")
    for n in range(2 * MIN_DRAWN):
        guard.take("slang", f"r_{n}", f"other {n} of {n * 3} and {n * 5}")
    # 20 of 60 is a third, below 40%; slang has two thirds and waits
    assert guard.next_operators("q") == ["negation", "typo"]
    reasons = {one.name: one.stopped for one in guard.report().operators}
    assert reasons["slang"] == "throttled: it gave 40 of 60 mutations (more than 40%)"


def test_two_operators_may_share_as_they_come() -> None:
    guard = CollapseGuard(["typo", "slang"])
    for n in range(MIN_DRAWN):
        guard.take("typo", f"q_{n}", f"text {n} of {n * 3} and {n * 5}")
    assert guard.next_operators("q") == ["slang", "typo"]


def test_entropy_is_that_of_the_shares_over_its_greatest() -> None:
    guard = CollapseGuard(["typo", "slang"])
    for n, name in enumerate(("typo", "typo", "typo", "slang")):
        guard.take(name, f"q_{min(n, 2)}", f"text {n}")
    found = guard.report()
    assert found.entropy == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2))
    assert found.largest_query_rate == 2 / 4
    assert CollapseGuard(["typo", "slang"]).report().entropy is None
