"""Copy files in a process of its own; each is on disk, whole, under its name when the call returns.

A process that opens the file of its own open database and closes it again lets go of DuckDB's lock on it (POSIX locks
fall with any descriptor), so the store process never reads such a file itself. This file runs alone, as the child's
script, and imports nothing of ours.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A file to copy. With `may_link`, a file that is never written again may be given a second name instead."""

    source: Path
    target: Path
    may_link: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds."""

    target: Path
    sha256: str
    n_bytes: int
    is_linked: bool


def copy_files(copies: Sequence[Copy]) -> list[Copied | None]:
    """Copy files in a child process, in order; None for a source that is gone.

    Folders of the targets are made. OSError with the path says what cannot be read or written; what was copied before
    stays.
    """
    orders = [[str(copy.source), str(copy.target), copy.may_link] for copy in copies]
    child = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).resolve())],
        input=json.dumps(orders).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    outcomes = json.loads(child.stdout)
    if isinstance(outcomes, dict):
        raise OSError(outcomes["errno"], os.strerror(outcomes["errno"]), outcomes["path"])
    return [
        Copied(copy.target, *outcome) if outcome is not None else None
        for copy, outcome in zip(copies, outcomes, strict=True)
    ]


def copy_file(source: Path, target: Path) -> Copied:
    """Copy one file in a child process; FileNotFoundError when it is not there."""
    (copied,) = copy_files([Copy(source, target)])
    if copied is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
    return copied


def _copy(source: str, target: str, may_link: bool) -> tuple[str, int, bool] | None:
    try:
        # a link in the place of a file, or a pipe, would make the copy something else than what lies there
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file", source)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            is_linked = may_link and _linked(source, beside)
            if is_linked:
                digest, n_bytes = hashlib.file_digest(file, "sha256").hexdigest(), found.st_size
            else:
                digest, n_bytes = _written(file, beside, mode=stat.S_IMODE(found.st_mode))
            os.replace(beside, target)
        except BaseException:
            if os.path.lexists(beside):
                os.unlink(beside)
            raise
    return digest, n_bytes, is_linked


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False  # another disk, or one that knows no second names
    return True


def _written(file: object, path: str, *, mode: int) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode | stat.S_IWUSR)
    with open(descriptor, "wb", buffering=0) as out:
        while chunk := file.read(CHUNK):  # type: ignore[attr-defined]
            digest.update(chunk)
            n_bytes += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[out.write(view) :]
        os.fsync(descriptor)
    return digest.hexdigest(), n_bytes


def _main() -> None:
    orders = json.load(sys.stdin.buffer)
    outcomes: list[object] = []
    at = ""
    try:
        for order in orders:
            at = order[1]
            outcomes.append(_copy(*order))
        for at in {os.path.dirname(target) for _, target, _ in orders}:
            if os.path.isdir(at):
                descriptor = os.open(at, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
    except OSError as error:
        json.dump({"errno": error.errno or errno.EIO, "path": str(error.filename or at)}, sys.stdout)
    else:
        json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    _main()
