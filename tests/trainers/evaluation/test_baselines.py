import pytest

from trainers.evaluation.baselines import majority_grade, proposed_grades


def test_the_majority_of_equals_is_the_lowest() -> None:
    assert majority_grade([2, 1, 1]) == 1
    assert majority_grade([2, 2, 1, 1]) == 1
    with pytest.raises(ValueError, match="no majority"):
        majority_grade([])


def test_pairs_without_a_proposal_are_left_out() -> None:
    assert proposed_grades(["p_a", "p_b", "p_c"], {"p_c": 0, "p_a": 2}) == ([0, 2], [2, 0])
