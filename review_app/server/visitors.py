"""Who stands behind a request: a login and the account as the store knows it now, never as it was at the login.

The accounts are read anew after a second at most, so a retired account is out at once, and another role holds at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from review_app.server.logins import Login, Logins, csrf_of
from review_app.server.stores import Stores
from storage.errors import UnavailableError
from storage.people.accounts import Pin, pin_from_row

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is logged in. `csrf` is what this login's pages send along with every change."""

    person: Pin
    login: Login
    csrf: str


class Visitors:
    """Finds visitors by the token of their browser."""

    def __init__(self, logins: Logins, stores: Stores, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._logins = logins
        self._stores = stores
        self._seconds = seconds
        self._pins: dict[str, Pin] = {}
        self._read_at: float | None = None
        self._trouble: UnavailableError | None = None
        self._lock = Lock()

    def who(self, token: str | None, *, is_active: bool) -> Visitor | None:
        """Return who has this token, None when nobody (any more). UserError when the store cannot say."""
        login = self._logins.find(token, is_active=is_active)
        if login is None or token is None:
            return None
        pin = self.pin(login.account)
        if pin is None or pin.public_key != login.public_key:
            self._logins.close(token)
            return None
        return Visitor(pin, login, csrf_of(token))

    def pin(self, account: str, *, at_most: float = FRESH_SECONDS) -> Pin | None:
        """Return an account that may act, as it was `at_most` seconds ago; None for an unknown or retired one."""
        with self._lock:
            if self._read_at is None or self._seconds() - self._read_at > at_most:
                self._read()
            if self._trouble is not None:
                raise self._trouble
            pin = self._pins.get(account)
        return pin if pin is not None and pin.retired_at is None else None

    @property
    def is_fresh(self) -> bool:
        """Say whether a question that is asked right now is answered without waiting for the store."""
        read_at = self._read_at
        return read_at is not None and self._seconds() - read_at <= FRESH_SECONDS / 2

    def _read(self) -> None:
        """Read the accounts. That the store is away is remembered as long, so that a crowd waits for it once."""
        try:
            rows = self._stores.open().read("accounts").to_pylist()
            self._pins = {row["account"]: pin_from_row(row) for row in rows}
            self._trouble = None
        except UnavailableError as error:
            self._trouble = error
        self._read_at = self._seconds()
