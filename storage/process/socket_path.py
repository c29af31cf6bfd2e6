"""Reach a Unix socket in a folder of any depth, and tell whose process is at the other end.

The kernel takes 107 bytes of path; the name of a folder's descriptor has fewer.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = "store.sock"


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Give a short name, valid inside the block, of the store's socket in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def peer_uid(peer: socket.socket) -> int:
    """Return the user id of the process that made the other end of a connected Unix socket."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
