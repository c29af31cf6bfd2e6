"""The clipped loss by hand, and against TRL's own."""

from math import exp, log

import pytest
import torch

from tests.trainers.mutants import assert_notices
from trainers.objectives import policy_loss as module


def check_loss(it) -> None:
    """Row 1, ratios 2 and 1/2 at advantage 1: min(2, 1.2) = 1.2 and min(1/2, 0.8) = 1/2, mean 0.85.

    Row 2, ratio 2 at advantage -1: min(-2, -1.2) = -2; its second token is padding. -(0.85 - 2) / 2 = 0.575.
    """
    log_probs = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    old = torch.tensor([[-log(2), log(2)], [-log(2), -5.0]])
    advantages = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    is_counted = torch.tensor([[True, True], [True, False]])
    loss = it.policy_loss(log_probs, advantages, is_counted, old_log_probs=old, clip=0.2)
    assert loss.item() == pytest.approx(0.575)
    halved = it.policy_loss(log_probs, advantages, is_counted, old_log_probs=old, clip=0.2, n_accumulated=2)
    assert halved.item() == pytest.approx(0.2875)


def check_gradient(it) -> None:
    """On policy the ratio is 1, and the gradient of -A ρ by the log-probability is -A over tokens and rows."""
    log_probs = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    advantages = torch.tensor([[1.0, -2.0], [3.0, 9.0]])
    it.policy_loss(log_probs, advantages, torch.tensor([[True, True], [True, False]])).backward()
    assert torch.allclose(log_probs.grad, torch.tensor([[-1 / 4, 2 / 4], [-3 / 2, 0.0]]))


def check_kl(it) -> None:
    """Reference ln 2 above: e^{ln 2} - ln 2 - 1 = 1 - ln 2; ln 2 below: 1/2 + ln 2 - 1 = ln 2 - 1/2. Mean 1/4."""
    loss = it.kl_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[log(2), -log(2)]]), torch.ones(1, 2))
    assert loss.item() == pytest.approx(1 / 4)
    alone = it.kl_loss(torch.zeros(1, 2), torch.tensor([[1.0, 7.0]]), torch.tensor([[1, 0]]), n_accumulated=4)
    assert alone.item() == pytest.approx((exp(1) - 2) / 4)


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (check_loss, "per_token = -torch.minimum", "per_token = torch.minimum"),  # sign
        (check_loss, "-torch.minimum(", "-torch.maximum("),  # the bound on the wrong side
        (
            check_loss,
            "return row_mean(per_token, is_counted) / n_accumulated",
            "return row_mean(per_token, is_counted)",
        ),
        (check_loss, "counted = is_counted.to", "counted = is_counted.roll(1, dims=1).to"),  # off by one
        (check_gradient, "(log_probs - old).exp()", "(old - log_probs).exp()"),  # sign
        (check_gradient, "old = log_probs.detach()", "old = log_probs"),  # no gradient at all
        (check_kl, "difference = reference - log_probs", "difference = log_probs - reference"),
        (check_kl, "- difference - 1, is_counted) / n_accumulated", "- difference - 1, is_counted)"),
    ],
)
def test_losses_are_those_worked_by_hand_and_a_mistake_would_show(check, old, new) -> None:
    assert_notices(check, module, old, new)
