"""How often and how fast the published copy may be made: at most a quarter of a core, averaged over any minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

MINUTE = 60.0
BUDGET = MINUTE / 4  # CPU seconds in any minute


def next_publish_at(finished_at: float, cpu_seconds: float) -> float:
    """Return when the next automatic publish may start, if it costs as much CPU as the last one did.

    As many publishes as fit a minute's budget are spread evenly over it, so that no minute sees more of them. One that
    alone costs more than the budget has paced itself; the next waits a minute. Times are seconds of any clock.
    """
    if cpu_seconds <= 0:
        return finished_at
    return finished_at + MINUTE / max(1, int(BUDGET / cpu_seconds))


class CpuPace:
    """The steps of a long publish: when each ended, and the CPU seconds it took."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, float]] = []

    def run(self, step: Callable[[], Result]) -> Result:
        """Run a step, when the minute's budget allows another that costs what the last one did.

        What other threads of the process spend meanwhile counts too: it cannot be told apart.
        """
        last_cost = self._steps[-1][1] if self._steps else 0.0
        time.sleep(self.wait(time.monotonic(), last_cost))
        before = time.process_time()
        result = step()
        self.note(time.monotonic(), time.process_time() - before)
        return result

    def note(self, at: float, cpu_seconds: float) -> None:
        """Remember a step that ended at a time."""
        self._steps = [*(step for step in self._steps if step[0] > at - MINUTE), (at, cpu_seconds)]

    def wait(self, at: float, cpu_seconds: float) -> float:
        """Return how long a step of this cost must wait for the minute before its end to keep within the budget."""
        recent = [step for step in self._steps if step[0] > at - MINUTE]
        spent, until = sum(cost for _, cost in recent), at
        for ended_at, cost in recent:
            if spent + cpu_seconds <= BUDGET:
                break
            spent, until = spent - cost, ended_at + MINUTE
        return until - at
