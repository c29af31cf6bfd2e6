"""One worker's replies on disk before the store sees them: JSON lines, each synced before `append` returns.

A paid reply must survive a crash of anything. A worker holds a lock on its own file as long as it lives, so that a
restart can tell a dead worker's spool, which it drains and removes, from a living one's, which it leaves alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from storage import durable
from storage.ids import canonical_json

SUFFIX = ".jsonl"


class Spool:
    """The append-only file of one worker; used by one thread at a time.

    `append` returns only after the record is on disk. Records are JSON objects.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{worker}-{secrets.token_hex(4)}{SUFFIX}"
        # Locked before it bears the name a drain looks for: an unlocked file would be taken for a dead worker's.
        unborn = self.path.with_suffix(".new")
        self._file: BinaryIO = unborn.open("xb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        unborn.rename(self.path)
        durable.sync(folder)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and sync it."""
        line = memoryview(canonical_json(dict(record)).encode("utf-8", "surrogatepass") + b"\n")
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and let go of its lock; the file stays until it is drained."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Drained:
    """What one dead worker left behind. `n_torn` counts lines the crash cut short."""

    path: Path
    records: tuple[dict[str, Any], ...]
    n_torn: int

    def remove(self) -> None:
        """Delete the file; call it only after the store holds the records."""
        self.path.unlink(missing_ok=True)


def drain(folder: Path) -> Iterator[Drained]:
    """Yield the spools whose worker is gone, oldest name first; each stays locked until the next is asked for.

    A living worker's spool is passed over. Nothing is deleted: the caller removes what the store has taken.
    """
    for path, content in spools(folder):
        if content is not None:
            yield _read(path, content)


def spools(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    """Yield each spool and what it holds, None for a living worker's.

    A dead worker's is locked until the next is asked for. What another restart drains meanwhile is passed over.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield path, None
                continue
            if path.exists():
                yield path, file.read()


def _read(path: Path, content: bytes) -> Drained:
    records: list[dict[str, Any]] = []
    n_torn = 0
    for line in content.splitlines(keepends=True):
        record = _parse(line) if line.endswith(b"\n") else None
        if record is None:
            n_torn += 1
        else:
            records.append(record)
    return Drained(path, tuple(records), n_torn)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8", "surrogatepass"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None
