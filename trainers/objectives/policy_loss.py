"""The clipped policy-gradient loss over per-token advantages, as TRL 1.16 computes it for `loss_type="grpo"`.

Written apart from TRL so that it can be checked by hand and used where there is no trainer. A test holds that both
give the same loss and gradient.
"""

from __future__ import annotations

import torch


def policy_loss(
    log_probs: torch.Tensor,
    advantages: torch.Tensor,
    is_counted: torch.Tensor,
    *,
    old_log_probs: torch.Tensor | None = None,
    clip: float = 0.2,
    n_accumulated: int = 1,
) -> torch.Tensor:
    """Return `-mean_i mean_t min(ρ A, clip(ρ) A)` over counted tokens, divided by the accumulated micro-batches.

    log_probs, old_log_probs (B, T): of the sampled tokens now and when sampled; without the old ones the policy has not
    moved since, so ρ is 1 with a gradient. advantages (B, T). is_counted (B, T): true on completion tokens; a row
    without any counts as 0 in the mean over rows.
    """
    old = log_probs.detach() if old_log_probs is None else old_log_probs
    ratio = (log_probs - old).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    per_token = -torch.minimum(ratio * advantages, clipped * advantages)
    return row_mean(per_token, is_counted) / n_accumulated


def kl_loss(
    log_probs: torch.Tensor, reference: torch.Tensor, is_counted: torch.Tensor, *, n_accumulated: int = 1
) -> torch.Tensor:
    """Return the mean over rows of the token mean of `exp(d) - d - 1`, d = reference - log_probs, both (B, T).

    An estimate of KL(policy || reference) that is never negative: the third of Schulman's, as in TRL.
    """
    difference = reference - log_probs
    return row_mean(difference.exp() - difference - 1, is_counted) / n_accumulated


def row_mean(per_token: torch.Tensor, is_counted: torch.Tensor) -> torch.Tensor:
    """Return the mean over rows of each row's mean over its counted tokens, from (B, T)."""
    counted = is_counted.to(per_token.dtype)
    return ((per_token * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1.0)).mean()
