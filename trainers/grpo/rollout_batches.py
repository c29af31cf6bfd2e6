"""Batches of rollouts as TRL passes them on, and how fresh groups take the places of silent ones.

A batch maps names to tensors whose first axis is the rollout, groups in a row. Prompts are padded on the left,
completions on the right; two batches of unlike width are brought to the wider one's.
"""

from __future__ import annotations

from typing import Any

import torch

LEFT = ("prompt_ids", "prompt_mask")
TOKENS = ("prompt_ids", "completion_ids")
COUNT = "num_items_in_batch"  # a sum over the batch, not a row each


def replace_groups(
    batch: dict[str, Any], fresh: dict[str, Any], group_size: int, *, pad_token_id: int
) -> dict[str, Any]:
    """Return the batch with its silent groups replaced by fresh ones that have a signal, as far as these go.

    `is_kept` (B,) says of either batch which rollouts' groups have one. Both have the same names.
    """
    slots = _groups(~batch["is_kept"], group_size)
    sources = _groups(fresh["is_kept"], group_size)
    n = min(len(slots), len(sources))
    if n == 0:
        return batch
    into, out_of = _rows(slots[:n], group_size), _rows(sources[:n], group_size)
    merged: dict[str, Any] = {}
    for name, held in batch.items():
        if name == COUNT:
            continue
        ours, theirs = _same_width(held, fresh[name], name, pad_token_id)
        merged[name] = ours.clone()
        merged[name][into] = theirs[out_of]
    if COUNT in batch:
        merged[COUNT] = merged["completion_mask"].sum()
    return merged


def _groups(is_meant: torch.Tensor, group_size: int) -> torch.Tensor:
    return is_meant.reshape(-1, group_size)[:, 0].nonzero().squeeze(1)


def _rows(groups: torch.Tensor, group_size: int) -> torch.Tensor:
    return (groups.unsqueeze(1) * group_size + torch.arange(group_size, device=groups.device)).flatten()


def _same_width(
    ours: torch.Tensor, theirs: torch.Tensor, name: str, pad_token_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both padded to the wider one's width: prompts on the left, ids with the pad token, the rest with 0."""
    if ours.dim() == 1:
        return ours, theirs
    width = max(ours.shape[1], theirs.shape[1])
    filling = pad_token_id if name in TOKENS else 0

    def widen(tensor: torch.Tensor) -> torch.Tensor:
        missing = width - tensor.shape[1]
        sides = (missing, 0) if name in LEFT else (0, missing)
        return torch.nn.functional.pad(tensor, sides, value=filling)

    return widen(ours), widen(theirs)
