"""Six rows throughout: 0 and 1 of tier 1, 2 to 5 of tier 2, unless said otherwise."""

from collections import Counter

import numpy as np
import pytest

from trainers.order.curriculum import Curriculum, Stage, plan_stages, stage_at, stage_curves, stage_steps

TIERS = [1, 1, 2, 2, 2, 2]


def plan(curriculum: Curriculum, *, tiers=TIERS, epochs=1, keep_rate=0.0, step_size=2, seed=0) -> list[Stage]:
    random = np.random.default_rng(seed)
    return plan_stages(tiers, curriculum, epochs=epochs, keep_rate=keep_rate, step_size=step_size, random=random)


def test_a_mixture_is_one_stage_of_all_rows() -> None:
    (stage,) = plan(Curriculum.MIXTURE, epochs=3)
    assert stage.tier is None and stage.n_kept == 0
    for epoch in range(3):
        assert sorted(stage.rows[6 * epoch : 6 * epoch + 6]) == [0, 1, 2, 3, 4, 5]


def test_a_sequence_ends_a_tier_before_the_next_begins() -> None:
    first, second = plan(Curriculum.SEQUENCE, epochs=2)
    assert (first.tier, second.tier) == (1, 2)
    assert Counter(first.rows) == {0: 2, 1: 2} and Counter(second.rows) == {2: 2, 3: 2, 4: 2, 5: 2}
    assert first.n_kept == second.n_kept == 0


def test_a_part_of_the_tiers_before_is_kept() -> None:
    """A third of the second stage's visits: 4 of its own are two thirds of 6, so 2 are left for rows 0 and 1."""
    first, second = plan(Curriculum.SEQUENCE, keep_rate=1 / 3)
    assert Counter(first.rows) == {0: 1, 1: 1}
    assert second.n_kept == 2 and Counter(second.rows) == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}


def test_what_is_kept_is_drawn_evenly_from_all_tiers_before() -> None:
    """Tiers of 1, 1 and 6 rows at a half: the third stage has 6 own visits and 6 kept ones, 3 to either row before."""
    stages = plan(Curriculum.SEQUENCE, tiers=[1, 2, 3, 3, 3, 3, 3, 3], keep_rate=0.5, step_size=1)
    assert [stage.n_kept for stage in stages] == [0, 1, 6]
    assert Counter(stages[1].rows) == {0: 1, 1: 1}
    assert Counter(stages[2].rows) == {0: 3, 1: 3, **dict.fromkeys(range(2, 8), 1)}


def test_no_step_holds_rows_of_two_stages() -> None:
    """Steps of 4: the first stage's 2 visits are filled up to 4 with rows of its own, the last stage's are not."""
    first, second = plan(Curriculum.SEQUENCE, step_size=4, keep_rate=0.2)
    assert Counter(first.rows) == {0: 2, 1: 2}
    assert second.n_kept == 1 and len(second.rows) == 5
    steps = stage_steps([first, second], 4)
    assert [(one.tier, one.first_step, one.last_step) for one in steps] == [(1, 1, 1), (2, 2, 3)]
    assert [(one.n_visits, one.n_kept) for one in steps] == [(4, 0), (5, 1)]


@pytest.mark.parametrize("keep_rate", [0.0, 0.3])
def test_the_random_control_makes_the_same_visits_in_another_order(keep_rate) -> None:
    settings = {"epochs": 5, "keep_rate": keep_rate, "step_size": 4}
    sequence = [row for stage in plan(Curriculum.SEQUENCE, **settings) for row in stage.rows]
    (control,) = plan(Curriculum.RANDOM, **settings)
    assert control.tier is None and stage_steps([control], 4) == []
    assert Counter(control.rows) == Counter(sequence) and list(control.rows) != sequence
    assert set(control.rows[:12]) & {2, 3, 4, 5}  # of which the sequence's first stage has none


def test_the_order_follows_the_seed() -> None:
    for curriculum in Curriculum:
        assert plan(curriculum, epochs=4, seed=1) == plan(curriculum, epochs=4, seed=1)
        assert plan(curriculum, epochs=4, seed=1) != plan(curriculum, epochs=4, seed=2)


def test_tiers_come_in_the_order_they_are_given_in() -> None:
    assert [stage.tier for stage in plan(Curriculum.SEQUENCE, tiers=[3, 3, 1, 2])] == [3, 1, 2]
    (only,) = plan(Curriculum.SEQUENCE, tiers=[2, 2], keep_rate=0.5)
    assert only.tier == 2 and sorted(only.rows) == [0, 1] and only.n_kept == 0


def test_a_stage_s_curve_is_of_its_own_steps() -> None:
    steps = stage_steps([Stage(1, (0,) * 4), Stage(2, (1,) * 3), Stage(3, (2,))], 2)
    assert [stage_at(steps, step) and stage_at(steps, step).tier for step in range(6)] == [None, 1, 1, 2, 2, 3]
    metrics = [{"step": 1, "grade_loss": 3.0}, {"step": 2, "grade_loss": 2.0}, {"step": 4, "grade_loss": 2.5}]
    curves = stage_curves(steps, metrics)
    assert [(one.grade_loss_first, one.grade_loss_last) for one in curves] == [(3.0, 2.0), (2.5, 2.5), (None, None)]
