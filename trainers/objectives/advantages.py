"""How much each token of a rollout is to be reinforced: one interface for outcome, step-wise and masked advantages.

- `outcome`: every token of a rollout carries the rollout's advantage (GRPO, arXiv 2402.03300).
- `step`: the tokens of a part carry that part's own advantage, normalised over the group part by part; a part without a
  verdict carries nothing. Formula after a secondary summary of CORE and arXiv 2602.10006; the parts are `segments`.
- `sam`: the outcome advantage, kept on right parts of good rollouts and on wrong parts of bad ones (arXiv 2512.00968;
  no public text holds the rule, this is our reconstruction).

Every reward and every part is normalised for itself before anything is added up: a sum normalised as one lets the
reward with the widest spread drown the others (TRL issue 4841). Normalised as in TRL 1.16: `(r - mean) / (std + 1e-4)`
with the sample's standard deviation. NaN stands for what was not or could not be judged, and is never a zero reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

from trainers.objectives.segments import NOWHERE

EPSILON = 1e-4  # TRL's


class AdvantageMethod(StrEnum):
    OUTCOME = "outcome"
    STEP = "step"
    SAM = "sam"


@dataclass(frozen=True, slots=True)
class Rollouts:
    """B rollouts, `group_size` of each prompt in a row.

    rewards (B, R): one column a reward, NaN where it could not be computed. segments (B, T): the part each token
    belongs to, `NOWHERE` for padding and for tokens trained by another loss.
    """

    rewards: torch.Tensor
    segments: torch.Tensor
    group_size: int


def advantages(
    rollouts: Rollouts,
    verdicts: torch.Tensor,
    method: AdvantageMethod,
    *,
    reward_weights: Sequence[float] | None = None,
    clamp: float | None = None,
) -> torch.Tensor:
    """Return per-token advantages (B, T), zero where a token has no part.

    verdicts (B, parts): +1 where a part was found right, -1 where wrong, NaN where it was skipped; `outcome` does not
    look at them. `reward_weights` (R,) weigh the normalised rewards, default 1 each. `clamp` bounds the result to ±it
    (arXiv 2510.11122: 2).
    """
    segments = rollouts.segments
    has_part = segments != NOWHERE  # (B, T)
    part = segments.clamp(min=0)
    if method is AdvantageMethod.STEP:
        of_parts = normalise(verdicts, rollouts.group_size)  # (B, parts)
        per_token = of_parts.gather(1, part)
    else:
        of_rollouts = outcome_advantages(rollouts.rewards, rollouts.group_size, reward_weights)  # (B,)
        per_token = of_rollouts.unsqueeze(1).expand(segments.shape)
        if method is AdvantageMethod.SAM:
            verdict = verdicts.gather(1, part)  # (B, T); a comparison with NaN is false, so a skipped part is masked
            is_kept = ((per_token > 0) & (verdict > 0)) | ((per_token < 0) & (verdict < 0))
            per_token = per_token * is_kept
    if clamp is not None:
        per_token = per_token.clamp(-clamp, clamp)
    return per_token * has_part


def outcome_advantages(
    rewards: torch.Tensor, group_size: int, reward_weights: Sequence[float] | None = None
) -> torch.Tensor:
    """Return one advantage a rollout (B,): the weighted sum of its rewards (B, R), each normalised for itself."""
    weights = rewards.new_ones(rewards.shape[1]) if reward_weights is None else rewards.new_tensor(list(reward_weights))
    return normalise(rewards, group_size) @ weights


def normalise(values: torch.Tensor, group_size: int) -> torch.Tensor:
    """Return (B, C) values less their group's mean over their group's standard deviation, column by column.

    NaN becomes 0: what was not judged moves nothing, nor does it count in mean and deviation. So does a column of a
    group with fewer than two values or with equal ones: it cannot tell rollouts apart.
    """
    grouped = values.reshape(-1, group_size, values.shape[1])  # (P, G, C)
    is_known = ~grouped.isnan()
    n_known = is_known.sum(dim=1, keepdim=True)
    known = grouped.nan_to_num(0.0)
    mean = known.sum(dim=1, keepdim=True) / n_known.clamp(min=1)
    off = (known - mean) * is_known
    deviation = (off.square().sum(dim=1, keepdim=True) / (n_known - 1).clamp(min=1)).sqrt()
    least = grouped.nan_to_num(float("inf")).amin(dim=1, keepdim=True)
    most = grouped.nan_to_num(float("-inf")).amax(dim=1, keepdim=True)
    tells_apart = most > least  # exact, where a deviation of equal floats may not be 0
    return (off / (deviation + EPSILON) * tells_apart).reshape(values.shape)


def carries_signal(per_token: torch.Tensor, group_size: int) -> torch.Tensor:
    """Return which groups have a token that would be moved: (P,) booleans from advantages (B, T)."""
    return per_token.ne(0).reshape(-1, group_size * per_token.shape[1]).any(dim=1)
