"""The exact gradient by hand, and against sampling it."""

from math import log, sqrt

import pytest
import torch

from tests.trainers.mutants import assert_notices
from trainers.objectives import grade_gradient as module
from trainers.objectives.grade_gradient import exact_grade_loss, with_rest


def check_gradient(it) -> None:
    """d E[r] / d logit_k = pi_k (r_k - E r). pi = (1/2, 1/4, 1/4), r = (0, 1, 0): E r = 1/4, so
    (1/2 · -1/4, 1/4 · 3/4, 1/4 · -1/4) = (-2, 3, -1) / 16, and the loss has minus that.
    """
    logits = torch.tensor([[log(2), 0.0, 0.0]], requires_grad=True)
    it.exact_grade_loss(logits.log_softmax(dim=1), torch.tensor([[0.0, 1.0, 0.0]])).backward()
    assert torch.allclose(logits.grad, torch.tensor([[2.0, -3.0, 1.0]]) / 16)
    logits.grad = None
    it.exact_grade_loss(logits.log_softmax(dim=1), torch.tensor([[0.0, 1.0, 0.0]]), n_accumulated=4).backward()
    assert torch.allclose(logits.grad, torch.tensor([[2.0, -3.0, 1.0]]) / 64)


def check_normalised(it) -> None:
    """pi = (1/2, 1/2), r = (1, 0): the deviation is 1/2, so the gradient 1/2 · 1/2 becomes 1/2."""
    logits = torch.zeros(1, 2, requires_grad=True)
    it.exact_grade_loss(logits.log_softmax(dim=1), torch.tensor([[1.0, 0.0]]), is_normalised=True).backward()
    assert torch.allclose(logits.grad, torch.tensor([[-0.5, 0.5]]), atol=1e-4)


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (check_gradient, "return -(probabilities", "return (probabilities"),  # sign
        (check_gradient, "fixed = probabilities.detach()", "fixed = probabilities"),  # identically zero
        (check_gradient, ".mean() / n_accumulated", ".mean()"),
        (check_gradient, "(probabilities * centred)", "(probabilities * centred.roll(1, dims=1))"),  # off by one
        (check_normalised, "centred = centred / (deviation + EPSILON)", "centred = centred * (deviation + EPSILON)"),
    ],
)
def test_the_exact_gradient_is_that_worked_by_hand_and_a_mistake_would_show(check, old, new) -> None:
    assert_notices(check, module, old, new)


def sampled_gradients(pi: torch.Tensor, rewards: torch.Tensor, n: int, group_size: int, seed: int) -> torch.Tensor:
    """n group estimates (n, K) of d E[r] / d logits: mean over the group of (r - group mean) · (onehot - pi).

    The baseline holds the sample itself, which shrinks the expectation by (G - 1) / G; that is undone.
    """
    arms = torch.multinomial(pi, n * group_size, replacement=True, generator=torch.Generator().manual_seed(seed))
    onehot = torch.nn.functional.one_hot(arms, len(pi)).double().reshape(n, group_size, -1)
    earned = rewards[arms].reshape(n, group_size, 1)
    score = (earned - earned.mean(dim=1, keepdim=True)) * (onehot - pi)
    return score.mean(dim=1) * group_size / (group_size - 1)


def test_it_is_the_mean_of_100_000_sampled_gradients_within_their_error(record_property) -> None:
    """Unbiased: within 4 standard errors in each coordinate. Exact has no variance; the sampled one's is told."""
    logits = torch.tensor([[0.3, -0.7, 1.1, 0.0]], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    exact_grade_loss(logits.log_softmax(dim=1), rewards.unsqueeze(0)).backward()
    pi = logits.detach().softmax(dim=1)[0]
    drawn = sampled_gradients(pi, rewards, 100_000, 8, seed=1)
    error = drawn.std(dim=0) / sqrt(len(drawn))
    distance = (drawn.mean(dim=0) + logits.grad[0]) / error
    record_property("standard_errors", [round(value, 2) for value in distance.tolist()])
    assert distance.abs().max() < 4
    assert error.max() < 2e-3  # else the bound above would hold for anything


def test_the_sampled_gradient_s_variance_falls_towards_the_exact_one_s_as_groups_grow(record_property) -> None:
    """Over prompts of unlike confidence, the total variance of one prompt's estimate over that of the exact gradient,
    which varies between prompts only. It is above 1 and 1 + a/(G - 1) up to terms of that order: it falls with G.
    """
    prompts = torch.randn(60, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2
    rewards = torch.zeros(4, dtype=torch.float64)
    rewards[0] = 1.0
    pi = prompts.softmax(dim=1)
    exact = pi * (rewards - (pi * rewards).sum(dim=1, keepdim=True))
    between = exact.var(dim=0).sum()
    ratios = []
    for group_size in (4, 8, 16, 32):
        within = torch.stack(
            [sampled_gradients(row, rewards, 200, group_size, seed=at).var(dim=0).sum() for at, row in enumerate(pi)]
        ).mean()
        ratios.append(float((between + within) / between))
    record_property("variance_ratios", [round(ratio, 2) for ratio in ratios])
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] > 1
    assert ratios[0] > 1.3


def test_mass_on_tokens_that_are_no_grade_is_an_arm_of_its_own() -> None:
    """Grades hold 1/2 and 1/4 of the vocabulary's mass, so the rest holds 1/4; a rest of 0 stays finite."""
    whole = with_rest(torch.tensor([[0.5, 0.25]]).log())
    assert torch.allclose(whole.exp(), torch.tensor([[0.5, 0.25, 0.25]]))
    assert with_rest(torch.tensor([[0.75, 0.25]]).log()).isfinite().all()
