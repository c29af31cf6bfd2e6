"""A gate that readers pass and a checkpoint closes: DuckDB refuses to begin one while anybody reads an older state.

After rows were updated in place that is every reader, and where two ask twenty times a second one always is. So a
checkpoint lets no more of them in, waits for those inside, and once it has begun lets others in again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Open, unless somebody has it closed. Who passes must not wait for who closes it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_inside = 0
        self._is_closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside for the block; waits while the gate is closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed)
            self._n_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_inside -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self, *, for_seconds: float | None = None) -> Iterator[None]:
        """Have nobody inside, for so long or for the whole block; waits for those who are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed)
            self._is_closed = True
            try:
                self._changed.wait_for(lambda: not self._n_inside)
            except BaseException:
                self._open()
                raise
        timer = None if for_seconds is None else threading.Timer(for_seconds, self._open)
        if timer is not None:
            timer.start()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()
            self._open()

    def _open(self) -> None:
        with self._changed:
            self._is_closed = False
            self._changed.notify_all()
