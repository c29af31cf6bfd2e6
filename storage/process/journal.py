"""The journal: what was acknowledged, on disk before the database has it.

Requests are appended to `journal/<first sequence>.log` and fsynced together; the fold puts them into the database
later, and a checkpoint lets the old segments go. Until then they are kept, so a damaged database log loses nothing.
A record holds the requests that were fsynced together: a checksum, lengths, its sequence number, a JSON head and
Arrow streams. A torn one at the end was never acknowledged and is cut off, one in the middle is an error.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage import durable
from storage.errors import UnavailableError, UserError

MAGIC = b"afreljn1"
DROPPED = ".dropped"  # of a segment that is no longer needed and will be gone in a moment
_RECORD = struct.Struct(">IQIQ")  # crc32 of all that follows it, sequence, head bytes, body bytes
_MARK = struct.Struct(">QI")


@dataclass(frozen=True, slots=True)
class Request:
    """What one client asked to keep: rows to append, or columns of a run or a job to set."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    # Table -> name of a Parquet file in the hand-over folder; such a request never goes through the journal.
    files: Mapping[str, str] = field(default_factory=dict)
    # The columns to set, among them `run_id` or `job_id`, which says whose.
    update: Mapping[str, Any] | None = None
    # A commit that is in the database only: table -> rows, and as `n_commits` how many commits there were with it.
    committed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as bytes."""

    head: Mapping[str, Any]
    body: bytes


def encode(request: Request) -> Encoded:
    """Return a request as bytes."""
    streams = {table: _to_stream(rows) for table, rows in request.tables.items()}
    head = {
        "tables": [[table, len(stream)] for table, stream in streams.items()],
        "run_update": request.update,  # the name journals had before jobs were updated as well
        "committed": dict(request.committed),
    }
    return Encoded(head, b"".join(streams.values()))


class Journal:
    """The open journal of a workspace. Thread-safe; `sequence` is the last number given."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "journal"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._remove_dropped()
        self.sequence = 0
        self._file: int | None = None
        self._end = 0
        self._last_needed = 0  # the last record that holds rows, and not only word of a commit made elsewhere
        self._lock = threading.Lock()

    def replay(self, *, after: int) -> Iterator[tuple[int, list[Request]]]:
        """Yield the records numbered above `after`, in order; UserError for a damaged or missing one."""
        segments = self._segments()
        expected = None
        for place, (first, path) in enumerate(segments):
            is_last = place == len(segments) - 1
            if not is_last and segments[place + 1][0] <= after + 1:
                continue
            for sequence, requests in _read_segment(path, is_last=is_last):
                if expected is None and sequence > max(after + 1, 1) and first > after + 1:
                    raise _gap(path, after + 1, sequence)
                if expected is not None and sequence != expected:
                    raise _gap(path, expected, sequence)
                expected = sequence + 1
                self.sequence = max(self.sequence, sequence)
                if not all(request.committed for request in requests):
                    self._last_needed = sequence
                if sequence > after:
                    yield sequence, requests
        self.sequence = max(self.sequence, after)

    def write(self, group: Sequence[Encoded]) -> int:
        """Append requests as one record and fsync; return its sequence. UserError, nothing kept, on a full disk."""
        with self._lock:
            return self._write(group)

    def _write(self, group: Sequence[Encoded]) -> int:
        if self._file is None:
            self._open_segment()
        assert self._file is not None
        head = json.dumps([encoded.head for encoded in group], default=str).encode()
        body = b"".join(encoded.body for encoded in group)
        rest = _RECORD.pack(0, self.sequence + 1, len(head), len(body))[4:]
        checksum = zlib.crc32(body, zlib.crc32(head, zlib.crc32(rest)))
        content = b"".join((checksum.to_bytes(4, "big"), rest, head, body))
        try:
            _write_all(self._file, content)
            os.fdatasync(self._file)
        except OSError as error:
            self._abandon(error)
        self._end += len(content)
        self.sequence += 1
        if not all(encoded.head["committed"] for encoded in group):
            self._last_needed = self.sequence
        return self.sequence

    def mark_folded(self, sequence: int) -> None:
        """Note that the database has everything up to here: it must never come back with less."""
        content = _MARK.pack(sequence, zlib.crc32(sequence.to_bytes(8, "big")))
        descriptor = os.open(self.folder / "folded", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, content, 0)
        finally:
            os.close(descriptor)

    def folded(self) -> int:
        """Return the last sequence noted as folded; 0 when none is."""
        try:
            sequence, checksum = _MARK.unpack((self.folder / "folded").read_bytes())
        except (OSError, struct.error):
            return 0
        return int(sequence) if zlib.crc32(int(sequence).to_bytes(8, "big")) == checksum else 0

    def rotate(self) -> tuple[int, int]:
        """Let the next record begin a new segment; return the last record, and the last that holds rows."""
        with self._lock:
            self._close_segment()
            return self.sequence, self._last_needed

    def _close_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def drop(self, *, up_to: int) -> None:
        """Remove the segments whose records the database file holds: all numbered up to `up_to`."""
        with self._lock:
            segments = self._segments()
            after_last = max(1, self._last_needed + 1) if self._file is None else 0  # 0: it is being written
            following = [first for first, _ in segments[1:]] + [after_last]
            for (_, path), next_first in zip(segments, following, strict=False):
                if 0 < next_first <= up_to + 1:
                    path.replace(path.with_suffix(DROPPED))
        self._remove_dropped()  # hundreds of megabytes take a while to go: records are written meanwhile

    def _remove_dropped(self) -> None:
        for path in self.folder.glob(f"*{DROPPED}"):
            path.unlink(missing_ok=True)

    def n_bytes(self) -> int:
        """Return the size of all segments."""
        return sum(path.stat().st_size for _, path in self._segments())

    def close(self) -> None:
        self.rotate()

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self.folder.glob("*.log") if path.stem.isdigit())

    def _open_segment(self) -> None:
        path = self.folder / f"{self.sequence + 1:020d}.log"
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            _write_all(self._file, MAGIC)
            os.fdatasync(self._file)
            durable.sync(self.folder)
        except OSError as error:
            self._close_segment()
            raise _cannot_write(self.folder, error) from error
        self._end = len(MAGIC)

    def _abandon(self, error: OSError) -> None:
        """Cut off what was written of a record that failed; without that, later records would follow a torn one."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            os.fdatasync(self._file)
        except OSError:
            os._exit(4)  # nothing can be promised any more: the next start reads what is on disk
        raise _cannot_write(self.folder, error) from error


def _read_segment(path: Path, *, is_last: bool) -> Iterator[tuple[int, list[Request]]]:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if is_last and size <= len(MAGIC):
                return  # killed while it was made
            raise UserError(f"{path} is no journal of this afrel (it begins {magic!r}). Put the right file back")
        while (at := file.tell()) < size:
            lengths = file.read(_RECORD.size)
            if len(lengths) == _RECORD.size:
                checksum, sequence, n_head, n_body = _RECORD.unpack(lengths)
                if n_head + n_body <= size - file.tell():
                    head, body = file.read(n_head), file.read(n_body)
                    if zlib.crc32(body, zlib.crc32(head, zlib.crc32(lengths[4:]))) == checksum:
                        yield sequence, _decode(head, body)
                        continue
            if not is_last or _has_record_after(file.fileno(), at, size):
                raise UserError(
                    f"{path} is damaged at byte {at:,}: acknowledged rows would be lost. Put the file back from the "
                    "disk's backup, or restore the store: afrel restore BACKUP NEW_FOLDER"
                )
            with open(path, "r+b") as writable:  # torn while being written: it was never acknowledged
                writable.truncate(at)
            return


def _has_record_after(descriptor: int, at: int, size: int) -> bool:
    """Say whether a whole record follows a damaged one that begins at `at`, if its lengths can be believed."""
    lengths = os.pread(descriptor, _RECORD.size, at)
    if len(lengths) < _RECORD.size:
        return False
    _, _, n_head, n_body = _RECORD.unpack(lengths)
    following = at + _RECORD.size + n_head + n_body
    if following + _RECORD.size > size:
        return False
    lengths = os.pread(descriptor, _RECORD.size, following)
    checksum, _, n_head, n_body = _RECORD.unpack(lengths)
    if following + _RECORD.size + n_head + n_body > size:
        return False
    rest = os.pread(descriptor, n_head + n_body, following + _RECORD.size)
    return bool(zlib.crc32(rest, zlib.crc32(lengths[4:])) == checksum)


def _decode(head: bytes, body: bytes) -> list[Request]:
    requests, at, view = [], 0, memoryview(body)
    for said in json.loads(head):
        tables = {}
        for table, length in said["tables"]:
            tables[table] = pa.ipc.open_stream(view[at : at + length]).read_all()
            at += length
        requests.append(Request(tables, update=said["run_update"], committed=said["committed"]))
    return requests


def _to_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _gap(path: Path, expected: int, found: int) -> UserError:
    return UserError(
        f"the journal jumps from request {expected - 1} to {found} at {path}: acknowledged rows are missing. Restore a "
        "backup: afrel restore BACKUP NEW_FOLDER"
    )


def _cannot_write(folder: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(
            f"the disk of {folder.parent} is full: nothing of this request was kept, all before it was. Free some "
            "space, then run the command again"
        )
    return UnavailableError(
        f"{folder} cannot be written ({error.strerror}): nothing of this request was kept. Mend that first"
    )
