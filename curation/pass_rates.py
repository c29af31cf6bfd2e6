"""pass@N without bias: how likely one of N answers is right, told from n ≥ N samples of which c were right.

`1 - C(n - c, N) / C(n, N)`, after arXiv 2107.03374; used by arXiv 2508.12365 to sort prompts by difficulty. The plain
`1 - (1 - c/n)^N` is too low for every N > 1.
"""

from __future__ import annotations

from math import comb


def pass_at(n: int, *, n_samples: int, n_right: int) -> float | None:
    """Return pass@n of a prompt, in 0..1; None when fewer samples than n were drawn. ValueError for absurd counts."""
    if not (n >= 1 and 0 <= n_right <= n_samples):
        raise ValueError(f"{n_right} right of {n_samples} samples, pass@{n}: these are no counts")
    if n > n_samples:
        return None
    return 1 - comb(n_samples - n_right, n) / comb(n_samples, n)
