"""The replay gate: a slice regresses when its paired interval lies below zero."""

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
    truth = np.array([2, 2, 2, 2, 1, 1, 1, 1])
    parent = np.array([2, 2, 2, 2, 2, 2, 2, 2])
    child = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    lost, won = Slice("rule r_1", truth == 2), Slice("grade 1", truth == 1)
    found = changes([won, lost], truth, parent, child, ALL)
    assert [(one.n, one.n_lost, one.n_won) for one in found] == [(4, 0, 4), (4, 4, 0)]
    (worse,) = regressions(found)
    assert worse.told().startswith("rule r_1: right on 0 of 4 pairs, 4 before (change -100%")


def test_pairs_without_both_labels_and_rows_left_out_count_in_nothing() -> None:
    truth, parent = np.zeros(8, np.intp), np.zeros(8, np.intp)
    child = np.array([1, 1, 1, 1, UNLABELLED, 1, 0, 0])
    rows = ALL.copy()
    rows[0] = False
    (one,) = changes([Slice("all", ALL)], truth, parent, child, rows)
    assert (one.n, one.n_lost, one.n_right_before) == (6, 4, 6)
    assert changes([Slice("none", ~ALL)], truth, parent, child, rows) == []
