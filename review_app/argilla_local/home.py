"""What lies in a workspace for the Argilla server of this machine: its folder `argilla/`, for its owner's eyes only.

Whether the server runs is told by the lock it holds, which the kernel drops with it, never by a note it left behind.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage import durable
from storage.liveness import is_locked
from storage.locks import exclusive

FOLDER = "argilla"
WORKSPACE = "review"  # the workspace in Argilla
TAIL_BYTES = 256 << 10
_KEY_BYTES = 48


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, or ran last: its address, process id and start, ISO 8601 in UTC."""

    url: str
    pid: int
    started_at: str


@dataclass(frozen=True, slots=True)
class ServerHome:
    """The folder of a workspace's own Argilla server."""

    path: Path

    @classmethod
    def of(cls, root: Path) -> ServerHome:
        """Return the server's folder of a workspace, there or not."""
        return cls(root / FOLDER)

    @property
    def owner_key(self) -> Path:
        """The API key of the server's owner."""
        return self.path / "owner.key"

    @property
    def log(self) -> Path:
        """What server and worker said."""
        return self.path / "server.log"

    def make(self) -> None:
        """Make the folder with its two secrets, where they are not there: the owner's key and what signs log-ins."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o700)
        for secret in (self.owner_key, self.path / "secret"):
            if not secret.exists() or not secret.read_text(encoding="ascii").strip():
                durable.replace(secret, secrets.token_urlsafe(_KEY_BYTES) + "\n", folder=self.path, mode=0o600)

    def is_up(self) -> bool:
        """Say whether the server runs, or starts."""
        lock = self.path / "server.lock"
        return lock.exists() and is_locked(lock)

    def last_run(self) -> Running | None:
        """Return what the server noted when it started last, None when it never did."""
        try:
            note = json.loads((self.path / "server.json").read_text(encoding="ascii"))
            return Running(str(note["url"]), int(note["pid"]), str(note["started_at"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else start or stop the server meanwhile."""
        self.make()
        with exclusive(self.path / "up.lock"):
            yield

    def last_lines(self, n: int) -> list[str]:
        """Return the last lines of the log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                tail = file.read()
        except OSError:
            return []
        return tail.decode("utf-8", errors="replace").splitlines()[-n:]
