"""What counts as forgotten: tails and levels by hand, and mistakes of sign and count that a check must notice."""

import math
from types import ModuleType

import numpy as np
import pytest

from tests.trainers.mutants import assert_notices
from trainers.forgetting import alarms
from trainers.forgetting.alarms import AlarmBounds, Answers, Slice, SliceKind

BOUNDS = AlarmBounds(level=0.05, least_fall=0.05, least_rise=0.1)


def answers(right: str, nll: float | list[float] = 1.0) -> Answers:
    """Return answers from a text of 0 and 1, with expert traces that all cost the same unless a list says otherwise."""
    costs = nll if isinstance(nll, list) else [nll] * len(right)
    return Answers(np.array([one == "1" for one in right]), np.array(costs, dtype=np.float64))


def rule(name: str, *rows: int) -> Slice:
    return Slice(SliceKind.RULE, name, rows)


def check_tails(module: ModuleType) -> None:
    """Of 5 coins all lose in 1 of 32; of 6 five or more in (6 + 1) of 64; nothing lost is no loss at all."""
    assert module.lost_by_chance(5, 0) == pytest.approx(1 / 32)
    assert module.lost_by_chance(5, 1) == pytest.approx(7 / 64)
    assert module.lost_by_chance(1, 0) == pytest.approx(1 / 2)
    assert module.lost_by_chance(0, 7) == 1.0
    assert module.lost_by_chance(0, 0) == 1.0


def test_the_chance_of_a_loss_is_the_binomial_tail_with_its_own_count() -> None:
    assert_notices(check_tails, alarms, "bdtrc(n_lost - 1, ", "bdtrc(n_lost, ")
    assert_notices(check_tails, alarms, "n_lost + n_won, 0.5)", "n_lost, 0.5)")


def check_rise(module: ModuleType) -> None:
    """Rises 0, 1, 2: mean 1, deviation 1, t = √3; with 2 degrees of freedom p = 1/2 − t / (2 √(2 + t²))."""
    expected = 0.5 - math.sqrt(3) / (2 * math.sqrt(5))
    assert module.risen_by_chance(np.array([0.0, 1.0, 2.0])) == pytest.approx(expected)
    assert module.risen_by_chance(np.array([0.0, -1.0, -2.0])) == pytest.approx(1 - expected)
    assert module.risen_by_chance(np.array([0.2, 0.2])) == 0.0
    assert module.risen_by_chance(np.array([0.0, 0.0])) == 1.0
    assert module.risen_by_chance(np.array([9.0])) == 1.0


def test_the_chance_of_a_rise_is_student_s_upper_tail() -> None:
    assert_notices(check_rise, alarms, "-mean / (deviation", "mean / (deviation")
    assert_notices(check_rise, alarms, "len(rises) - 1, -mean", "len(rises), -mean")


def check_levels(module: ModuleType) -> None:
    """Two tests that could reach .025 share .05 in halves; three that could not reach it (1/4, 1/2, 1/2) cost nothing.

    1/32 could reach .05 but not .025, so of three such tests none can ring: k = 2.
    """
    assert module.shared_level([1 / 32], 0.05) == 0.05
    assert module.shared_level([1 / 32] * 3, 0.05) == 0.025
    assert module.shared_level([0.0, 1 / 64, 1 / 4, 1 / 2, 1 / 2], 0.05) == 0.025
    assert module.shared_level([0.0] * 5, 0.05) == pytest.approx(0.01)
    assert module.shared_level([], 0.05) == 0.05


def test_only_tests_that_could_ring_share_the_level() -> None:
    assert_notices(check_levels, alarms, "for p in least) <= k:", "for p in least) < k:")
    assert_notices(check_levels, alarms, "sum(p <= level / k for", "sum(p <= level for")


def check_changes(module: ModuleType) -> None:
    """Twelve pairs: `lost` had 7 of 8 and has 0 (p = 1/128), `won` the other 4 and gains two; traces stay.

    Three tests: the traces' and that of `lost` could reach .025, that of `won` (two changed: 1/4) could not.
    """
    before, after = answers("111111100011"), answers("000000001111")
    slices = [rule("lost", *range(8)), rule("won", 8, 9, 10, 11)]
    lost, won, traces = module.changes(slices, before, after, BOUNDS)
    assert (lost.n, lost.before, lost.after, lost.is_alarm) == (8, 7 / 8, 0.0, True)
    assert lost.p == pytest.approx(1 / 128)
    assert (won.n, won.before, won.after, won.p, won.is_alarm) == (4, 1 / 2, 1.0, 1.0, False)
    assert (traces.before, traces.after, traces.p, traces.is_alarm) == (1.0, 1.0, 1.0, False)


