"""A provider that answers while its caller waits, as one that many exchanges may be under way with."""

from __future__ import annotations

import asyncio

from evolution.calls.llm import LLM, Exchange, Outcome, Reply, Request


class ThreadedLLM:
    """Asks another provider in a thread. It retries by itself, so nothing here is asked again."""

    max_retries = 0

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    @property
    def provider(self) -> str:
        """The other's name."""
        return self._llm.provider

    @property
    def host(self) -> str:
        """The other's name: it is no server."""
        return self._llm.provider

    def complete(self, request: Request) -> Reply:
        """Ask the other."""
        return self._llm.complete(request)

    async def exchange(self, request: Request) -> Exchange:
        """Make one exchange."""
        return Exchange(await asyncio.to_thread(self._llm.complete, request), Outcome.ANSWERED)

    async def close(self) -> None:
        """Do nothing: there is nothing open."""
