"""The queue of background jobs where no Redis is: fakeredis behind a Unix socket of the server's folder.

A socket file and not a port, for a job in the queue is code to whoever runs it: the folder lets in its owner only. The
queue lives in this process; what waits when it is killed is gone, and the worker looks at its start for what was left
undone (`unfinished`).
"""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from fakeredis import TcpFakeServer

SOCKET = "queue.sock"
URL = f"unix:///proc/self/cwd/{SOCKET}"  # short, however deep the folder: the kernel takes 107 bytes


class QueueSocket(TcpFakeServer):  # type: ignore[misc,unused-ignore]
    """A Redis of this process for those who can open the file."""

    address_family = socket.AF_UNIX
    daemon_threads = True

    def __init__(self) -> None:
        """Open the socket in the working folder, in the place of one that was left behind."""
        Path(SOCKET).unlink(missing_ok=True)
        self._numbers = itertools.count(1)
        super().__init__(SOCKET)
        self.daemon_threads = True  # a client that stays connected does not hold up the end

    def get_request(self) -> tuple[Any, Any]:
        """Name each client by a number: those of a Unix socket have no address of their own."""
        request, _ = super().get_request()
        return request, (f"client {next(self._numbers)}", 0)

    def start(self) -> None:
        """Serve in a thread until `stop`."""
        threading.Thread(target=self.serve_forever, name="queue", daemon=True).start()

    def stop(self) -> None:
        """Serve no more and remove the file."""
        self.shutdown()
        with suppress(OSError):
            self.socket.close()
        Path(SOCKET).unlink(missing_ok=True)
