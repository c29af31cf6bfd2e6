"""One worker's replies on disk before the store sees them: JSON lines, each synced before `append` returns.

A paid reply must survive a crash of anything. A worker holds a lock on its own file as long as it lives, so that a
restart can tell a dead worker's spool, which it drains and removes, from a living one's, which it leaves alone. Many
records may share one sync; a note needs none, for it has to outlive this process only, not the machine.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from storage import durable
from storage.ids import canonical_json

SUFFIX = ".jsonl"
BATCH_PREFIX = "batch-"  # files of what lies in a provider's batches: beside the spools, and no spools
READ_BYTES = 16_384


class Spool:
    """The append-only file of one worker. `append` may be called by one thread while another notes.

    `append` returns only after the record is on disk. Records are JSON objects.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{worker}-{secrets.token_hex(4)}{SUFFIX}"
        self._writing = threading.Lock()
        self._n_bytes = 0
        # Locked before it bears the name a drain looks for: an unlocked file would be taken for a dead worker's.
        unborn = self.path.with_suffix(".new")
        self._file: FileIO = FileIO(unborn, "x+b")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        unborn.rename(self.path)
        durable.sync(folder)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and sync it."""
        self.append_all([record])

    def append_all(self, records: Sequence[Mapping[str, Any]]) -> list[int]:
        """Write records and sync them together; return the place of each, for `read_at`."""
        places = self._write([_line(record) for record in records])
        os.fsync(self._file.fileno())
        return places

    def note(self, record: Mapping[str, Any]) -> None:
        """Write one record and do not wait for the disk: a killed process leaves it behind, a dead machine may not."""
        self._write([_line(record)])

    def read_at(self, place: int) -> dict[str, Any]:
        """Return a record that was appended, by its place."""
        line = b""
        while not line.endswith(b"\n"):
            read = os.pread(self._file.fileno(), READ_BYTES, place + len(line))
            if not read:
                raise EOFError(f"{self.path} ends within the record at {place}")
            line += read[: read.index(b"\n") + 1] if b"\n" in read else read
        record: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
        return record

    def _write(self, lines: Sequence[bytes]) -> list[int]:
        with self._writing:
            places, at = [], self._n_bytes
            for line in lines:
                places.append(at)
                at += len(line)
            left = memoryview(b"".join(lines))
            try:
                while left:
                    left = left[self._file.write(left) :]
            except BaseException:
                # Half a line would spoil the next one: a full disk must cost these records only.
                self._file.truncate(self._n_bytes)
                self._file.seek(self._n_bytes)
                raise
            self._n_bytes = at
            return places

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
        if content is not None and not path.name.startswith(BATCH_PREFIX):
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


def _line(record: Mapping[str, Any]) -> bytes:
    return canonical_json(dict(record)).encode("utf-8", "surrogatepass") + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8", "surrogatepass"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None
