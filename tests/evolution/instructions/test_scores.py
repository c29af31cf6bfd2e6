"""Agreement with judgments by hand, of six pairs with confusion [[3, 1], [1, 1]]; what a child gains on the same."""

from __future__ import annotations

import numpy as np
import pytest

from evolution.instructions.scores import UNLABELLED, Truth, gain, length_cost, measure, objective

# truth: four of the first grade, two of the second; each pair is a query of its own
TRUTH = Truth(np.array([0, 0, 0, 0, 1, 1]), np.arange(6), 2)
SAID = np.array([0, 0, 0, 1, 0, 1])
ALL = np.ones(6, np.bool_)


def test_macro_f1_kappa_and_accuracy_of_six_pairs() -> None:
    """F1 of the grades: 6/8 and 2/4. Accuracy 4/6. Kappa: agreed 4/6, by chance (4·4 + 2·2)/36 = 5/9, so 1/4."""
    measured = measure(TRUTH, SAID, ALL)
    assert measured["macro_f1"].value == pytest.approx(5 / 8)
    assert measured["accuracy"].value == pytest.approx(4 / 6)
    assert measured["qwk"].value == pytest.approx(1 / 4)
    for one in measured.values():
        assert one.n == 6 and one.low is not None and one.low <= (one.value or 0) <= (one.high or 0)


def test_the_objective_is_their_mean_less_what_length_costs() -> None:
    assert length_cost(2000) == pytest.approx(0.01)
    assert objective(TRUTH, SAID, ALL, 2000) == pytest.approx((5 / 8 + 1 / 4) / 2 - 0.01)


def test_kappa_of_one_grade_is_undefined_and_the_objective_is_f1_alone() -> None:
    one_grade = Truth(np.zeros(3, np.intp), np.arange(3), 3)
    assert measure(one_grade, np.zeros(3, np.intp), np.ones(3, np.bool_))["qwk"].value is None
    assert objective(one_grade, np.zeros(3, np.intp), np.ones(3, np.bool_), 0) == 1.0


def test_a_gain_is_over_the_pairs_both_labelled_and_counts_length() -> None:
    """Without the fourth pair the parent has [[3, 0], [1, 1]]: F1 6/7 and 2/3, kappa 1 - 5·1/(3·1 + 2·4) = 6/11."""
    child = np.array([0, 0, 0, UNLABELLED, 1, 1])
    rise = gain(TRUTH, SAID, child, ALL, n_parent=1000, n_child=3000)
    assert rise is not None and rise.n == 5
    assert rise.value == pytest.approx(1 - ((6 / 7 + 2 / 3) / 2 + 6 / 11) / 2 - 0.01)
    assert rise.low <= rise.value <= rise.high


def test_equal_labels_gain_nothing_and_shorter_ones_a_little() -> None:
    assert gain(TRUTH, SAID, SAID, ALL, n_parent=9, n_child=9).value == 0  # type: ignore[union-attr]
    shorter = gain(TRUTH, SAID, SAID, ALL, n_parent=2000, n_child=1000)
    assert shorter is not None and shorter.value == pytest.approx(0.005) and shorter.is_sure


def test_nothing_labelled_is_no_gain_and_no_score() -> None:
    nothing = np.full(6, UNLABELLED)
    assert gain(TRUTH, SAID, nothing, ALL, n_parent=1, n_child=1) is None
    assert measure(TRUTH, nothing, ALL)["macro_f1"].value is None
