"""Figures that take long over millions of rows: taken beside the page, kept, and shown with the time they are of.

A page never waits for one longer than a blink: it shows the last one with its time while a new one is being taken.
Facts are only ever added, so a figure is of today's facts when their counts are still those it was taken at. Taking
figures may use a twentieth of the time, so that pages which look on do not slow those who work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar, cast

from storage.clock import now

BLINK_SECONDS = 0.4
REST = 19  # times as long as taking a figure took does it rest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure(Generic[T]):
    """What was found and when (UTC). `is_of_now`: no fact came since; `is_coming`: a newer one is being taken."""

    value: T
    taken_at: datetime
    is_of_now: bool
    is_coming: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    state: Hashable
    value: object
    taken_at: datetime
    ended: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _UnderWay:
    began: float
    done: threading.Event

    def wait(self) -> None:
        """Wait until it is done, but only until a blink after it began: several waits in a row make one blink."""
        self.done.wait(max(0.0, self.began + BLINK_SECONDS - time.monotonic()))


class Figures:
    """The figures of one workspace, by name, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, _Taken] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._failed: dict[str, BaseException] = {}

    def prepare(self, name: str, state: Hashable, take: Callable[[], object]) -> None:
        """Begin to take a figure if it is wanting, and do not wait: those asked for together are taken together."""
        if self._is_due(name, state):
            self._begin(name, state, take)

    def figure(self, name: str, state: Hashable, take: Callable[[], T]) -> Figure[T] | None:
        """Return the latest figure, None while the first one is being taken; `state` tells which facts there are now.

        What went wrong while one was taken is raised to whoever asks next.
        """
        if self._is_due(name, state):
            taking = self._begin(name, state, take)
            held = self._taken.get(name)
            if held is None or held.seconds < BLINK_SECONDS:
                taking.wait()
        with self._lock:
            failed = self._failed.pop(name, None)
            is_coming = name in self._under_way
        if failed is not None:
            raise failed
        held = self._taken.get(name)
        return None if held is None else _told(held, is_of_now=held.state == state, is_coming=is_coming)

    def _is_due(self, name: str, state: Hashable) -> bool:
        """Say whether a figure is not of these facts and has rested."""
        held = self._taken.get(name)
        return held is None or (held.state != state and time.monotonic() - held.ended >= REST * held.seconds)

    def _begin(self, name: str, state: Hashable, take: Callable[[], object]) -> _UnderWay:
        """Take a figure in a thread of its own, unless it is being taken; return what tells how it stands."""
        with self._lock:
            if name in self._under_way:
                return self._under_way[name]
            taking = self._under_way[name] = _UnderWay(time.monotonic(), threading.Event())
        asked = (name, state, take, taking.done)
        threading.Thread(target=self._take, args=asked, name=f"figure {name}", daemon=True).start()
        return taking

    def _take(self, name: str, state: Hashable, take: Callable[[], object], done: threading.Event) -> None:
        began = time.monotonic()
        try:
            value = take()
            ended = time.monotonic()
            self._taken[name] = _Taken(state, value, now(), ended, ended - began)
        except BaseException as error:
            with self._lock:
                self._failed[name] = error
        finally:
            with self._lock:
                del self._under_way[name]
            done.set()


def _told(taken: _Taken, *, is_of_now: bool, is_coming: bool) -> Figure[T]:
    return Figure(cast(T, taken.value), taken.taken_at, is_of_now, is_coming)


_of_workspaces: dict[Hashable, Figures] = {}


def figures_of(workspace: Hashable) -> Figures:
    """Return the figures this process keeps of a workspace."""
    return _of_workspaces.setdefault(workspace, Figures())
