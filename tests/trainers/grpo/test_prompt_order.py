"""Prompts of a step: a part evenly over rules, the rest by grade."""

from collections import Counter

import pytest

from trainers.grpo.prompt_order import PromptOrder
from trainers.objectives.mode_balance import Draw

# nine rows under a head rule and one under a rare one; every second row has grade 1
GRADES = [row % 2 for row in range(10)]
RULES = [["head"]] * 9 + [["rare"]]


def drawn(by_rule: float, *, draw: Draw = Draw.NATURAL, n_steps: int = 200, n_prompts: int = 8) -> Counter[int]:
    order = PromptOrder(GRADES, RULES, draw=draw, by_rule=by_rule, n_prompts=n_prompts, seed=3)
    return Counter(row for step in range(n_steps) for row in order.at(step))


def test_a_rare_rule_s_share_follows_the_part_that_is_drawn_by_rule() -> None:
    """Of 1600 prompts a tenth are the rare rule's; by rule alone a half; a quarter by rule: 1/8 + 3/4 · 1/10."""
    assert drawn(0.0)[9] == 160
    assert drawn(1.0)[9] == 800
    assert drawn(0.25)[9] == 200 + 120


def test_every_step_has_all_its_prompts_whatever_the_share_rounds_to() -> None:
    for by_rule in (0.0, 0.05, 0.1, 0.5, 0.95, 1.0):
        assert sum(drawn(by_rule, n_steps=5, n_prompts=3).values()) == 15


def test_the_rest_comes_evenly_by_grade_or_as_it_is() -> None:
    by_grade = drawn(0.5, draw=Draw.BALANCED)
    ones = sum(n for row, n in by_grade.items() if GRADES[row])
    assert by_grade[9] == pytest.approx(400 + 400 / 5, abs=30)  # half by rule; of the rest half are 1, of five rows
    assert ones == pytest.approx(400 + 400 + 400 * 4 / 9, abs=40)


def test_the_first_few_prompts_are_drawn_as_the_whole_is() -> None:
    """What takes the place of silent groups is the head of a step's prompts: no part may stand before the other."""
    order = PromptOrder(GRADES, RULES, draw=Draw.NATURAL, by_rule=0.5, n_prompts=8, seed=3)
    firsts = Counter(order.at(step)[0] == 9 for step in range(1000))
    assert firsts[True] == pytest.approx(1000 * (0.5 * 0.5 + 0.5 * 0.1), abs=60)


def test_it_is_a_function_of_seed_and_step() -> None:
    order, again, other = (
        PromptOrder(GRADES, RULES, draw=Draw.BALANCED, by_rule=0.25, n_prompts=8, seed=seed) for seed in (3, 3, 4)
    )
    assert [order.at(step) for step in (7, 2)] == [again.at(step) for step in (7, 2)]
    assert [order.at(step) for step in range(5)] != [other.at(step) for step in range(5)]
