"""How long rows are in tokens: what `max_length` cuts and what the longest batch costs can be read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

N_BINS = 8


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Rows of more than the bin before and up to `most` tokens."""

    most: int
    n: int


def length_bins(lengths: Sequence[int], n_bins: int = N_BINS) -> list[LengthBin]:
    """Return how many rows lie in each of `n_bins` bins of equal width, the last ending at the longest row."""
    longest = max(lengths)
    edges = [-(-longest * at // n_bins) for at in range(1, n_bins + 1)]
    edges = list(dict.fromkeys(edges))  # of short rows several bins would be one
    below = [sum(length <= edge for length in lengths) for edge in edges]
    return [LengthBin(edge, n - before) for edge, n, before in zip(edges, below, [0, *below], strict=False)]


def length_at(lengths: Sequence[int], share: float) -> int:
    """Return the length that `share` of the rows do not exceed (the least such)."""
    ordered = sorted(lengths)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def draw_bins(bins: Sequence[LengthBin], *, width: int = 40) -> list[str]:
    """Return a line a bin, its bar as long as its share of the fullest."""
    most = max(one.n for one in bins)
    digits = len(str(bins[-1].most))
    return [f"≤ {one.most:>{digits}}  {'█' * -(-one.n * width // most):<{width}} {one.n}".rstrip() for one in bins]
