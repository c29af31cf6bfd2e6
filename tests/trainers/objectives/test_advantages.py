"""Advantages by hand. Two values a, b of a group have mean (a + b) / 2 and sample deviation |a - b| / √2."""

from math import nan, sqrt

import pytest
import torch

from tests.trainers.mutants import assert_notices
from trainers.objectives import advantages as module
from trainers.objectives.advantages import AdvantageMethod, Rollouts, advantages, carries_signal, normalise
from trainers.objectives.segments import FORMAT, GRADE, NOWHERE, step_part

EPSILON = 1e-4
RULES = step_part("rules")
# Two prompts of two rollouts. Tokens: grade, rules, rules, end; the second rollout is one token shorter.
SEGMENTS = torch.tensor([[GRADE, RULES, RULES, FORMAT], [GRADE, RULES, FORMAT, NOWHERE]] * 2)


def verdicts(rows) -> torch.Tensor:
    """(B, 8) with (grade, format, rules) given, all other parts skipped."""
    whole = torch.full((len(rows), 8), nan)
    for at, (grade, form, rules) in enumerate(rows):
        whole[at, GRADE], whole[at, FORMAT], whole[at, RULES] = grade, form, rules
    return whole


def check_outcome(it) -> None:
    """Rewards 1, 0: mean 1/2, deviation 1/√2, so ±(1/2) / (1/√2 + ε). Rewards 1, 1 carry nothing."""
    rollouts = it.Rollouts(torch.tensor([[1.0], [0.0], [1.0], [1.0]]), SEGMENTS, 2)
    got = it.advantages(rollouts, verdicts([(nan, nan, nan)] * 4), it.AdvantageMethod.OUTCOME)
    a = 0.5 / (1 / sqrt(2) + EPSILON)
    assert torch.allclose(got, torch.tensor([[a, a, a, a], [-a, -a, -a, 0], [0.0] * 4, [0.0] * 4]))


def check_step(it) -> None:
    """Prompt 1: grade +1/-1, so ±1 / (√2 + ε); format +1/+1: 0; rules -1/+1: the other way round.

    Prompt 2: grades agree; rules were judged in one rollout only, which compares with nothing: all 0.
    """
    judged = verdicts([(1, 1, -1), (-1, 1, 1), (1, 1, nan), (1, 1, -1)])
    rollouts = it.Rollouts(torch.zeros(4, 1), SEGMENTS, 2)
    got = it.advantages(rollouts, judged, it.AdvantageMethod.STEP)
    a = 1 / (sqrt(2) + EPSILON)
    assert torch.allclose(got, torch.tensor([[a, -a, -a, 0], [-a, a, 0, 0], [0.0] * 4, [0.0] * 4]))


def check_sam(it) -> None:
    """Rewards 1, 0. The good rollout keeps its right grade and loses its wrong rules step; the bad one keeps its wrong
    grade and loses its right step and format. Skipped format of the good one carries nothing.
    """
    judged = verdicts([(1, nan, -1), (-1, 1, 1)])
    rollouts = it.Rollouts(torch.tensor([[1.0], [0.0]]), SEGMENTS[:2], 2)
    got = it.advantages(rollouts, judged, it.AdvantageMethod.SAM)
    a = 0.5 / (1 / sqrt(2) + EPSILON)
    assert torch.allclose(got, torch.tensor([[a, 0, 0, 0], [-a, 0, 0, 0]]))


def check_missing(it) -> None:
    """Of 3, 1 and one that is missing the mean is 2, the deviation √2, as if there were two; the third is not moved."""
    got = it.normalise(torch.tensor([[3.0], [nan], [1.0]]), 3)
    a = 1 / (sqrt(2) + EPSILON)
    assert torch.allclose(got, torch.tensor([[a], [0.0], [-a]]))


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (check_outcome, "off = (known - mean)", "off = (mean - known)"),  # sign
        (check_outcome, "return per_token * has_part", "return per_token * (part != NOWHERE)"),  # padding is trained
        (check_outcome, "(n_known - 1).clamp(min=1)", "n_known.clamp(min=1)"),  # not the sample's deviation
        (check_step, "of_parts.gather(1, part)", "of_parts.gather(1, part.roll(1, dims=1))"),  # off by one token
        (check_missing, "off = (known - mean) * is_known", "off = known - mean"),  # what is missing is a reward of 0
        (check_missing, "/ n_known.clamp(min=1)", "/ group_size"),
        (check_sam, "(per_token > 0) & (verdict > 0)", "(per_token > 0) & (verdict < 0)"),  # sign
        (check_sam, "per_token = per_token * is_kept", "per_token = per_token * ~is_kept"),
    ],
)
def test_advantages_are_those_worked_by_hand_and_a_mistake_would_show(check, old, new) -> None:
    assert_notices(check, module, old, new)


def test_each_reward_is_normalised_for_itself_before_they_are_added() -> None:
    """Rewards (1, 100) and (0, 300) at weights 1 and 1: both normalise to ±1/√2 and cancel; summed first they would be
    101 and 300. At weights 1 and 0 the second reward is gone.
    """
    rollouts = Rollouts(torch.tensor([[1.0, 100.0], [0.0, 300.0]]), torch.tensor([[GRADE], [GRADE]]), 2)
    skipped = verdicts([(nan, nan, nan)] * 2)
    both = advantages(rollouts, skipped, AdvantageMethod.OUTCOME)
    assert torch.allclose(both, torch.zeros(2, 1), atol=2e-4)
    first = advantages(rollouts, skipped, AdvantageMethod.OUTCOME, reward_weights=[1.0, 0.0])
    assert torch.allclose(first, torch.tensor([[1.0], [-1.0]]) / sqrt(2), atol=2e-4)


def test_equal_rewards_carry_exactly_nothing_whatever_the_rounding() -> None:
    """The mean of seven times 0.1 is not 0.1 as a float; the difference over ε would pass for a signal."""
    assert normalise(torch.full((7, 1), 0.1), 7).eq(0).all()


def test_the_clamp_bounds_both_ends() -> None:
    """One right of sixteen: its advantage is (15/16) / (1/4 + ε), 3.75 unbounded."""
    rewards = torch.zeros(16, 1)
    rewards[0] = 1.0
    rollouts = Rollouts(rewards, torch.zeros(16, 1, dtype=torch.long), 16)
    skipped = torch.full((16, 8), nan)
    free = advantages(rollouts, skipped, AdvantageMethod.OUTCOME)
    assert free[0, 0].item() == pytest.approx(15 / 16 / (1 / 4 + EPSILON))
    bound = advantages(rollouts, skipped, AdvantageMethod.OUTCOME, clamp=2.0)
    assert bound[0, 0] == 2.0 and torch.equal(bound[1:], free[1:])
    assert (
        advantages(Rollouts(1 - rewards, rollouts.segments, 16), skipped, AdvantageMethod.OUTCOME, clamp=2.0)[0] == -2
    )


def test_a_group_has_a_signal_when_any_of_its_tokens_moves() -> None:
    per_token = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, -1.0]])
    assert carries_signal(per_token, 2).tolist() == [False, True]
