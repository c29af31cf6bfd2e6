"""An effect is a statement that is true or false of two grades."""

from __future__ import annotations

import pytest

from evolution.mutations import Effect, holds, say_effect
from evolution.mutations.effects import fall, has_room, low_bound
from tests.evolution.mutations.shop import FOUR, SCALE


@pytest.mark.parametrize(
    ("effect", "true_of"),
    [
        (Effect.KEEP, {(2, 2)}),
        (Effect.RAISE, {(2, 3)}),
        (Effect.LOWER, {(2, 1)}),
        (Effect.AT_MOST, {(2, 2), (2, 1)}),
        (Effect.AT_LEAST, {(2, 2), (2, 3)}),
    ],
)
def test_of_true_grades_an_effect_is_exact(effect: Effect, true_of: set[tuple[int, int]]) -> None:
    assert {(2, after) for after in (1, 2, 3) if holds(effect, before=2, after=after)} == true_of


def test_a_bound_must_be_met_as_well() -> None:
    assert holds(Effect.LOWER, before=3, after=1, bound=1)
    assert not holds(Effect.LOWER, before=3, after=2, bound=1)
    assert holds(Effect.LOWER, before=2.4, after=1.5, bound=1, margin=0.1, slack=0.5)
    assert not holds(Effect.RAISE, before=1, after=2, bound=3)
    assert [holds(Effect.TO, before=2, after=after, bound=0) for after in (0, 1)] == [True, False]


def test_an_expected_grade_that_did_not_move_by_the_margin_did_not_move() -> None:
    assert not holds(Effect.LOWER, before=2.0, after=1.95, margin=0.1)
    assert holds(Effect.KEEP, before=2.0, after=1.95, margin=0.1)
    assert holds(Effect.AT_MOST, before=2.0, after=2.05, margin=0.1)
    assert not holds(Effect.AT_LEAST, before=2.0, after=1.8, margin=0.1)


def test_nothing_falls_below_the_lowest_grade_or_rises_above_the_highest() -> None:
    assert not has_room(Effect.LOWER, 0, SCALE)
    assert not has_room(Effect.RAISE, 2, SCALE)
    assert has_room(Effect.KEEP, 0, SCALE) and has_room(Effect.AT_MOST, 0, SCALE)
    assert not has_room(Effect.TO, 1, SCALE)


def test_the_low_end_of_a_scale_is_one_grade_of_three_and_two_of_four() -> None:
    assert (low_bound(SCALE), low_bound(FOUR)) == (0, 1)


def test_only_the_highest_grade_falls_for_sure_and_a_grave_fault_takes_down_what_stood_above_its_bound() -> None:
    assert [fall(grade, FOUR) for grade in (3, 2)] == [(Effect.LOWER, None), (Effect.AT_MOST, None)]
    assert [fall(grade, FOUR, bound=1) for grade in (3, 2, 1)] == [
        (Effect.LOWER, 1),
        (Effect.LOWER, 1),
        (Effect.AT_MOST, None),
    ]


def test_effects_are_told_in_words() -> None:
    assert say_effect(Effect.LOWER, 1) == "lower to at most 1"
    assert say_effect(Effect.AT_MOST, None) == "at most"
    assert say_effect(Effect.TO, 2) == "to 2"
