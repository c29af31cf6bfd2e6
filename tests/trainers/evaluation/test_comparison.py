import numpy as np
import pytest

from trainers.evaluation.comparison import (
    Answered,
    McNemar,
    RuleDifference,
    differences,
    mcnemar,
    rule_differences,
)

RIGHT = np.array([True] * 6 + [False] * 4)


def test_mcnemar_counts_pairs_and_asks_whether_the_odd_ones_are_even() -> None:
    """A alone is right on 1 pair, B alone on 5. Of 6 fair coins at most 1 head: (1 + 6) / 64; both sides: 14 / 64."""
    a = np.array([True] * 4 + [False] * 6)
    b = np.array([True] * 3 + [False] + [True] * 5 + [False])
    assert mcnemar(a, b) == McNemar(n_both=3, n_only_a=1, n_only_b=5, n_neither=1, p=pytest.approx(14 / 64))
    assert mcnemar(b, a).p == pytest.approx(14 / 64)


def test_models_that_never_differ_are_no_different() -> None:
    assert mcnemar(RIGHT, RIGHT) == McNemar(6, 0, 0, 4, 1.0)
    assert mcnemar(np.array([True, False]), np.array([False, True])).p == 1.0  # 2 · 3/4, and no p is above 1


def test_a_difference_is_b_less_a_with_an_interval_over_queries() -> None:
    """Two queries of two pairs. A is right on all of the first and none of the second, B on all of both: the
    difference is 0 of the first query and 1 of the second, so the three draws of two queries give 0, 1/2 and 1."""
    truth = np.array([0, 1, 0, 1])
    found, retention = differences(
        truth, Answered(np.array([0, 1, 1, 0])), Answered(truth), ["q1", "q1", "q2", "q2"], grades=[0, 1]
    )
    accuracy = found[0]
    assert (accuracy.metric, accuracy.a, accuracy.b, accuracy.difference) == ("accuracy", 0.5, 1.0, 0.5)
    assert (accuracy.low, accuracy.high, accuracy.n) == (0.0, 1.0, 4)
    assert accuracy.p == pytest.approx(1 / 2, abs=0.1)  # a quarter of the draws is the first query twice
    assert [one.metric for one in found] == [
        "accuracy", "macro_f1", "qwk", "adjacent_error", "non_adjacent_error", "f1_grade_0", "f1_grade_1", "ndcg@10",
        "badcase@5",
    ]  # fmt: skip
    # B has macro-F1 1, A 1/2: twice as much. Where the second query alone is drawn A has 0, and the ratio is undefined.
    assert (retention.metric, retention.value, retention.low, retention.high) == ("retention", 2.0, 1.0, 2.0)


def test_the_same_predictions_differ_by_nothing_and_the_draws_are_shared() -> None:
    truth = np.array([0, 1, 2, 1, 0, 2, 1])
    predicted = np.array([0, 1, 1, 1, 2, 2, 0])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 7)
    one = Answered(predicted, probabilities)
    found, retention = differences(truth, one, one, list("abcdefg"), grades=[0, 1, 2])
    assert {"ece", "auc", "auc_grade_2", "ndcg@10", "badcase@5"} <= {one.metric for one in found}
    for one in found:
        assert one.difference is None or (one.difference, one.low, one.high, one.p) == (0, 0, 0, 1)
    assert (retention.value, retention.low, retention.high) == (1, 1, 1)


def test_a_metric_that_is_undefined_stays_so() -> None:
    """All of one grade, all right: by chance alone there would be no disagreement either, so QWK has no value."""
    zeros = np.zeros(3, int)
    differ, _ = differences(zeros, Answered(zeros), Answered(zeros), list("abc"), grades=[0, 1])
    found = {one.metric: one for one in differ}
    assert found["qwk"].a is None and found["qwk"].difference is None and found["accuracy"].difference == 0


def test_rules_are_told_by_what_b_lost() -> None:
    """Rule r: A has both of its pairs, B one. Rule s, cited twice by the third pair, counts it once."""
    a, b = np.array([True, True, False]), np.array([True, False, True])
    assert rule_differences([["r"], ["r"], ["s", "s"]], a, b) == [
        RuleDifference("r", 2, 1.0, 0.5, 1, 0, 1.0),
        RuleDifference("s", 1, 0.0, 1.0, 0, 1, 1.0),
    ]
    assert rule_differences([[], [], []], a, b) == []
