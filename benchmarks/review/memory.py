"""How much memory processes hold while something runs, and whether it grows: resident MiB every few seconds, a line.

The line is least squares; its 95% interval takes the residuals as independent, which samples five seconds apart are
not quite, so it is a little narrower than it should be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import linregress, t

from benchmarks.latency import Cost

EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory of a process over n samples: first, last and most MiB; MiB an hour with its 95% interval."""

    n: int
    first: float
    last: float
    most: float
    per_hour: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.first:,.0f} to {self.last:,.0f} MiB (most {self.most:,.0f}), {self.per_hour:+,.0f} MiB an hour "
            f"[{self.low:+,.0f}, {self.high:+,.0f}] (n {self.n})"
        )


def growth(samples: list[tuple[float, float]]) -> Growth | None:
    """Return the growth of (seconds, MiB); None for fewer than four samples, of which no line could be told."""
    if len(samples) < 4:
        return None
    hours, mib = [at / 3600 for at, _ in samples], [held for _, held in samples]
    line = linregress(hours, mib)
    reach = float(t.ppf(0.975, len(samples) - 2) * line.stderr)
    slope = float(line.slope)
    return Growth(len(samples), mib[0], mib[-1], max(mib), slope, slope - reach, slope + reach)


class MemoryWatch:
    """Samples processes by name until the block ends."""

    def __init__(self, pids: Mapping[str, int], *, every: float = EVERY_SECONDS) -> None:
        self._pids = pids
        self._every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while True:
            for name, pid in self._pids.items():
                self.samples[name].append((time.monotonic() - began, Cost.of(pid).now_mib))
            if self._done.wait(self._every):
                return
