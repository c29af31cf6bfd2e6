"""`backup.json`: what a backup holds, file by file with digests, and how it is read back.

Read from a folder that may come from anywhere, so its paths are checked before anything is done with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from storage import durable
from storage.errors import UserError
from storage.snapshots.verify import sha256_of

MANIFEST = "backup.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file by its path inside the workspace."""

    path: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of the workspace that the backup does not hold."""

    path: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """A backup at `path`. `made_at` is UTC, ISO 8601, of the moment before anything was read."""

    path: Path
    workspace: str
    made_at: str
    schema: int
    duckdb_version: str
    n_rows: Mapping[str, int]
    files: tuple[FileEntry, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def n_bytes(self) -> int:
        return sum(entry.n_bytes for entry in self.files)

    def to_content(self) -> dict[str, Any]:
        """Return what `backup.json` holds."""
        return {
            "format": FORMAT,
            "workspace": self.workspace,
            "made_at": self.made_at,
            "schema": self.schema,
            "duckdb_version": self.duckdb_version,
            "n_rows": dict(self.n_rows),
            "files": [asdict(entry) for entry in self.files],
            "left_out": [asdict(entry) for entry in self.left_out],
        }

    def to_mapping(self) -> dict[str, Any]:
        """Return the backup in short: where it is, what it holds, what not."""
        return {
            "path": str(self.path),
            "workspace": self.workspace,
            "made_at": self.made_at,
            "schema": self.schema,
            "n_files": len(self.files),
            "n_bytes": self.n_bytes,
            "n_rows": sum(self.n_rows.values()),
            "left_out": [asdict(entry) for entry in self.left_out],
        }

    def write(self, folder: Path) -> None:
        """Write `backup.json` into the folder that will be the backup."""
        text = json.dumps(self.to_content(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        durable.write_new(folder / MANIFEST, text, mode=0o600)

    def altered_files(self, folder: Path) -> list[str]:
        """Return the files that are missing or not what the manifest says."""
        return [entry.path for entry in self.files if not _is_as_said(folder / entry.path, entry)]


def read_manifest(folder: Path) -> BackupManifest:
    """Read a backup's manifest; UserError when the folder is none or the manifest is not of this form."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(
            f"{folder} is no backup: it has no {MANIFEST}. Name the folder that `afrel backup` printed; the "
            "workspace's backups.jsonl lists them"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        content["files"] = tuple(FileEntry(**row) for row in content["files"])
        content["left_out"] = tuple(LeftOut(**row) for row in content["left_out"])
        manifest = BackupManifest(path=folder, **content)
        outside = [entry.path for entry in manifest.files if not _is_inside(entry.path)]
        if outside or not isinstance(manifest.schema, int):
            raise ValueError(f"it names {outside[0]!r}" if outside else "its schema is no number")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}), so nothing was restored. Take another backup") from None
    return manifest


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts


def _is_as_said(path: Path, entry: FileEntry) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size != entry.n_bytes:
        return False
    return sha256_of(path) == entry.sha256
