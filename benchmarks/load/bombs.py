"""Ten bombs in the console beside the queue: how long a claim takes with and without them.

Each bomb is run through `run_query` as `afrel sql` runs it, again and again, each in a slot of its own, so that ten are
running at any moment; they end by the clock or by their memory.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.latency import Latency
from benchmarks.load.claims import claim_and_answer
from storage.errors import UserError
from storage.sql.console import run_query

BOMBS = {
    "count": "select count(*) from range(1000000000000)",
    "join": "select count(*) from candidates a, candidates b where a.grade < b.grade",
    "recursion": "with recursive r as (select 1 as n union all select n from r) select count(*) from r",
    "distance": "select levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "texts": "select sum(length(repeat('x', 100000) || i::varchar)) from range(100000000) t(i)",
    "hashes": "select max(md5(i::varchar)) from range(10000000000) t(i)",
    "repeat": "select length(repeat('x', 2000000000))",
    "list": "select list_sum(range(500000000))",
    "sort": "select * from range(100000000) t(i) order by md5(i::varchar)",
    "scan": "select count(*) from candidates where regexp_matches(steps, '(a|b|ab)*c.*d.*e.*f')",
}
PER_SECOND = 10.0


@dataclass(slots=True)
class Bombed:
    """How the bombs ended, by what was said."""

    stopped: dict[str, int] = field(default_factory=dict)


def claim_latency(root: Path, seconds: float, *, turn: int) -> Latency:
    """Return how long claims take at ten a second, from a process of their own; each turn is a session of its own."""
    context = multiprocessing.get_context("spawn")
    barrier: Barrier = context.Barrier(2)
    results: Queue[Any] = context.Queue()
    claimer = context.Process(target=claim_and_answer, args=(root, seconds, PER_SECOND, turn, barrier, results))
    claimer.start()
    barrier.wait(timeout=300)
    seen = results.get()
    claimer.join()
    return Latency.of(seen.claims)


@contextmanager
def bombing(published: Path) -> Iterator[Bombed]:
    """Keep ten bombs running until the block ends."""
    outcome, is_over, counting = Bombed(), threading.Event(), threading.Lock()

    def bomb(name: str) -> None:
        while not is_over.is_set():
            try:
                run_query(published, BOMBS[name])
                said = "answered"
            except UserError as error:
                said = "by its memory" if "MB" in str(error) else "by the clock"
            with counting:
                outcome.stopped[said] = outcome.stopped.get(said, 0) + 1

    threads = [threading.Thread(target=bomb, args=(name,)) for name in BOMBS]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    try:
        yield outcome
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
