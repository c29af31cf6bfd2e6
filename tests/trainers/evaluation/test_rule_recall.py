import numpy as np
import pytest

from trainers.evaluation.rule_recall import RuleRecall, rule_recalls


def test_recall_counts_a_pair_once_for_each_rule_it_cites() -> None:
    """r: 1 of 2, over two queries that are all right or all wrong, so resamples are 0, 1/2 or 1. s: see below."""
    found = rule_recalls([["r"], ["r", "r", "s"], []], np.array([True, False, True]), ["a", "b", "c"])
    assert found[0] == RuleRecall("r", 0.5, 0.0, 1.0, 2)
    assert [one.rule_id for one in found] == ["r", "s"]


def test_a_few_pairs_all_right_do_not_prove_perfection() -> None:
    """Three pairs of two queries, all right: with a recall of x both are right by a chance of x²; x² = .025 at .158."""
    (right,) = rule_recalls([["r"]] * 3, np.array([True] * 3), ["a", "a", "b"])
    assert (right.recall, right.low, right.high) == (1.0, pytest.approx(0.025**0.5), 1.0)
    (wrong,) = rule_recalls([["r"]] * 3, np.array([False] * 3), ["a", "a", "b"])
    assert (wrong.recall, wrong.low, wrong.high) == (0.0, 0.0, pytest.approx(1 - 0.025**0.5))


def test_the_pairs_of_a_query_stand_or_fall_together() -> None:
    """Of 40 pairs in 4 queries half are right; as 40 single draws the interval would be about .35 to .65."""
    is_right = np.array([True] * 20 + [False] * 20)
    (one,) = rule_recalls([["r"]] * 40, is_right, [str(at // 10) for at in range(40)])
    assert (one.recall, one.low, one.high, one.n) == (0.5, 0.0, 1.0, 40)
    assert rule_recalls([[]], np.array([True]), ["a"]) == ()
