"""One holder at a time, among threads and processes of this machine; the kernel lets go when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file, made when it is not there; waits for whoever holds it."""
    with _held(os.open(path, os.O_RDWR | os.O_CREAT, 0o600)):
        yield


@contextmanager
def exclusive_folder(path: Path) -> Iterator[None]:
    """Hold a folder's own lock; waits for whoever holds it."""
    with _held(os.open(path, os.O_RDONLY)):
        yield


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
