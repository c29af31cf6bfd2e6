"""Pure work over many pieces: in this process first, in processes of its own once it proves long.

Small work never pays for starting Python again, and nobody has to know beforehand what is small.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self, TypeVar

Piece = TypeVar("Piece")
Done = TypeVar("Done")

ALONE_SECONDS = 3.0


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Processes:
    """As many processes as there are cores, started when first needed; they end with the block."""

    def __init__(self, n: int | None = None, *, alone_seconds: float = ALONE_SECONDS) -> None:
        self._n = n_cores() if n is None else n
        self._alone_seconds = alone_seconds
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Piece], Done], pieces: Iterable[Piece]) -> Iterator[Done]:
        """Yield what `work`, a function of a module, makes of each piece, in their order; few are under way at once."""
        began = time.monotonic()
        waiting: deque[Future[Done]] = deque()
        for piece in pieces:
            if self._executor is None:
                if self._n == 1 or time.monotonic() - began < self._alone_seconds:
                    yield work(piece)
                    continue
                # a fork would copy the locks of threads that run
                self._executor = ProcessPoolExecutor(self._n, get_context("spawn"), _follow_parent)
            waiting.append(self._executor.submit(work, piece))
            if len(waiting) > 2 * self._n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _follow_parent() -> None:
    """End this process when the one that started it is killed: by itself it would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
