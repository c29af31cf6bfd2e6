"""MinHash of token sets: for each text a row of band keys, of which two similar texts share at least one.

42 bands of 6 hashes: texts of Jaccard 0.7 share a band with probability 0.995, of 0.5 with 0.48, of 0.1 with 0.00004
(1 - (1 - J^6)^42), so the bands only propose; `curation.near_duplicates` counts the real overlap of what they propose.
Hashes are `a * token + b` modulo 2^32 with fixed odd a: tokens are hashes already, and arithmetic of 32 bits on a
padded matrix of texts of like length is what a processor does fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from curation.shingles import TokenSets, concat_sets, shingle

N_BANDS = 42
BAND_ROWS = 6
LAYOUT = f"words-and-3-grams/{N_BANDS}x{BAND_ROWS}/2"  # names what the numbers mean; a kept sketch of another is none
_THREADS = 2
_BLOCK = 64_000  # tokens of a padded matrix: a few hundred KB, so that it stays in the cache

Bands = NDArray[np.uint32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sketches:
    """Texts as they are compared: their ids, token sets, and `bands` of shape (n, N_BANDS)."""

    ids: list[str]
    sets: TokenSets
    bands: Bands

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Rows) -> Sketches:
        """Return some rows, in their order."""
        return Sketches([self.ids[row] for row in rows.tolist()], self.sets.take(rows), self.bands[rows])


def sketch(ids: Sequence[str], texts: Sequence[str]) -> Sketches:
    """Return the sketches of texts under their ids."""
    sets = shingle(texts)
    return Sketches(list(ids), sets, band_keys(sets))


def concat_sketches(parts: Sequence[Sketches]) -> Sketches:
    """Put sketches of several parts behind one another."""
    return Sketches(
        [one for part in parts for one in part.ids],
        concat_sets([part.sets for part in parts]),
        np.concatenate([np.zeros((0, N_BANDS), np.uint32), *(part.bands for part in parts)]),
    )


def band_keys(sets: TokenSets) -> Bands:
    """Return the band keys of token sets, (n, N_BANDS); 0 for empty sets, which are to be compared with nothing."""
    keys = np.zeros((len(sets), N_BANDS), dtype=np.uint32)

    def fill(rows: Rows) -> None:
        keys[rows] = _band_keys_of_block(sets, rows)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(fill, _blocks(sets.sizes)):
            pass
    return keys


def _blocks(sizes: NDArray[np.int64]) -> Iterator[Rows]:
    """Yield rows of like size, not more together than fill a block when all are padded to the longest."""
    order = np.argsort(sizes, kind="stable")
    begin = int(np.searchsorted(sizes[order], 1))
    while begin < len(order):
        # sizes ascend, so the last row of a block is its longest
        end = min(len(order), begin + max(1, _BLOCK // int(sizes[order[begin]])))
        end = min(end, begin + max(1, _BLOCK // int(sizes[order[end - 1]])))
        yield order[begin:end]
        begin = end


def _band_keys_of_block(sets: TokenSets, rows: Rows) -> Bands:
    sizes = sets.sizes[rows]
    # (longest, n): a short column repeats its last token, which changes no minimum
    places = sets.offsets[rows] + np.minimum(np.arange(int(sizes.max()))[:, None], sizes - 1)
    tokens = sets.tokens[places]
    hashed = np.empty_like(tokens)
    multipliers, shifts, folds = _hashes()
    keys = np.empty((len(rows), N_BANDS), dtype=np.uint32)
    for band in range(N_BANDS):
        key = np.zeros(len(rows), dtype=np.uint64)
        for row in range(BAND_ROWS):
            at = band * BAND_ROWS + row
            np.multiply(tokens, multipliers[at], out=hashed)
            np.add(hashed, shifts[at], out=hashed)
            key += hashed.min(axis=0) * folds[row]
        keys[:, band] = key >> np.uint64(32)
    return keys


@cache
def _hashes() -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint64]]:
    """Return fixed random numbers: a and b of each hash, and the weights that fold a band's minima into one key."""
    random = np.random.Generator(np.random.PCG64(20260202))
    n = N_BANDS * BAND_ROWS
    multipliers = random.integers(0, 2**32, size=n, dtype=np.uint32) | np.uint32(1)
    shifts = random.integers(0, 2**32, size=n, dtype=np.uint32)
    folds = random.integers(0, 2**64, size=BAND_ROWS, dtype=np.uint64) | np.uint64(1)
    return multipliers, shifts, folds
