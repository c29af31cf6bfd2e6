"""Files that are on disk, under their name, when the call returns: written, fsynced, renamed, the folder fsynced."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet; FileExistsError when it is."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_beside(path: Path, text: str, *, folder: Path, mode: int = 0o644) -> Path:
    """Write a new hidden file in a folder of the path's file system, to be renamed to the path; return it."""
    written = folder / f".{path.name}.{secrets.token_hex(4)}"
    write_new(written, text, mode=mode)
    return written


def create(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that appears whole; FileExistsError, and no change, when its name is taken."""
    written = write_beside(path, text, folder=path.parent, mode=mode)
    try:
        os.link(written, path)
    finally:
        written.unlink()
    sync(path.parent)


def replace(path: Path, text: str, *, folder: Path, mode: int = 0o644) -> None:
    """Set a file's text at once: readers see the old or the new, whatever is killed when."""
    os.replace(write_beside(path, text, folder=folder, mode=mode), path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Put a file, or a folder's list of names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Put a folder and all under it on disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)
