"""Encoded rows of unequal length as one batch. Here and not in a trainer, for every method and every trial needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainers.objectives.losses import IGNORED

FILLER = -1  # the `row` of what fills up a batch that processes share: it counts for nothing


class RightPadding:
    """Collates encoded rows (input_ids, labels, row). Padding stands on the right, so a causal model needs no mask."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        input_ids = torch.full((len(rows), length), self._pad_token_id)
        labels = torch.full((len(rows), length), IGNORED)
        for at, row in enumerate(rows):
            input_ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            labels[at, : len(row["labels"])] = torch.tensor(row["labels"])
        return {"input_ids": input_ids, "labels": labels, "row": torch.tensor([row["row"] for row in rows])}
