"""Several rows of a batch behind one another, none of which sees another: fewer places are filled up for nothing.

Which rows make a batch, and their order, stay as they were planned; only how they lie differs, so packed or not the
loss is the same. A target knows the row it is of by `piece`, from which the loss gets its rows back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainers.objectives.losses import IGNORED
from trainers.rows.packing import fit

NO_PIECE = -1


class PackedCompletions:
    """Collates encoded rows (input_ids, labels, row) into packed ones of at most `max_length` places.

    Gives input_ids, labels, position_ids and piece (R, T), R packed rows, and row (B,), what the B pieces are. A place
    of padding stands alone, at position 0, and is of no piece.
    """

    def __init__(self, pad_token_id: int, max_length: int) -> None:
        self._pad = {"input_ids": pad_token_id, "labels": IGNORED, "position_ids": 0, "piece": NO_PIECE}
        self._max_length = max_length

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        packed = fit([len(row["input_ids"]) for row in rows], max_length=self._max_length)
        length = max(sum(len(rows[at]["input_ids"]) for at in pieces) for pieces in packed)
        batch = {name: torch.full((len(packed), length), pad) for name, pad in self._pad.items()}
        for line, pieces in enumerate(packed):
            begin = 0
            for at in pieces:
                end = begin + len(rows[at]["input_ids"])
                batch["input_ids"][line, begin:end] = torch.tensor(rows[at]["input_ids"])
                batch["labels"][line, begin:end] = torch.tensor(rows[at]["labels"])
                batch["position_ids"][line, begin:end] = torch.arange(end - begin)
                batch["piece"][line, begin:end] = at
                begin = end
        return batch | {"row": torch.tensor([row["row"] for row in rows])}


def by_piece(of_targets: torch.Tensor, piece: torch.Tensor, *, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values of targets (N,) as rows (n, most of one), and which places of those are filled.

    piece (N,): whose each is, in 0..n-1; those of one piece keep their order.
    """
    order = piece.argsort(stable=True)
    counts = piece.bincount(minlength=n)
    place = torch.arange(len(piece), device=piece.device) - (counts.cumsum(0) - counts)[piece[order]]
    rows = of_targets.new_zeros(n, int(counts.max()))
    is_filled = torch.zeros_like(rows, dtype=torch.bool)
    rows = rows.index_put((piece[order], place), of_targets[order])
    is_filled[piece[order], place] = True
    return rows, is_filled
