"""Similarity by brute force: the cosine with every stored direction, in blocks, so that memory stays bounded.

At 50 000 records this takes no index. Scores are (1 + cosine) / 2, as Elasticsearch gives them; for the least similar
the asked vector is turned round, so higher stays better. A vector of zeros has no direction and is like nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Direction: TypeAlias = npt.NDArray[np.float32]
BLOCK = 4096


def direction_of(vector: Sequence[float]) -> Direction | None:
    """Return the unit vector, float32, None where there is none: all zeros, empty, or not finite."""
    wide = np.asarray(vector, np.float64)
    largest = np.abs(wide).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0.0:
        return None
    wide = wide / largest  # so that the squares neither vanish nor overflow
    direction: Direction = (wide / np.linalg.norm(wide)).astype(np.float32)
    return direction


def most_alike(
    rows: sqlite3.Cursor, asked: Direction, *, n_best: int, threshold: float | None = None
) -> list[tuple[int, float]]:
    """Return (n, score) of the best of rows (n, direction), best first, ties by n.

    Rows of another dimension are passed over; `threshold` is the least score.
    """
    numbers: list[npt.NDArray[np.int64]] = []
    scores: list[npt.NDArray[np.float32]] = []
    for block in _blocks(rows):
        fitting = [(n, blob) for n, blob in block if len(blob) == asked.nbytes]
        if not fitting:
            continue
        directions = np.frombuffer(b"".join(blob for _, blob in fitting), np.float32).reshape(len(fitting), -1)
        numbers.append(np.fromiter((n for n, _ in fitting), np.int64, len(fitting)))
        scores.append((1 + np.clip(directions @ asked, -1, 1)) / 2)
    if not numbers:
        return []
    all_numbers, all_scores = np.concatenate(numbers), np.concatenate(scores)
    if threshold is not None:
        kept = all_scores >= threshold
        all_numbers, all_scores = all_numbers[kept], all_scores[kept]
    best = np.lexsort((all_numbers, -all_scores))[:n_best]
    return [(int(all_numbers[at]), float(all_scores[at])) for at in best]


def _blocks(rows: sqlite3.Cursor) -> Iterator[list[tuple[int, bytes]]]:
    while block := rows.fetchmany(BLOCK):
        yield block
