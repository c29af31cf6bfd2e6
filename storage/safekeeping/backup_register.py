"""The workspace's register of its backups: a line for each, appended and never edited.

A file and not a table, so that it is there without the store and goes with the workspace wherever that goes: a text
that is erased here still lies in every backup made before, and only this list says where those are.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from storage import durable

REGISTER = "backups.jsonl"


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """A backup by where it was made and when (UTC, ISO 8601)."""

    path: Path
    made_at: str

    def to_line(self) -> str:
        """Return the register's line."""
        return json.dumps({"path": str(self.path), "made_at": self.made_at}) + "\n"


def note_backup(root: Path, backup: KnownBackup) -> None:
    """Append a backup to the register and put that on disk."""
    path = root / REGISTER
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, ("\n" * is_torn + backup.to_line()).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    durable.sync(root)


def known_backups(root: Path) -> list[KnownBackup]:
    """Return every backup ever noted, first made first; a line cut off by a crash is left out."""
    path = root / REGISTER
    if not path.exists():
        return []
    known = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            known.append(KnownBackup(Path(row["path"]), str(row["made_at"])))
        except (ValueError, KeyError, TypeError):
            continue
    return known
