"""Who is logged in: one small file a login, at home and never in a workspace, so that a restart logs nobody out.

A browser holds 256 random bits; the file is named by their hash, so that who reads it can log in as nobody. What the
file says never changes, and its time of change is when the person was last active. A login ends when it is closed,
after a time without activity, at an age, or when the account's key file is no longer what it was at the login: a
changed password or a new key logs out everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage import durable
from storage.clock import now as clock_now
from storage.people.keys import key_mark

IDLE = timedelta(hours=12)  # a working day with a long lunch; a night ends it
LONGEST = timedelta(days=7)
SEEN_EVERY = timedelta(seconds=60)  # how exactly activity is written down
N_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Login:
    """A browser that is logged in. `public_key` and `key_mark` are what the account had then; `opened_at` is UTC."""

    account: str
    public_key: str
    key_mark: str | None
    opened_at: str


class Logins:
    """The logins of one workspace, for any number of threads and server processes. `now` is the clock."""

    def __init__(
        self,
        home: Path,
        workspace_root: Path,
        *,
        now: Callable[[], datetime] = clock_now,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
    ) -> None:
        self._home = home
        self._folder = home / "logins" / hashlib.sha256(str(workspace_root).encode()).hexdigest()[:16]
        self._now = now
        self._idle = idle
        self._longest = longest
        self._read: dict[str, Login] = {}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in (self._folder, self._folder.parent, home):
            part.chmod(0o700)
        self._sweep()

    def open(self, account: str, public_key: str) -> str:
        """Log an account in; return the token its browser holds, which nothing else holds."""
        token = secrets.token_urlsafe(32)
        login = Login(account, public_key, key_mark(self._home, account), self._now().isoformat())
        path = self._path(token)
        durable.create(path, json.dumps(asdict(login)) + "\n", mode=0o600)
        self._see(path)
        return token

    def find(self, token: str | None, *, is_active: bool) -> Login | None:
        """Return the login of a token, None when there is none (any more); activity puts its end off."""
        if not token or len(token) > 100:
            return None
        path = self._path(token)
        try:
            seen_at = _time_of(path)
            login = self._login(path)
        except (OSError, ValueError, TypeError):
            return None
        now = self._now()
        # a clock that was set right ends what was opened in a far future, too
        is_over = abs(now - seen_at) > self._idle or abs(now - datetime.fromisoformat(login.opened_at)) > self._longest
        if is_over or login.key_mark != key_mark(self._home, login.account):
            self._end(path)
            return None
        if is_active and abs(now - seen_at) > SEEN_EVERY:
            with suppress(OSError):
                self._see(path)
        return login

    def close(self, token: str | None) -> None:
        """End a login; nothing happens where there is none."""
        if token and len(token) <= 100:
            self._end(self._path(token))

    def close_all(self, account: str) -> int:
        """End every login of an account; return how many there were."""
        held = [path for path in self._files() if self._account_of(path) == account]
        for path in held:
            self._end(path)
        return len(held)

    def _path(self, token: str) -> Path:
        return self._folder / f"{_digest('login', token)}.json"

    def _files(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.suffix == ".json"]

    def _login(self, path: Path) -> Login:
        held = self._read.get(path.name)
        if held is None:
            held = Login(**json.loads(path.read_text(encoding="utf-8")))
            if len(self._read) >= N_REMEMBERED:
                self._read.clear()
            self._read[path.name] = held
        return held

    def _account_of(self, path: Path) -> str | None:
        try:
            return self._login(path).account
        except (OSError, ValueError, TypeError):
            return None

    def _see(self, path: Path) -> None:
        at = self._now().replace(tzinfo=UTC).timestamp()
        os.utime(path, (at, at))

    def _end(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._read.pop(path.name, None)

    def _sweep(self) -> None:
        """Remove what has ended by its age, and half-written files of a killed process."""
        for path in self._folder.iterdir():
            with suppress(OSError):
                if abs(self._now() - _time_of(path)) > self._longest:
                    self._end(path)


def csrf_of(token: str) -> str:
    """Return what a page of this login sends along with every change; it tells nothing of the token."""
    return _digest("csrf", token)


def _digest(purpose: str, token: str) -> str:
    return hashlib.sha256(f"afrel {purpose} {token}".encode()).hexdigest()


def _time_of(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
