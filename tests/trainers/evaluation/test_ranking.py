import numpy as np
import pytest

from trainers.evaluation.ranking import auc, auc_over_draws, badcase_per_query, ndcg_per_query


def test_ndcg_by_hand_and_undefined_without_a_relevant_doc() -> None:
    """Query 0: gains 0, 3 ranked in this order: 3/log2(3) over 3 = 1/log2(3). Query 1 has no relevant doc."""
    truth, query = np.array([0, 2, 0]), np.array([0, 0, 1])
    found = ndcg_per_query(truth, np.array([0.9, 0.1, 0.5]), query, 2)
    assert found[0] == pytest.approx(1 / np.log2(3))
    assert np.isnan(found[1])


def test_equal_scores_share_their_places() -> None:
    """Two docs tie: gain 1 times the mean of discounts 1 and 1/log2(3), over the best, 1."""
    found = ndcg_per_query(np.array([0, 1]), np.array([0.5, 0.5]), np.array([0, 0]), 1)
    assert found[0] == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_bad_cases_are_counted_among_the_first_five() -> None:
    """Query 0 has six docs; the best five hold the lowest grade twice: 2/5. Query 1 shows its one doc, which is bad.
    Query 2 has six docs, and two tie for the last place shown, one of them bad: half a bad case among five."""
    truth = np.array([0, 1, 2, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1])
    scores = np.array([9, 8, 7, 6, 5, 4, 1, 9, 8, 7, 6, 5, 5.0])
    query = np.array([0] * 6 + [1] + [2] * 6)
    assert badcase_per_query(truth, scores, query, 3) == pytest.approx([2 / 5, 1, 0.5 / 5])


def test_auc_is_the_chance_that_a_positive_stands_above_a_negative() -> None:
    """Positives .8 and .4 against negatives .6, .4 and .1: 3 won, then .4 loses, ties, wins: 1.5; 4.5 of 6."""
    is_positive = np.array([True, True, False, False, False])
    scores = np.array([0.8, 0.4, 0.6, 0.4, 0.1])
    assert auc(is_positive, scores, np.ones((1, 5))) == pytest.approx([4.5 / 6])
    # the .6 drawn twice and the .1 not at all: .8 wins 3 of 3, .4 ties once of 3; 3.5 of 6
    assert auc(is_positive, scores, np.array([[1.0, 1, 2, 1, 0]])) == pytest.approx([3.5 / 6])


def test_auc_without_a_positive_or_a_negative_is_undefined() -> None:
    assert np.isnan(auc(np.array([True, True]), np.array([0.1, 0.2]), np.ones((1, 2)))).all()
    assert np.isnan(auc(np.zeros(0, bool), np.zeros(0), np.ones((3, 0)))).all()


def test_auc_over_draws_is_that_of_the_pairs_drawn() -> None:
    """Queries a (pairs 0, 1) and b (pair 2). Drawn twice a alone: .5 over .2, so 1. Drawn b alone: no positive."""
    is_positive, scores, query = np.array([True, False, False]), np.array([0.5, 0.2, 0.9]), np.array([0, 0, 1])
    found = auc_over_draws(is_positive, scores, query, np.array([[2.0, 0], [0, 2], [1, 1]]))
    assert found[[0, 2]] == pytest.approx([1, 1 / 2])
    assert np.isnan(found[1])
