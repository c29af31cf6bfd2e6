"""One store process a workspace, on one host: a lock for this host, a heartbeat file for those who share the folder.

On a network folder locks may not reach the other host. So the owner writes `store.host` and keeps counting in it; who
finds another host's file watches whether it still counts, which needs no common clock.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.errors import UserError

BEAT_SECONDS = 2.0
WATCH_SECONDS = 3 * BEAT_SECONDS


class TakenError(Exception):
    """Another process of this host owns the workspace already."""


class Ownership:
    """The workspace is ours until `release`, or until `beat` says that it is not."""

    def __init__(self, root: Path, *, watch_seconds: float = WATCH_SECONDS) -> None:
        """Take the workspace; TakenError when a process here has it, UserError when another host has."""
        self._path = root / "store.host"
        self._token = secrets.token_hex(8)
        self._n_beats = 0
        self._beaten_at = time.monotonic()
        self._lock = os.open(root / "store.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise TakenError from None
        try:
            self._watch(root, watch_seconds)
        except UserError:
            os.close(self._lock)
            raise
        self._write()

    def beat(self) -> bool:
        """Keep counting, when it is time; say whether the workspace is still ours."""
        if time.monotonic() < self._beaten_at + BEAT_SECONDS:
            return True
        self._beaten_at = time.monotonic()
        if _read(self._path).get("token") not in (self._token, None):
            return False
        self._n_beats += 1
        with suppress(OSError):  # a full disk is told where it matters
            self._write()
        return True

    def release(self) -> None:
        """Let go of the workspace."""
        if _read(self._path).get("token") == self._token:
            self._path.unlink(missing_ok=True)
        os.close(self._lock)

    def _watch(self, root: Path, watch_seconds: float) -> None:
        found = _read(self._path)
        if not found or found.get("host") == _host():
            return
        deadline = time.monotonic() + watch_seconds
        while time.monotonic() < deadline:
            time.sleep(min(0.2, watch_seconds))
            later = _read(self._path)
            if later and later != found:
                raise UserError(
                    f"{root} is in use by the store process {later.get('pid')} on host {later.get('name')!r}. One host "
                    "at a time owns a workspace: run the command there, or let it go idle (a minute without commands)"
                )

    def _write(self) -> None:
        said = {
            "host": _host(),
            "name": platform.node(),
            "pid": os.getpid(),
            "token": self._token,
            "n_beats": self._n_beats,
        }
        beside = self._path.with_suffix(f".{self._token}")
        beside.write_text(json.dumps(said), encoding="utf-8")
        beside.replace(self._path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}"
