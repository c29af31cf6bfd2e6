"""One run's exchanges on disk, written from an event loop: a line as a request goes out, a synced one for its reply.

Replies that come while the disk is busy share the next sync; `keep` returns when its reply is on the disk, and only
then is the reply used. The line for a request waits for no disk: it has to outlive the process, not the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from evolution.calls.call_rows import SENT, SENT_BACK, sent_record
from evolution.calls.llm import Request
from evolution.calls.reply_places import ReplyPlaces
from storage.spool import Spool


class Ledger:
    """The spool of one run, for one event loop."""

    def __init__(self, spool: Spool, *, provider: str, run_id: str) -> None:
        self._spool, self._provider, self._run_id = spool, provider, run_id
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._places = ReplyPlaces()
        self._n_sent = 0

    def note_sent(self, call_id: str, request: Request) -> int:
        """Say that a request goes out; return its number."""
        self._n_sent += 1
        self._spool.note(sent_record(self._n_sent, call_id, request, provider=self._provider, run_id=self._run_id))
        return self._n_sent

    def note_sent_back(self, number: int) -> None:
        """Say that a request came back without a reply and will be sent again."""
        self._spool.note({SENT_BACK: number})

    async def keep(self, number: int, row: Mapping[str, Any]) -> None:
        """Put an exchange on the disk."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        self._waiting.append(({**row, SENT: number}, kept))
        if self._writing is None:
            self._writing = loop.create_task(self._write())
        await kept

    def find(self, call_id: str) -> str | None:
        """Return the good reply this run got for a call, None when there is none."""
        place = self._places.find(call_id)
        return None if place is None else str(self._spool.read_at(place)["reply"])

    async def close(self) -> None:
        """Wait for the disk and close the spool."""
        if self._writing is not None:
            await self._writing
        self._disk.shutdown()
        self._spool.close()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    places = await loop.run_in_executor(self._disk, self._spool.append_all, [row for row, _ in group])
                except OSError as error:
                    for _, kept in group:
                        if not kept.done():
                            kept.set_exception(error)
                    continue
                for (row, kept), place in zip(group, places, strict=True):
                    if row["failure"] is None:
                        self._places.add(row["llm_call_id"], place)
                    if not kept.done():
                        kept.set_result(None)
        finally:
            self._writing = None
