"""Which texts are alike, without a model: a vector of the pieces of two and three characters a text holds.

Each distinct piece adds 1 or -1 to one of a few places, chosen by its hash (Weinberger et al. 2009), so that the cosine
of two vectors tells how many pieces their texts share. It is of one make for every language, and costs a fraction of a
millisecond. What it cannot know is that two words mean the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "text"  # of the vectors in Argilla
DIMENSIONS = 256
MOST_CHARACTERS = 1000  # of a long text the beginning tells what it is about
_LENGTHS = (2, 3)
_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


def likeness_vector(texts: Sequence[str]) -> list[int] | None:
    """Return the vector of texts taken together, `DIMENSIONS` whole numbers; None when there is nothing in them."""
    text = unicodedata.normalize("NFKC", "\n".join(texts)[:MOST_CHARACTERS]).casefold()
    words = " ".join(text.split())
    if not words:
        return None
    characters = np.frombuffer(f" {words} ".encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    pieces = np.unique(np.concatenate([_pieces(characters, length) for length in _LENGTHS]))
    signs = np.where(pieces >> np.uint64(63), 1.0, -1.0)
    places = (pieces >> np.uint64(20)) % np.uint64(DIMENSIONS)
    vector = np.bincount(places.astype(np.int64), weights=signs, minlength=DIMENSIONS).astype(int).tolist()
    return vector if any(vector) else None


def vector_settings() -> dict[str, Any]:
    """Return the vectors' settings as Argilla's interface takes them."""
    return {"name": NAME, "title": "Likeness of texts", "dimensions": DIMENSIONS}


def _pieces(characters: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Return a hash for each run of so many characters."""
    n = len(characters) - length + 1
    hashed = np.full(max(n, 0), length, dtype=np.uint64)
    for place in range(length):
        hashed = (hashed ^ characters[place : place + max(n, 0)]) * _STEP
        hashed ^= hashed >> np.uint64(29)
    hashed *= _MIX
    return hashed ^ (hashed >> np.uint64(32))
