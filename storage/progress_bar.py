"""One bar on stderr where somebody watches, nothing where nobody does: how every long command tells how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from storage.jobs.current import JobProgress
from storage.progress import Stage, Watch

# Takes words for what is done, how much of it is, and how much there is: 0 where nobody knows.
Bar: TypeAlias = Callable[[str, int, int], None]


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """Show a bar until the block ends."""
    from rich.console import Console
    from rich.progress import Progress

    told_of_job = JobProgress()
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as shown:
        task = shown.add_task("", total=None)

        def tell(words: str, done: int, total: int) -> None:
            shown.update(task, description=words, completed=done, total=total or None)
            told_of_job.tell(words, done, total)

        yield tell


@contextmanager
def watched(words: Mapping[Stage, str] | None = None) -> Iterator[Watch]:
    """Show a bar for an act that tells its stages; `words` say what each is where its name does not."""
    named = {**{stage: stage.value.replace("_", " ") for stage in Stage}, **(words or {})}
    with progress_bar() as tell:
        yield lambda stage, done, total: tell(named[stage], done, total)
