"""Who comes too often: wrong passwords are slowed down by network address, and few are tried at one time.

Passwords of one account are slowed down at home (`storage.people.throttle`); this is for one guesser at many names, and
keeps 64 MiB a guess from adding up.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

N_FREE = 20  # wrong passwords of an address, a room of people behind one router among them
REFILL_SECONDS = 6.0  # one more after so long
N_ADDRESSES = 10_000


@dataclass(slots=True)
class _Left:
    tries: float
    at: float


class Doorstep:
    """Counts wrong passwords by address, in this process's memory."""

    def __init__(self, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._left: dict[str, _Left] = {}
        self._lock = Lock()

    def knock(self, address: str | None) -> int:
        """Count a password that is about to be tried; return the seconds to wait instead, 0 when it may be tried."""
        with self._lock:
            left = self._now_left(_network(address))
            if left.tries < 1:
                return math.ceil((1 - left.tries) * REFILL_SECONDS)
            left.tries -= 1
            return 0

    def let_in(self, address: str | None) -> None:
        """Take back the count of a password that was right."""
        with self._lock:
            left = self._now_left(_network(address))
            left.tries = min(N_FREE, left.tries + 1)

    def _now_left(self, network: str) -> _Left:
        now = self._seconds()
        left = self._left.get(network)
        if left is None:
            self._forget_full(now)
            left = self._left[network] = _Left(N_FREE, now)
        left.tries = min(N_FREE, left.tries + (now - left.at) / REFILL_SECONDS)
        left.at = now
        return left

    def _forget_full(self, now: float) -> None:
        """Drop who has waited long enough; when all is taken by a flood of addresses, drop everything."""
        if len(self._left) < N_ADDRESSES:
            return
        full_after = N_FREE * REFILL_SECONDS
        self._left = {network: left for network, left in self._left.items() if now - left.at < full_after}
        if len(self._left) >= N_ADDRESSES:
            self._left.clear()


def _network(address: str | None) -> str:
    """Return what counts as one guesser: an IPv4 address, or the /64 a line of IPv6 has to itself."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
