"""How far a long act is: told by whoever does it, stage by stage, to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Stage(StrEnum):
    """What a long act is at. Reading is counted in reads, checking files in bytes, the others in rows."""

    READING = "reading"
    BUILDING = "building"
    HASHING = "hashing"
    WRITING = "writing"
    CHECKING_FILES = "checking_files"
    CHECKING_ROWS = "checking_rows"


# Takes the stage, how much of it is done, and how much there is: 0 where nobody knows.
Watch: TypeAlias = Callable[[Stage, int, int], None]


def unwatched(stage: Stage, done: int, total: int) -> None:
    """Tell nobody."""
