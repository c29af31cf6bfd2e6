"""Small answers that are asked for all the time, kept until a table they are made of changes.

A reviewer's every act asks for the scale and for who they are: neither changes in weeks, and each costs DuckDB some
milliseconds. An answer read while a commit was under way is not kept: it may be of the time before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pyarrow as pa

from storage.reads import READS

_MADE_OF = {name: read.made_of for name, read in READS.items() if read.made_of}


class KeptAnswers:
    """Answers by the name of their read. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._age = 0  # commits that changed something an answer could be made of
        self._answers: dict[str, pa.Table] = {}

    @property
    def age(self) -> int:
        """What `keep` is to be told: taken before the answer is read."""
        return self._age

    def find(self, name: str) -> pa.Table | None:
        """Return the answer of a read, None when it is not kept."""
        return self._answers.get(name)

    def keep(self, name: str, answer: pa.Table, *, age: int) -> None:
        """Keep an answer, unless something was committed since it was asked for."""
        with self._lock:
            if age == self._age:
                self._answers[name] = answer

    def forget(self, tables: Iterable[str]) -> None:
        """Drop what is made of these tables: rows of theirs are committed."""
        changed = set(tables)
        with self._lock:
            stale = [name for name, tables in _MADE_OF.items() if not changed.isdisjoint(tables)]
            if stale:
                self._age += 1
            for name in stale:
                self._answers.pop(name, None)
