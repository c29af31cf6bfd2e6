"""The bar of a run that asks a server: how far it is, and beside it what it has used so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from storage.progress_bar import progress_bar

# Takes how much is done, how much there is (0 where nobody knows), and what was used, empty where nothing is.
BurnBar: TypeAlias = Callable[[int, int, str], None]


@contextmanager
def burn_bar(words: str) -> Iterator[BurnBar]:
    """Show a bar until the block ends; `words` say what is done."""
    with progress_bar() as tell:
        yield lambda done, total, burn: tell(f"{words} ({burn})" if burn else words, done, total)
