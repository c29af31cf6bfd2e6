"""Votes and evidence become a grade: approved rules count even unseen, confidence is a probability, nothing peeks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evolution.labelling.grading import fit_grader
from tests.evolution.rules.test_mining import SCALE, frame

NO_VOTES = np.zeros((0, 0), bool)


def test_without_judgments_the_grade_follows_the_overlap() -> None:
    features = frame([{"term_overlap": x, "gram_overlap": x} for x in (0.0, 0.5, 1.0)])
    grader = fit_grader(frame([]), [], NO_VOTES, [], queries=[], scale=SCALE)
    proposals = grader.propose(features, np.zeros((3, 0), bool))
    assert [proposal.grade for proposal in proposals] == [0, 1, 2]
    assert all(1 / 3 < proposal.confidence < 1 for proposal in proposals)


def test_an_approved_rule_counts_before_any_judgment_was_seen_under_it() -> None:
    """The belief of 4 cases, 3 right: its log odds over an even prior are log(0.75 / (1/3)) = 0.81."""
    grader = fit_grader(frame([]), [], np.zeros((0, 1), bool), [0], queries=[], scale=SCALE)
    assert grader.meanings[0].tolist() == pytest.approx([0.8109, -0.9808, -0.9808], abs=1e-4)
    features = frame([{"term_overlap": 0.5, "gram_overlap": 0.5}])
    silent, voting = (grader.distributions(features, np.array([[vote]])) for vote in (False, True))
    assert voting[0, 0] > silent[0, 0]


def test_a_rule_means_what_was_judged_under_it() -> None:
    """It votes 0 on 20 pairs judged 2; 20 others are 0 and 20 are 1, so the prior is even.

    With the belief of 4 cases (3 of grade 0, half a case for each other): shares 3/24, 0.5/24, 20.5/24, each over 1/3.
    """
    features = frame([{"term_overlap": 0.5}] * 60)
    votes = np.array([[True]] * 20 + [[False]] * 40)
    grades = [2] * 20 + [0] * 20 + [1] * 20
    grader = fit_grader(features, grades, votes, [0], queries=["q"] * 60, scale=SCALE)
    assert grader.meanings[0].tolist() == pytest.approx([-0.9808, -2.7726, 0.9410], abs=1e-4)


def judged(n: int = 120) -> tuple[pl.DataFrame, list[int], list[str]]:
    rows = [{"term_overlap": (i % 3) / 2, "gram_overlap": (i % 3) / 2} for i in range(n)]
    return frame(rows), [i % 3 for i in range(n)], [f"q{i // 4}" for i in range(n)]


def test_evidence_is_learnt_from_judgments_of_other_queries() -> None:
    features, grades, queries = judged()
    grader = fit_grader(features, grades, np.zeros((len(grades), 0), bool), [], queries=queries, scale=SCALE)
    proposals = grader.propose(features, np.zeros((len(grades), 0), bool))
    assert [proposal.grade for proposal in proposals] == grades


def test_a_judged_pair_is_told_without_its_own_judgment() -> None:
    """One query judged against all others: out of fold, its own grades are not what it is given."""
    features, grades, queries = judged()
    grades[:4] = [2 - grade for grade in grades[:4]]
    grader = fit_grader(features, grades, np.zeros((len(grades), 0), bool), [], queries=queries, scale=SCALE)
    told = [proposal.grade for proposal in grader.propose(features[:4], np.zeros((4, 0), bool))]
    assert told == [0, 1, 2, 0]


def test_distributions_sum_to_one_and_leave_every_grade_a_little() -> None:
    features, grades, queries = judged()
    votes = np.ones((len(grades), 1), bool)
    told = fit_grader(features, grades, votes, [1], queries=queries, scale=SCALE).distributions(features, votes)
    assert np.allclose(told.sum(axis=1), 1.0)
    assert told.min() > 0.0