def test_a_rule_that_is_lost_rings_and_one_that_is_won_does_not() -> None:
    assert_notices(check_changes, alarms, "(was & ~is_now).sum()), int((~was", "(~was & is_now).sum()), int((~was")
    assert_notices(check_changes, alarms, "(n_before - n_lost + n_won) / n", "(n_before + n_lost - n_won) / n")
    assert_notices(check_changes, alarms, "is_alarm = p <= bar and (n_lost", "is_alarm = p > bar and (n_lost")


def test_few_pairs_explain_a_fall_that_many_do_not() -> None:
    """4 of 4 lost has p = 1/16; 5 of 5 has 1/32, which alone beside the traces' test is not under .025; 6 has 1/64."""
    for n, rings in ((4, False), (5, False), (6, True)):
        (one, _) = alarms.changes([rule("a", *range(n))], answers("1" * n), answers("0" * n), BOUNDS)
        assert one.is_alarm is rings and one.after == 0.0


def test_a_sure_fall_that_is_small_rings_nothing() -> None:
    """Of 400 pairs 8 are lost: p = 1/256, but recall fell by .02. From .05 on it rings."""
    before, after = answers("1" * 400), answers("0" * 8 + "1" * 392)
    (one, _) = alarms.changes([rule("a", *range(400))], before, after, BOUNDS)
    assert one.p == pytest.approx(1 / 256) and not one.is_alarm
    (one, _) = alarms.changes([rule("a", *range(400))], before, after, AlarmBounds(0.05, 0.02, 0.1))
    assert one.is_alarm


def test_traces_ring_when_they_cost_surely_more_and_by_enough() -> None:
    slices = [rule("a", 0, 1, 2)]
    start = answers("111", [1.0, 2.0, 3.0])
    for rises, rings in (([0.2, 0.21, 0.19], True), ([0.02, 0.021, 0.019], False), ([-0.2, -0.2, -0.2], False)):
        costs = [cost + rise for cost, rise in zip([1.0, 2.0, 3.0], rises, strict=True)]
        traces = alarms.changes(slices, start, answers("111", costs), BOUNDS)[-1]
        assert traces.kind is SliceKind.TRACES and traces.is_alarm is rings and traces.n == 3


def test_what_rings_is_told_with_before_after_and_n() -> None:
    lost, traces = alarms.changes([rule("r_1", *range(8))], answers("1" * 8), answers("0" * 8, 1.5), BOUNDS)
    assert lost.told() == "rule r_1: recall 1.00 → 0.00 on 8 held-back pairs (p = 0.0039)"
    assert traces.told() == "expert traces: 1.000 → 1.500 nats a token on 8 held-back pairs (p = 0)"


def test_entropy_is_the_mean_over_pairs_in_nats() -> None:
    """Two equal grades: ln 2; one sure: 0."""
    assert alarms.grade_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(math.log(2) / 2)


def test_a_draw_leaves_a_rare_rule_its_pairs() -> None:
    """Of 100 rows one has the rule `rare`, one none: both are among any three, with one of the 98."""
    keys = [["common"]] * 98 + [["rare"], []]
    for seed in range(5):
        drawn = alarms.draw_evenly(keys, 3, seed=seed)
        assert drawn[1:] == [98, 99] and drawn[0] < 98
    assert alarms.draw_evenly(keys, 50, seed=1) == alarms.draw_evenly(keys, 50, seed=1)
    assert alarms.draw_evenly(keys, 50, seed=1) != alarms.draw_evenly(keys, 50, seed=2)
    assert len(set(alarms.draw_evenly(keys, 50, seed=1))) == 50
    assert alarms.draw_evenly(keys, 100, seed=1) == list(range(100))


def test_a_row_of_two_rules_is_drawn_once() -> None:
    assert alarms.draw_evenly([["a", "b"], ["a", "b"], ["a"]], 2, seed=0) in ([0, 1], [0, 2], [1, 2])
