import pytest
import torch

from trainers.objectives.sampling import coefficient_of_variation, expert_places, in_accuracy_window, refill


def right(*counts: int, of: int = 8) -> torch.Tensor:
    return torch.tensor([[at < count for at in range(of)] for count in counts])


def test_the_window_leaves_out_hopeless_mastered_and_unanimous_groups() -> None:
    assert in_accuracy_window(right(0, 1, 4, 7, 8)).tolist() == [False, True, True, True, False]
    assert in_accuracy_window(right(1, 4, 7), low=0.2, high=0.5).tolist() == [False, True, False]
    assert in_accuracy_window(right(0, 8), low=0.0, high=1.0).tolist() == [False, False]


def test_the_window_s_bounds_are_inclusive() -> None:
    assert in_accuracy_window(right(2, 4), low=0.25, high=0.5).tolist() == [True, True]


def test_a_group_that_is_seldom_right_gives_the_place_of_its_last_wrong_answer_to_the_expert() -> None:
    """Four each, right: none; the last alone; the first three; all. Under 1/2: the first two groups."""
    is_right = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    assert expert_places(is_right, below=0.5).tolist() == [3, 6]
    assert expert_places(is_right, below=0.01).tolist() == [3]
    assert expert_places(is_right, below=1.0).tolist() == [3, 6, 11]
    assert expert_places(is_right, below=0.0).tolist() == []


def test_groups_are_refilled_until_there_are_enough() -> None:
    """Rounds of 3 numbers, even ones kept: 0, 2, 4 are the first three of 0..4; 5 is not looked at."""
    filled = refill(lambda turn: range(3 * turn, 3 * turn + 3), lambda n: n % 2 == 0, n_wanted=3, max_rounds=9)
    assert filled.groups == [0, 2, 4] and filled.n_drawn == 5
    assert filled.silent_rate == pytest.approx(2 / 5)


def test_refilling_ends_when_nothing_has_a_signal() -> None:
    filled = refill(lambda turn: [turn, turn], lambda _: False, n_wanted=3, max_rounds=4)
    assert filled.groups == [] and filled.n_drawn == 8 and filled.silent_rate == 1.0
    assert refill(lambda _: [], lambda _: True, n_wanted=1, max_rounds=2).silent_rate is None


def test_the_coefficient_of_variation() -> None:
    """Of 1 and 3: deviation 1 over mean 2."""
    assert coefficient_of_variation([1, 3]) == pytest.approx(1 / 2)
    assert coefficient_of_variation([5, 5, 5]) == 0
    assert coefficient_of_variation([]) is None and coefficient_of_variation([0, 0]) is None
