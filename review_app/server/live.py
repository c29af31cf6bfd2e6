"""The stream of an open page: it ends within seconds when its login does, and the browser is sent where it can go on.

A page is drawn for a person with a role. When the login ends, or the account changes in any way, what is drawn is no
longer theirs: nothing more is run for it, and the browser loads the app anew, which shows the login page or the pages
of the new role.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review_app.server.visitors import Visitor
from storage.errors import UnavailableError

LOOK_SECONDS = 2.0
# The page from which somebody logged out is on its way to the login page already, and is left to it.
GRACE_SECONDS = 1.5


class Who(Protocol):
    """Says who stands behind the stream now."""

    def __call__(self, *, is_active: bool) -> Awaitable[Visitor | None]: ...


async def watch_stream(app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, who: Who) -> None:
    """Run a page's stream for as long as the same person in the same role stands behind it."""
    try:
        first = await who(is_active=True)
    except UnavailableError:
        first = None
    if first is None:
        await receive()
        # accepted, so that the page learns why: a refused handshake looks like a broken network to it
        await send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
        await _send_away(send)
        return
    watched = _Watched(receive, send, who, first)
    await app(scope, watched.receive, watched.send)


class _Watched:
    """Hands on what the browser sends while the visitor is who it was."""

    def __init__(self, receive: Receive, send: Send, who: Who, first: Visitor) -> None:
        self._receive = receive
        self._send = send
        self._who = who
        self._first = first
        self._is_over = False

    async def receive(self) -> Message:
        if self._is_over:
            return {"type": "websocket.disconnect", "code": 1008}
        coming = asyncio.ensure_future(self._receive())
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=LOOK_SECONDS)
                message = coming.result() if done else None
                if message is not None and message["type"] != "websocket.receive":
                    return message
                is_active = message is not None and is_a_persons(message)
                if not await self._is_still(is_active=is_active):
                    self._is_over = True
                    await self._end(None if message is not None else coming)
                    return {"type": "websocket.disconnect", "code": 1008}
                if message is not None:
                    return message
        finally:
            if not coming.done():
                coming.cancel()

    async def _end(self, coming: asyncio.Future[Message] | None) -> None:
        """Send the page away unless it goes by itself; what else it still sends is not heard."""
        loop = asyncio.get_running_loop()
        last = loop.time() + GRACE_SECONDS
        while (left := last - loop.time()) > 0:
            coming = coming or asyncio.ensure_future(self._receive())
            done, _ = await asyncio.wait({coming}, timeout=left)
            if done and coming.result()["type"] != "websocket.receive":
                return
            if done:
                coming = None
        if coming is not None:
            coming.cancel()
        await _send_away(self._send)

    async def send(self, message: Message) -> None:
        """Send what the page draws, while it is theirs."""
        if not self._is_over:
            await self._send(message)

    async def _is_still(self, *, is_active: bool) -> bool:
        """Say whether nothing has changed; while the store is away nothing can have, and the script says so."""
        try:
            now = await self._who(is_active=is_active)
        except UnavailableError:
            return True
        return now is not None and now.person == self._first.person


def is_a_persons(message: Message) -> bool:
    """Say whether a person did something, and not the page by itself on a timer."""
    from streamlit.proto.BackMsg_pb2 import BackMsg

    said = BackMsg()
    try:
        said.ParseFromString(message.get("bytes") or b"")
    except Exception:
        return False
    return said.WhichOneof("type") == "rerun_script" and not said.rerun_script.is_auto_rerun


async def _send_away(send: Send) -> None:
    """Tell the page to load the app anew, and hang up."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    away: Any = ForwardMsg()
    away.auth_redirect.url = ""  # where the page is
    away.auth_redirect.SetInParent()
    await send({"type": "websocket.send", "bytes": away.SerializeToString()})
    await send({"type": "websocket.close", "code": 1008})


def _subprotocol(scope: Scope) -> str | None:
    offered = scope.get("subprotocols") or []
    return offered[0] if offered else None
