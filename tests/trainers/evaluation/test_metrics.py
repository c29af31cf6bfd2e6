import time

import numpy as np
import pytest

from trainers.evaluation.metrics import (
    accuracy,
    adjacent_error,
    grade_f1,
    macro_f1,
    measure,
    non_adjacent_error,
    quadratic_weighted_kappa,
)

# truth down, predicted across: of 3 zeros two are right, of 2 ones one, of 1 two none.
CONFUSION = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def test_shares_are_counted_by_hand() -> None:
    assert accuracy(CONFUSION) == pytest.approx(3 / 6)
    assert adjacent_error(CONFUSION) == pytest.approx(2 / 6)
    assert non_adjacent_error(CONFUSION) == pytest.approx(1 / 6)


def test_f1_by_hand() -> None:
    """F1 = 2 right / (true + predicted): 4/(3+3), 2/(2+2), 0/(1+1); their mean is (2/3 + 1/2 + 0) / 3 = 7/18."""
    assert grade_f1(CONFUSION) == pytest.approx([2 / 3, 1 / 2, 0])
    assert macro_f1(CONFUSION) == pytest.approx(7 / 18)


def test_kappa_by_hand() -> None:
    """Observed squared distance: 1 + 1 + 4 = 6. Expected, rows 3 2 1 by columns 3 2 1 over 6:

    (3·2·1 + 3·1·4 + 2·3·1 + 2·1·1 + 1·3·4 + 1·2·1) / 6 = 40/6. Kappa = 1 - 6 / (40/6) = 1/10.
    """
    assert quadratic_weighted_kappa(CONFUSION) == pytest.approx(1 / 10)


def test_a_grade_that_never_shows_is_undefined_and_left_out_of_the_mean() -> None:
    confusion = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    f1 = grade_f1(confusion)
    assert np.isnan(f1[2])
    assert macro_f1(confusion) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_undefined_is_none_and_never_zero() -> None:
    by_name = {one.metric: one for one in measure(np.zeros(3, int), np.zeros(3, int), ["a", "b", "b"], grades=[0, 1])}
    assert by_name["f1_grade_1"].value is None and by_name["f1_grade_1"].low is None and by_name["f1_grade_1"].n == 0
    assert by_name["qwk"].value is None
    assert by_name["accuracy"].value == 1.0


def test_without_probabilities_docs_are_ranked_by_the_predicted_grade() -> None:
    """The right doc is told as 1, the bad one as 0: NDCG is 1; half of the two that are shown are bad."""
    found = {one.metric: one for one in measure(np.array([0, 1]), np.array([0, 1]), ["a", "a"], grades=[0, 1])}
    assert (found["ndcg@10"].value, found["ndcg@10"].n) == (1.0, 1)
    assert (found["badcase@5"].value, found["badcase@5"].n) == (0.5, 1)
    assert not {"auc", "ece"} & set(found)


def test_intervals_resample_queries_not_pairs() -> None:
    """One query is all right, the other all wrong: a resample is right by 0, 1/2 or 1, so the interval is [0, 1].

    With 2 × 50 independent pairs the interval would be about 0.4 to 0.6.
    """
    truth, predicted = np.zeros(100, int), np.array([0] * 50 + [1] * 50)
    found = measure(truth, predicted, ["a"] * 50 + ["b"] * 50, grades=[0, 1])[0]
    assert (found.metric, found.value, found.low, found.high, found.n) == ("accuracy", 0.5, 0.0, 1.0, 100)


def test_a_thousand_resamples_of_three_thousand_pairs_take_under_a_second() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 3000)
    started = time.process_time()
    found = measure(
        random.integers(0, 4, 3000),
        probabilities.argmax(1),
        [str(at // 2) for at in range(3000)],
        grades=[0, 1, 2, 3],
        probabilities=probabilities,
    )
    assert time.process_time() - started < 1.0
    assert all(one.low <= one.value <= one.high for one in found if one.metric != "ece")
