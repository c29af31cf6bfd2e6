"""Work that outlasts a click: done beside the pages, watched by whoever comes back, one of a kind at a time.

A page begins it and looks at it on every draw; the work itself knows of no page. What came of it is kept until the next
one of its key begins or somebody puts it away. It lives as long as this process; what it did is in the store.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.clock import now
from storage.errors import UnavailableError, UserError
from storage.progress import Stage, Watch

_log = logging.getLogger("afrel.work")
BLINK_SECONDS = 0.4
KEPT_SECONDS = 900.0  # what a closed tab never took
LEAST_SECONDS = 2.0  # a rate over less time than this says nothing of the time that is left


@dataclass(slots=True)
class Work:
    """One piece of work. `outcome` is there when it went well, `refused` says in words why it did not.

    `is_store_away`: it was refused because the store did not answer. `broke` is a number that finds the traceback in
    the log. `by` is the account that began it. `is_of_tab`: it waits for one browser tab, and is let go of when that
    does not come.
    """

    by: str
    started_at: datetime
    stage: Stage | None = None
    done: int = 0
    total: int = 0
    outcome: Any = None
    refused: str | None = None
    is_store_away: bool = False
    broke: str | None = None
    seconds: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    is_of_tab: bool = False
    clock: Callable[[], float] = time.monotonic
    _ended: threading.Event = field(default_factory=threading.Event)
    _began: float = field(init=False)
    _stage_began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._stage_began = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since it began, or that it took."""
        return self.seconds if self.is_over else self.age

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return self.clock() - self._began

    @property
    def share(self) -> float | None:
        """How much of the stage is done, None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def rate(self) -> float | None:
        """How much of the stage is done in a second, None while too little is."""
        seconds = self.clock() - self._stage_began
        return self.done / seconds if self.done and seconds >= LEAST_SECONDS else None

    @property
    def seconds_left(self) -> float | None:
        """How long the stage will take at this rate, None while nobody knows."""
        rate = self.rate
        return (self.total - self.done) / rate if rate and self.total else None

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float = BLINK_SECONDS) -> bool:
        """Wait for its end, but no longer than a blink, so that quick work shows no bar; say whether it is over."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """Note that it is over."""
        self.seconds = self.elapsed
        self._ended.set()

    def watch(self, stage: Stage, done: int, total: int) -> None:
        """Take note of how far it is."""
        if stage is not self.stage:
            self._stage_began = self.clock()
        self.stage, self.done, self.total = stage, done, total


class LongWork:
    """The work of this process by key, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, Work] = {}

    def begin(
        self, key: Hashable, by: str, do: Callable[[Watch, threading.Event], Any], *, is_of_tab: bool = False
    ) -> Work:
        """Begin work, or return the one of this key that is under way. `do` looks at the event when it can stop."""
        with self._lock:
            held = self._held.get(key)
            if held is not None and not held.is_over:
                return held
            self._sweep()
            work = self._held[key] = Work(by, now(), is_of_tab=is_of_tab)
        threading.Thread(target=_run, args=(work, do), name=f"work {key}", daemon=True).start()
        return work

    def find(self, key: Hashable) -> Work | None:
        """Return the work of a key, under way or over."""
        return self._held.get(key)

    def put_away(self, key: Hashable) -> None:
        """Forget what came of work that is over."""
        with self._lock:
            held = self._held.get(key)
            if held is not None and held.is_over:
                del self._held[key]

    def _sweep(self) -> None:
        for key, held in list(self._held.items()):
            if held.is_of_tab and held.is_over and held.age > KEPT_SECONDS:
                del self._held[key]


def _run(work: Work, do: Callable[[Watch, threading.Event], Any]) -> None:
    try:
        work.outcome = do(work.watch, work.stop)
    except UserError as error:
        # not the error: it would keep all that its frames hold
        work.refused, work.is_store_away = str(error), isinstance(error, UnavailableError)
    except BaseException:
        work.broke = secrets.token_hex(3)
        _log.exception("work broke, number %s", work.broke)
    finally:
        work.end()


WORK = LongWork()
