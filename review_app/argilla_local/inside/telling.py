"""What the server tells whoever starts it: one line of JSON on its first standard output, then nothing any more."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any


class CannotStartError(Exception):
    """The server cannot start; the message says why and what mends it."""


def tell(**words: Any) -> None:
    """Say the one line, whether or not somebody still listens, and send later output to the log."""
    with suppress(OSError):
        os.write(1, json.dumps(words).encode() + b"\n")
    os.dup2(sys.stderr.fileno(), 1)
