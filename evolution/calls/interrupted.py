"""What a verb says when it is interrupted: nothing that was answered is lost, and which command goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130  # as a shell counts SIGINT


@contextmanager
def going_on(again: str) -> Iterator[None]:
    """Turn the user's interrupt into the exit status of one, after the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"afrel: interrupted. What was answered is kept; go on: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
