"""Clients of one server in one event loop, each with few connections.

A client looks at all its connections whenever a request begins or ends, which at five hundred of them costs more than
the request itself. So a client serves sixteen calls at most, and the first clients are used before the later ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openai import AsyncOpenAI

CALLS_A_CLIENT = 4


class Connections:
    """Lends clients to calls; for one event loop, in which it must be closed."""

    def __init__(self, make: Callable[[], AsyncOpenAI]) -> None:
        self._make = make
        self._clients: list[AsyncOpenAI] = []
        self._free: list[int] = []

    @contextmanager
    def client(self) -> Iterator[AsyncOpenAI]:
        """Lend a client for one call."""
        if not self._free:
            self._clients.append(self._make())
            self._free += [len(self._clients) - 1] * CALLS_A_CLIENT
        place = self._free.pop()
        try:
            yield self._clients[place]
        finally:
            self._free.append(place)

    async def close(self) -> None:
        """Close every client."""
        clients, self._clients, self._free = self._clients, [], []
        await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)
