"""Marks of a form that count once: the login form has one, bound to a cookie of the browser it was given to.

A mark is signed, so handing them out costs no memory; only the few that were used are remembered, until they would
have ended anyway. The key is this process's own: a restart makes every open form stale, which costs one more try.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from threading import Lock

LASTS_SECONDS = 3600.0
N_USED = 20_000


class OneTimeMarks:
    """Gives marks and takes each back once."""

    def __init__(self, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._seconds = seconds
        self._used: dict[str, float] = {}
        self._lock = Lock()

    def give(self, browser: str) -> str:
        """Return a new mark for a browser, named by the value of its cookie."""
        nonce, until = secrets.token_hex(16), f"{self._seconds() + LASTS_SECONDS:.0f}"
        return f"{nonce}.{until}.{self._sign(browser, nonce, until)}"

    def take(self, browser: str, mark: str) -> bool:
        """Say whether this is a mark of the browser that has not ended and was not taken before."""
        parts = mark.split(".")
        if len(parts) != 3 or not browser or len(mark) > 200:
            return False
        nonce, until, signature = parts
        if not hmac.compare_digest(signature.encode(), self._sign(browser, nonce, until).encode()):
            return False
        now = self._seconds()
        with self._lock:
            if len(self._used) >= N_USED:  # a flood of them: every open form is made stale, which costs one more try
                self._used = {used: end for used, end in self._used.items() if end > now}
            if len(self._used) >= N_USED:
                self._key, self._used = secrets.token_bytes(32), {}
                return False
            if nonce in self._used or float(until) <= now:
                return False
            self._used[nonce] = float(until)
        return True

    def _sign(self, browser: str, nonce: str, until: str) -> str:
        return hmac.new(self._key, f"{browser}.{nonce}.{until}".encode(), hashlib.sha256).hexdigest()
