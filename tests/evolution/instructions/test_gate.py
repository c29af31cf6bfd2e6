"""The replay gate: a slice regresses when its interval lies below zero and chance makes no slice as bad."""

from __future__ import annotations

import numpy as np
import pytest

from curation.intervals import paired_change
from evolution.instructions.gate import Slice, changes, regressions
from evolution.instructions.scores import UNLABELLED

ALL = np.ones(8, np.bool_)


def test_the_interval_of_ten_lost_and_two_won_of_forty() -> None:
    """11/42 and 3/42: -8/42 ± 1.96·sqrt((14/42 - (8/42)²) / 42) = -0.1905 ± 0.1649."""
    interval = paired_change(40, n_lost=10, n_won=2)
    assert (interval.low, interval.high) == (pytest.approx(-0.3553, abs=1e-3), pytest.approx(-0.0256, abs=1e-3))


@pytest.mark.parametrize(
    ("n", "n_lost", "n_won", "is_worse"),
    [(3, 3, 0, False), (4, 4, 0, True), (20, 4, 0, False), (20, 5, 0, True), (20, 5, 3, False), (20, 0, 0, False)],
)
def test_how_many_cases_it_takes(n: int, n_lost: int, n_won: int, is_worse: bool) -> None:
    assert (paired_change(n, n_lost=n_lost, n_won=n_won).high < 0) == is_worse


def test_a_slice_that_loses_all_is_a_regression_though_more_is_won_elsewhere() -> None:
    truth = np.repeat([2, 1], 5)
    parent, child = np.full(10, 2), np.repeat([0, 1], 5)
    lost, won = Slice("rule r_1", truth == 2), Slice("grade 1", truth == 1)
    found = changes([won, lost], truth, parent, child, np.ones(10, np.bool_))
    assert [(one.n, one.n_lost, one.n_won) for one in found] == [(5, 0, 5), (5, 5, 0)]
    (worse,) = regressions(found)
    assert worse.told().startswith("rule r_1: right on 0 of 5 pairs, 5 before (change -100%")
    assert worse.chance == pytest.approx(2 / 32, abs=0.02)  # either slice, all five


def test_pairs_without_both_labels_and_rows_left_out_count_in_nothing() -> None:
    truth, parent = np.zeros(8, np.intp), np.zeros(8, np.intp)
    child = np.array([1, 1, 1, 1, UNLABELLED, 1, 0, 0])
    rows = ALL.copy()
    rows[0] = False
    (one,) = changes([Slice("all", ALL)], truth, parent, child, rows)
    assert (one.n, one.n_lost, one.n_right_before) == (6, 4, 6)
    assert changes([Slice("none", ~ALL)], truth, parent, child, rows) == []


def test_the_chance_of_a_lonely_slice_is_that_of_its_coins() -> None:
    """Four of four lost and nothing else turned: all four coins fall so once in 16 throws."""
    truth, child = np.zeros(8, np.intp), np.array([1, 1, 1, 1, 0, 0, 0, 0])
    found = changes([Slice("towels", np.arange(8) < 4), Slice("rest", np.arange(8) >= 4)], truth, truth, child, ALL)
    assert [one.chance for one in found] == [pytest.approx(1 / 16, abs=0.02), 1.0]
    assert [one.name for one in regressions(found)] == ["towels"]


def test_four_lost_of_four_are_no_proof_where_a_hundred_slices_are_stirred_up_as_much() -> None:
    """Each slice of four would fall so once in 16 times by its coins, so of a hundred some six do by chance."""
    truth = np.zeros(400, np.intp)
    parent = np.repeat(np.tile([0, 1], 50), 4)  # every second slice is wrong before and right now
    places = np.arange(400) // 4
    slices = [Slice(f"rule {n}", places == n) for n in range(100)]
    everywhere = changes(slices, truth, parent, 1 - parent, np.ones(400, np.bool_))
    assert all(one.interval.high < 0 for one in everywhere[::2]) and not regressions(everywhere)
    alone = changes(slices[:1], truth, parent, 1 - parent, places == 0)
    assert [one.name for one in regressions(alone)] == ["rule 0"]


def test_a_slice_that_is_ruined_is_found_among_a_hundred_that_are_stirred() -> None:
    """One pair in five of each of a hundred slices turns right or wrong; one slice of 20 loses all."""
    chance = np.random.default_rng(1)
    places = np.repeat(np.arange(100), 20)
    parent = (chance.random(2000) < 0.5).astype(np.intp)
    child = np.where(chance.random(2000) < 0.2, 1 - parent, parent)
    parent[places == 7], child[places == 7] = 0, 1
    slices = [Slice(f"rule {n}", places == n) for n in range(100)]
    (worse,) = regressions(changes(slices, np.zeros(2000, np.intp), parent, child, np.ones(2000, np.bool_)))
    assert worse.name == "rule 7" and worse.chance < 0.01
