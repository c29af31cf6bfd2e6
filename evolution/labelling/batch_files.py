"""What lies in a provider's batches, kept beside the spools until it is collected: one file a batch.

The file is written before anything is sent, so a batch that a crash left at the provider is found again by the name in
its metadata. Each line after the first is a request as a spool would keep it, and what its reply must be checked
against; erasing a text therefore reaches it as it reaches the spools. While a batch is being sent its file is locked.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import durable
from storage.ids import canonical_json
from storage.spool import BATCH_PREFIX, SUFFIX


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One batch: `name` is ours, `batch_id` the provider's (None: not known to have begun)."""

    path: Path
    name: str
    host: str
    provider: str
    model: str
    run_id: str
    created_at: str
    batch_id: str | None
    requests: Mapping[str, Mapping[str, Any]]

    def note_begun(self, batch_id: str) -> None:
        """Write down what the provider calls it."""
        with self.path.open("ab") as file:
            file.write(_line({"batch_id": batch_id}))
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget the batch; what had no reply is free to be asked again."""
        self.path.unlink(missing_ok=True)
        durable.sync(self.path.parent)


def write_batch(folder: Path, head: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> BatchFile:
    """Put a batch that is about to be sent on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{BATCH_PREFIX}{head['batch']}{SUFFIX}"
    durable.create(path, b"".join(map(_line, [head, *requests])).decode("utf-8", "surrogatepass"))
    return _read(path)


def open_batches(folder: Path) -> list[BatchFile]:
    """Return the batches that are not collected, oldest first; not those being sent by another process just now."""
    found = []
    for path in sorted(folder.glob(f"{BATCH_PREFIX}*{SUFFIX}")):
        with locked(path) as is_ours:
            if is_ours and path.exists():
                found.append(_read(path))
    return sorted(found, key=lambda batch: (batch.created_at, batch.name))


def waiting_calls(folder: Path) -> frozenset[str]:
    """Return the names of the calls that lie in batches, also in those being sent just now."""
    paths = folder.glob(f"{BATCH_PREFIX}*{SUFFIX}")
    return frozenset(call_id for path in paths for call_id in _read(path).requests)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a batch's file; give False when somebody else does, or it is gone."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _read(path: Path) -> BatchFile:
    records = []
    for line in path.read_bytes().splitlines():
        try:
            records.append(json.loads(line.decode("utf-8", "surrogatepass")))
        except ValueError:
            continue  # the last line, cut short by a crash: the batch is found by its name
    head = records[0]
    begun = [record["batch_id"] for record in records if "batch_id" in record]
    requests = {record["llm_call_id"]: record for record in records if "llm_call_id" in record}
    return BatchFile(
        path=path,
        name=head["batch"],
        host=head["host"],
        provider=head["provider"],
        model=head["model"],
        run_id=head["run_id"],
        created_at=head["created_at"],
        batch_id=begun[-1] if begun else None,
        requests=requests,
    )


def _line(record: Mapping[str, Any]) -> bytes:
    return canonical_json(dict(record)).encode("utf-8", "surrogatepass") + b"\n"
