"""Log-probabilities of a batch's target tokens; only positions that predict one are projected on the vocabulary."""

from __future__ import annotations

import torch

from trainers.objectives.losses import IGNORED


def completion_log_probs(
    model: torch.nn.Module, input_ids: torch.Tensor, labels: torch.Tensor, *, position_ids: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of targets and which of them count, both (B, columns).

    input_ids, labels (B, T): labels are `IGNORED` where nothing is learnt. Columns are those positions before which any
    row has a target; padding stands on the right, so a causal model needs no mask. position_ids (B, T): of packed rows,
    in which they begin anew with each text.
    """
    is_counted = labels[:, 1:] != IGNORED  # (B, T - 1): the position before a token predicts it
    columns = is_counted.any(dim=0).nonzero().squeeze(1)
    placed = {} if position_ids is None else {"position_ids": position_ids}
    logits = model(input_ids=input_ids, logits_to_keep=columns, use_cache=False, **placed).logits.float()
    is_counted = is_counted[:, columns]
    targets = labels[:, 1:][:, columns].masked_fill(~is_counted, 0)
    return logits.log_softmax(dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1), is_counted
