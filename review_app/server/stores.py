"""Stores for many threads: each `Store` is cheap, their connections to the store process are shared one ask at a time.

A connection serves one question at once, and scripts, routes and fragments run in threads that come and go. So a
store of the app borrows a connection for one question and hands it back; none is held across a page or a click.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from storage.errors import UserError
from storage.process.client import SocketTransport
from storage.store import Store
from storage.workspace import Workspace

PATIENCE_SECONDS = 8.0  # a page gives up waiting after ten, and rather shows words than nothing
N_KEPT = 8  # connections that wait for the next question; more are closed when they come back


class Stores:
    """The store of one workspace, for any number of threads. Human review sees test rows."""

    def __init__(self, workspace: Workspace, *, patience: float = PATIENCE_SECONDS) -> None:
        """Serve a workspace's store; after `patience` seconds of trying, a question is told that it is away."""
        self._connections = _Connections(workspace.root, patience)

    def open(self) -> Store:
        """Return a store of its own session; it needs no closing."""
        return Store(self._connections, sees_test=True)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._connections.close()


class _Connections:
    """A transport that asks through whichever connection is free."""

    def __init__(self, root: Path, patience: float) -> None:
        self._root = root
        self._patience = patience
        self._free: list[SocketTransport] = []
        self._lock = Lock()

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]:
        with self._lock:
            connection = self._free.pop() if self._free else SocketTransport(self._root, patience=self._patience)
        try:
            answer = connection.ask(verb, params, tables)
        except UserError:
            self._hand_back(connection)
            raise
        except BaseException:
            # what is left unread on it would answer somebody else's question
            connection.close()
            raise
        self._hand_back(connection)
        return answer

    def close(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _hand_back(self, connection: SocketTransport) -> None:
        with self._lock:
            is_kept = len(self._free) < N_KEPT
            if is_kept:
                self._free.append(connection)
        if not is_kept:
            connection.close()
