"""What the server tells whoever starts it: one line of JSON where its standard output was, and no more."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any


class CannotStartError(Exception):
    """The server cannot start; the message says why and what mends it."""


def divert() -> int:
    """Send all output to the log from now on, the server's own too, and return where the one line goes."""
    to_starter = os.dup(1)
    os.dup2(sys.stderr.fileno(), 1)
    return to_starter


def tell(to_starter: int, **words: Any) -> None:
    """Say the one line, whether or not somebody still listens."""
    with suppress(OSError):
        os.write(to_starter, json.dumps(words).encode() + b"\n")
    os.close(to_starter)
