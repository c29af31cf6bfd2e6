"""Texts of unequal length as rows of one length: many in a row, none of which sees another.

A document ends with the end-of-text token; one that is too long is cut into pieces. In a row each piece counts its
positions from 0, which is how transformers tells pieces apart in attention; the first token of a piece follows nothing
and so is no target. Packed or not, a token is learnt from the same tokens before it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from transformers import PreTrainedModel

from trainers.objectives.losses import IGNORED
from trainers.objectives.token_log_probs import completion_log_probs


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Pieces of documents behind one another, as token ids; three lists of one length."""

    input_ids: list[int]
    labels: list[int]
    position_ids: list[int]

    @property
    def n_targets(self) -> int:
        return sum(label != IGNORED for label in self.labels)


FILLER = PackedRow([0, 0], [IGNORED, IGNORED], [0, 1])  # fills up a batch that processes share: it has no target


def cut_document(ids: Sequence[int], *, eos_token_id: int, max_length: int) -> list[list[int]]:
    """Return a document's pieces of at most `max_length` tokens, the end of text last.

    A piece of one token teaches nothing and is left out, as is a document without a token.
    """
    if not ids:
        return []
    whole = [*ids, eos_token_id]
    pieces = [whole[at : at + max_length] for at in range(0, len(whole), max_length)]
    return [piece for piece in pieces if len(piece) > 1]


def pack(pieces: Iterable[Sequence[int]], *, max_length: int) -> list[PackedRow]:
    """Return rows of at most `max_length` tokens, each piece whole."""
    held = list(pieces)
    return [join([held[at] for at in row]) for row in fit([len(piece) for piece in held], max_length=max_length)]


def fit(lengths: Sequence[int], *, max_length: int) -> list[list[int]]:
    """Return which pieces share a row of `max_length` places: the longest first, where it fits most tightly.

    A piece longer than a row has one for itself.
    """
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # free places and row, ascending
    for piece in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        at = bisect_left(room, (lengths[piece], -1))
        if at == len(room):
            free, row = max_length, len(rows)
            rows.append([])
        else:
            free, row = room.pop(at)
        rows[row].append(piece)
        if free - lengths[piece] > 1:
            insort(room, (free - lengths[piece], row))
    return rows


def join(pieces: Sequence[Sequence[int]]) -> PackedRow:
    """Return pieces behind one another as a row."""
    return PackedRow(
        [token for piece in pieces for token in piece],
        [label for piece in pieces for label in (IGNORED, *piece[1:])],
        [at for piece in pieces for at in range(len(piece))],
    )


class PackedPadding:
    """Collates packed rows. A token of padding on the right stands alone, at position 0."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad = {"input_ids": pad_token_id, "labels": IGNORED, "position_ids": 0}

    def __call__(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        return {
            name: torch.tensor([[*row[name], *[pad] * (length - len(row[name]))] for row in rows])
            for name, pad in self._pad.items()
        }


def packed_log_probs(
    model: PreTrainedModel, rows: Sequence[PackedRow], *, pad_token_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of packed rows' targets and which of them count, both (B, columns)."""
    batch = {name: held.to(model.device) for name, held in PackedPadding(pad_token_id)(list(map(asdict, rows))).items()}
    return completion_log_probs(model, batch["input_ids"], batch["labels"], position_ids=batch["position_ids"])
