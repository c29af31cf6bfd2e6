"""A job's folder, `jobs/<job_id>/`: its configuration as it was when queued, its log, its progress, its lock.

The lock says whether a job lives: its runner holds it and its process inherits it, so the kernel lets go when the last
of the two is dead, however that came, and a machine that was started anew holds none.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import durable
from storage.liveness import is_locked

TAIL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job."""

    path: Path

    @classmethod
    def of(cls, root: Path, job_id: str) -> JobFolder:
        """Return the folder of a job in a workspace, there or not."""
        return cls(root / "jobs" / job_id)

    @property
    def config(self) -> Path | None:
        """The job's configuration file, None when it has none."""
        path = self.path / "config.toml"
        return path if path.is_file() else None

    @property
    def log(self) -> Path:
        """What the verb said on stderr."""
        return self.path / "log.txt"

    @property
    def result(self) -> Path:
        """What the verb said on stdout."""
        return self.path / "result.txt"

    @property
    def progress(self) -> Path:
        return self.path / "progress.json"

    def make(self, config: str | None) -> None:
        """Make the folder, with the text of a configuration if there is one; again is harmless."""
        self.path.mkdir(parents=True, exist_ok=True)
        if config is not None:
            durable.replace(self.path / "config.toml", config, folder=self.path)
        durable.sync(self.path.parent)

    def hold(self) -> int:
        """Take the lock and return its descriptor; whoever inherits that holds it as well."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def is_held(self) -> bool:
        """Say whether the job lives."""
        lock = self.path / "lock"
        return lock.exists() and is_locked(lock)

    def ask_to_cancel(self) -> None:
        """Leave word that the job is to end."""
        (self.path / "cancel").touch()

    def is_asked_to_cancel(self) -> bool:
        return (self.path / "cancel").exists()

    def forget_cancel(self) -> None:
        """Take that word back, before the job starts anew."""
        (self.path / "cancel").unlink(missing_ok=True)
        self.progress.unlink(missing_ok=True)

    def last_lines(self, n: int) -> list[str]:
        """Return the last lines of the log."""
        return _last_lines(self.log, n)

    def last_result(self, n: int) -> list[str]:
        """Return the last lines of what the verb printed."""
        return _last_lines(self.result, n)


def read_progress(path: Path) -> dict[str, Any] | None:
    """Return what a progress file says, None when there is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _last_lines(path: Path, n: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = file.read()
    except OSError:
        return []
    return tail.decode("utf-8", errors="replace").splitlines()[-n:] if n else []
