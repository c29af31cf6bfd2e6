from __future__ import annotations

import polars as pl
import pytest

from curation.agreement import (
    Metric,
    Weights,
    alpha_of_patterns,
    krippendorff_alpha,
    reviewer_agreement,
    rule_agreement,
    weighted_kappa,
)
from storage.grades import parse_scale

SCALE = parse_scale("0-2")
# Counts: (0,0) 2, (0,1) 1, (1,1) 2, (2,2) 2, (2,1) 1; first says 3, 2, 3 of each grade, second 2, 4, 2.
FIRST = [0, 0, 0, 1, 1, 2, 2, 2]
SECOND = [0, 0, 1, 1, 1, 2, 2, 1]

# The worked example of Krippendorff 2011: four observers, twelve units, values 1 to 5, dots are missing.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
UNITS = [[int(v) for v in unit if v != "."] for unit in zip(*(observer.split() for observer in OBSERVERS), strict=True)]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (Weights.UNWEIGHTED, 1 - 2 / (44 / 8)),  # two differ; chance lets 8 - (3·2 + 2·4 + 3·2)/8 = 44/8 differ
        (Weights.LINEAR, 1 - 2 / 7),  # chance costs (12 + 2·6 + 4 + 4 + 2·6 + 12)/8 = 7
        (Weights.QUADRATIC, 1 - 2 / 10),  # chance costs (12 + 4·6 + 4 + 4 + 4·6 + 12)/8 = 10
    ],
)
def test_kappa_is_one_less_cost_over_chance_cost(weights: Weights, expected: float) -> None:
    found = weighted_kappa(FIRST, SECOND, scale=SCALE, weights=weights)
    assert found.coefficient == pytest.approx(expected)
    assert found.n == 8
    assert found.interval is not None
    assert found.interval.low <= expected <= found.interval.high


def test_chance_agreement_is_zero_and_full_agreement_one() -> None:
    assert weighted_kappa([0, 0, 1, 1], [0, 1, 0, 1], scale=SCALE).coefficient == pytest.approx(0.0)
    assert weighted_kappa([0, 1, 2], [0, 1, 2], scale=SCALE).coefficient == pytest.approx(1.0)


@pytest.mark.parametrize("grades", [[], [1, 1, 1]])
def test_kappa_is_absent_where_chance_alone_could_not_disagree(grades: list[int]) -> None:
    found = weighted_kappa(grades, grades, scale=SCALE)
    assert (found.coefficient, found.interval, found.n) == (None, None, len(grades))


@pytest.mark.parametrize(
    ("metric", "expected"), [(Metric.NOMINAL, 0.743), (Metric.ORDINAL, 0.815), (Metric.INTERVAL, 0.849)]
)
def test_alpha_of_the_published_example(metric: Metric, expected: float) -> None:
    found = krippendorff_alpha(UNITS, scale=parse_scale("1-5"), metric=metric)
    assert found.coefficient == pytest.approx(expected, abs=0.0005)
    assert found.n == 11  # the last unit has one observer
    assert found.interval is not None and found.interval.low < expected < found.interval.high


def test_a_grade_nobody_gave_changes_nothing() -> None:
    one, other = (krippendorff_alpha(UNITS, scale=parse_scale(text)).coefficient for text in ("1-5", "0-5"))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("units", [[], [[1], [2]], [[1, 1], [1, 1]]])
def test_alpha_is_absent_where_nothing_pairs_or_varies(units: list[list[int]]) -> None:
    found = krippendorff_alpha(units, scale=SCALE)
    assert (found.coefficient, found.interval) == (None, None)


def test_the_same_seed_gives_the_same_interval() -> None:
    one, other = (krippendorff_alpha(UNITS, scale=parse_scale("1-5"), seed=3) for _ in range(2))
    assert one == other


def test_a_reviewer_is_not_held_against_what_only_they_said() -> None:
    responses = pl.DataFrame(
        {
            "account": ["ben", "ann", "ann", "ann", "ann", "ann"],
            "grade": [2, 0, 1, 2, 2, 1],
            "settled_grade": [2, 0, 1, 2, 1, 1],
            "is_alone": [True, False, False, False, False, True],
        }
    )
    ann, ben = reviewer_agreement(responses, scale=SCALE)
    assert (ann.account, ann.n_alone, ann.kappa.n, ann.exact_rate) == ("ann", 1, 4, 3 / 4)
    # 0-0, 1-1, 2-2, 2-1: cost 1; chance costs (1·2·1 + 1·1·4 + 1·1·1 + 1·1·1 + 2·1·4 + 2·2·1)/4 = 20/4
    assert ann.kappa.coefficient == pytest.approx(1 - 1 / 5)
    assert (ben.n_alone, ben.kappa.n, ben.kappa.coefficient, ben.exact_rate) == (1, 0, None, None)


def test_a_rule_shows_how_far_people_agree_where_it_votes() -> None:
    responses = pl.DataFrame({"pair_id": ["p1", "p1", "p2", "p2", "p3"], "grade": [0, 0, 1, 2, 2]})
    votes = pl.DataFrame({"rule_id": ["r_b", "r_a", "r_a", "r_a"], "pair_id": ["p3", "p1", "p2", "p9"]})
    a, b = rule_agreement(responses, votes, scale=SCALE)
    assert (a.rule_id, a.alpha.n, a.exact_rate) == ("r_a", 2, 1 / 2)
    assert (b.rule_id, b.alpha.n, b.alpha.coefficient, b.exact_rate, b.exact_interval) == ("r_b", 0, None, None, None)


def test_units_told_as_patterns_agree_as_they_do_one_by_one() -> None:
    units = [[0, 1], [1, 0], [2, 2], [2, 2], [0, 1, 1], [2]]
    patterns = {(0, 1): 1, (1, 0): 1, (2, 2): 2, (0, 1, 1): 1, (2,): 1}
    assert alpha_of_patterns(patterns, scale=SCALE) == krippendorff_alpha(units, scale=SCALE)
    assert alpha_of_patterns(patterns, scale=SCALE).n == 5
