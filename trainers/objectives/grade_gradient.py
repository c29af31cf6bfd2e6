"""The policy gradient of the grade token in closed form: K arms, all of them weighed, none sampled.

A grade is a K-armed decision whose reward is known for every arm, so its expected gradient costs no rollout, has no
sampling noise and is not silent where all rollouts agree. Our own analysis (METHODS, arXiv 2602.10006 has none of it).
"""

from __future__ import annotations

import torch

EPSILON = 1e-4  # as in `advantages`


def exact_grade_loss(
    log_probs: torch.Tensor, rewards: torch.Tensor, *, is_normalised: bool = False, n_accumulated: int = 1
) -> torch.Tensor:
    """Return `-mean_i sum_k pi_k (r_k - stopgrad(sum_j pi_j r_j))`, whose gradient is that of `-E[r]`.

    log_probs (B, arms): of every arm, so that each row adds up to 1 (see `with_rest`). rewards (B, arms).
    Without the stop-gradient the sum is 0 for every pi and so is its gradient. `is_normalised` divides by the standard
    deviation of the reward under pi (stop-gradient), as group advantages do by that of the group.
    """
    probabilities = log_probs.exp()
    fixed = probabilities.detach()
    mean = (fixed * rewards).sum(dim=1, keepdim=True)  # (B, 1)
    centred = rewards - mean
    if is_normalised:
        deviation = (fixed * centred.square()).sum(dim=1, keepdim=True).sqrt()
        centred = centred / (deviation + EPSILON)
    return -(probabilities * centred).sum(dim=1).mean() / n_accumulated


def with_rest(log_probs: torch.Tensor) -> torch.Tensor:
    """Return (B, K + 1): the log-probabilities of K grade tokens, and of every other token together.

    So a model that puts mass on tokens that are no grade is drawn away from them, as a sampled one is by the format's
    reward. log_probs (B, K): from a softmax over the whole vocabulary.
    """
    rest = (1 - log_probs.exp().sum(dim=1, keepdim=True)).clamp(min=torch.finfo(log_probs.dtype).tiny)
    return torch.cat([log_probs, rest.log()], dim=1)
