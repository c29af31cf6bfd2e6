"""Which split a query belongs to: the source's own word, else a hash of its root query.

The hash is over the comparable form, so that two spellings of one query cannot land on both sides, and every mutation
inherits its root's split. It needs no list and gives the same answer on any machine.
"""

from __future__ import annotations

from typing import Literal

from curation.text import comparable
from storage.ids import digest

Split = Literal["train", "dev", "test"]

TRAIN_RATE, DEV_RATE = 0.8, 0.1
_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "valid", "validation", "val"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def split_of(root_text: str) -> Split:
    """Return the split of a root query's text: 80 in 100 train, 10 dev, 10 test."""
    draw = int(digest(comparable(root_text))[:8], 16) / 2**32
    if draw < TRAIN_RATE:
        return "train"
    return "dev" if draw < TRAIN_RATE + DEV_RATE else "test"


def normalise_split(text: str) -> Split | None:
    """Return the split a source's word means, None for a word that is unknown."""
    return _NAMES.get(text.strip().casefold())
