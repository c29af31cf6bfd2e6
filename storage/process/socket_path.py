"""Reach a Unix socket in a folder of any depth: the kernel takes 107 bytes of path, a folder's descriptor fewer."""

from __future__ import annotations

import os
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
