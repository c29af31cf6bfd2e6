"""Wrong passwords cost time: after a few in a row the next guess at that account has to wait, longer each time.

A guess is counted before it is made, so that a killed process has counted too, and one account has one guess at a
time, so that many processes guess no faster than one; a guess refused because of the wait is not counted and does not
lengthen it. A name is counted whether or not there is such an account. Time is what has passed since the machine was
started: there is no clock to set. After a restart the counts stand and a running wait begins anew, once.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from storage import durable
from storage.errors import UserError
from storage.locks import exclusive
from storage.people.accounts import is_account_name

N_STRIPES = 64  # so that a guess at one account keeps few others waiting for the lock
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Pace:
    """How guessing slows down: `n_free` wrong passwords in a row cost nothing, then the waits double up to the longest.

    The longest is what the right user waits at most. A count is forgotten after `forget_seconds` without a guess, in
    which the longest wait allows forty times more guesses than forgetting gives: waiting for it does not pay.
    """

    n_free: int = 3
    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    forget_seconds: float = 3600.0

    def wait_after(self, n_wrong: int) -> float:
        """Return the seconds from the last of n wrong passwords in a row to the next guess."""
        if n_wrong < self.n_free:
            return 0.0
        return min(self.longest_seconds, self.first_seconds * 2.0 ** min(n_wrong - self.n_free, 60))


DEFAULT_PACE = Pace()


class TooEarlyError(UserError):
    """A guess at a password that came before its time; after `seconds` the next one is made."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Wrong passwords in a row; `at` is when the last was given, in seconds since the machine was started."""

    n: int
    at: float


def counted_guess(
    home: Path, account: str, guess: Callable[[], Key | None], *, pace: Pace = DEFAULT_PACE
) -> Key | None:
    """Make one guess at an account's password; None is a wrong one. UserError while the account has to wait."""
    folder = home / "attempts"
    try:
        digest = _digest(folder, account)
        stripe = f"{int(digest[:8], 16) % N_STRIPES:02d}"
        with exclusive(folder / f"{stripe}.lock"):
            counts = _Counts(folder / f"{stripe}.json", pace)
            counts.add(digest, account)
            key = guess()
            if key is not None:
                counts.forget(digest)
    except OSError as error:
        raise UserError(
            f"wrong passwords cannot be counted in {folder}: {error.strerror}, so none is tried. Mend that first"
        ) from None
    return key


class _Counts:
    """The counts of one stripe; whoever makes one holds its lock."""

    def __init__(self, path: Path, pace: Pace) -> None:
        self._path = path
        self._pace = pace
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        self._now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._wrong = self._read()

    def add(self, digest: str, account: str) -> None:
        """Count one more wrong password; UserError when it comes too early."""
        held = self._wrong.get(digest, _Wrong(0, 0.0))
        left = held.at + self._pace.wait_after(held.n) - self._now
        if held.n and left > 0:
            raise TooEarlyError(
                f"{held.n} wrong passwords in a row were given for account {account!r}. "
                f"Try again in {math.ceil(left)} s",
                math.ceil(left),
            )
        self._wrong[digest] = _Wrong(held.n + 1, self._now)
        self._write()

    def forget(self, digest: str) -> None:
        """Drop an account's count: its password was right."""
        del self._wrong[digest]
        self._write()

    def _read(self) -> dict[str, _Wrong]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            content = json.loads(text)
            wrong = {str(digest): _Wrong(int(n), float(at)) for digest, (n, at) in content["wrong"].items()}
            is_of_this_boot = content["boot_id"] == self._boot_id
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(
                f"{self._path}, which counts wrong passwords, is damaged. Remove it, and its counts: rm {self._path}"
            ) from None
        if not is_of_this_boot or any(held.at > self._now for held in wrong.values()):
            wrong = {digest: _Wrong(held.n, self._now) for digest, held in wrong.items()}
            self._wrong = wrong
            self._write()
        return {digest: held for digest, held in wrong.items() if self._now - held.at < self._pace.forget_seconds}

    def _write(self) -> None:
        wrong = {digest: [held.n, held.at] for digest, held in self._wrong.items()}
        text = json.dumps({"boot_id": self._boot_id, "wrong": wrong}) + "\n"
        durable.replace(self._path, text, folder=self._path.parent, mode=0o600)


def _digest(folder: Path, account: str) -> str:
    """Return what an account is counted under, made with a salt of this home.

    What can be no name is counted as one: people type passwords into the field of the name, and a quick digest of a
    password must not lie here.
    """
    salt = folder / "salt"
    if not salt.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in (folder, folder.parent):
            part.chmod(0o700)
        with suppress(FileExistsError):
            durable.create(salt, secrets.token_hex(16), mode=0o600)
    name = account if is_account_name(account) else ""
    return hashlib.sha256(f"{salt.read_text(encoding='ascii')} {name}".encode()).hexdigest()[:32]
