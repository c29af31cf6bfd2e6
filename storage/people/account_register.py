"""Set down who may do what in a workspace: read the accounts, decide and append under one lock.

Without it, several first accounts made at once would each find no account and all be admins, and the last two admins
could retire each other. Nobody is asked anything while the lock is held.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta

from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id, new_session
from storage.locks import exclusive
from storage.people.accounts import Act, Pin, Role, pin_from_row, require, retired
from storage.rows import AccountRow
from storage.session import Session

LOCK_NAME = "accounts.lock"


def add_account(
    session: Session, name: str, *, role: Role, public_key: Callable[[], str], held: Pin | None, by: str | None
) -> Pin:
    """Give an account a role and a key from now on; return its pin, which is `held` when there was nothing to change.

    `held` is what the decision rests on; `by` is the admin who adds it, None for the first account. UserError when
    either is no longer so, or no admin would be left.
    """
    return _record(session, name, role=role, public_key=public_key, held=held, by=by, is_retired=False)


def retire_account(session: Session, held: Pin, *, by: str) -> Pin:
    """Take all rights from an account; return its pin, which keeps its key and role. UserError for the last admin."""
    key = held.public_key
    return _record(session, held.account, role=held.role, public_key=lambda: key, held=held, by=by, is_retired=True)


def _record(
    session: Session,
    name: str,
    *,
    role: Role,
    public_key: Callable[[], str],
    held: Pin | None,
    by: str | None,
    is_retired: bool,
) -> Pin:
    root = session.workspace.root
    with exclusive(root / LOCK_NAME), session.store() as store:
        rows = {row["account"]: row for row in store.read("accounts").to_pylist()}
        pins = {account: pin_from_row(row) for account, row in rows.items()}
        _check_standing(pins, name, held=held, by=by, where=f"afrel -w {root}")
        _check_admin_left(pins, name, is_admin=role is Role.ADMIN and not is_retired)
        key = public_key()
        if held is not None and not is_retired and (held.retired_at, held.role, held.public_key) == (None, role, key):
            return held
        at = now()
        if name in rows:
            # the latest row of an account is the one that counts, also when the clock was set back
            at = max(at, rows[name]["created_at"] + timedelta(microseconds=1))
        row = AccountRow(
            account_event_id=action_id(by or name, new_session(), 1),
            account=name,
            role=retired(role) if is_retired else role.value,
            public_key=key,
            pseudonym=held.pseudonym if held is not None else f"person_{secrets.token_hex(3)}",
            by_account=by or name,
            created_at=at,
        )
        store.append({"accounts": [row]})
    return pin_from_row(row.to_mapping())


def _check_standing(pins: Mapping[str, Pin], name: str, *, held: Pin | None, by: str | None, where: str) -> None:
    """Refuse a decision that rests on accounts as they were a moment ago."""
    if by is not None:
        require(pins[by], Act.ACCOUNTS)
    elif pins:
        admin = _admins(pins)[0]
        raise UserError(
            f"{admin} became the first account of this workspace a moment ago, so {name} is not it. An admin adds "
            f"{name} now: {where} --as {admin} account add {name} --role ROLE"
        )
    if pins.get(name) != held:
        raise UserError(f"account {name!r} was changed a moment ago. Look what it is now: {where} account list")


def _check_admin_left(pins: Mapping[str, Pin], name: str, *, is_admin: bool) -> None:
    if not is_admin and _admins(pins) == [name]:
        raise UserError(f"{name} is the only admin. Make another one first: afrel account add NAME --role admin")


def _admins(pins: Mapping[str, Pin]) -> list[str]:
    return sorted(name for name, pin in pins.items() if pin.role is Role.ADMIN and pin.retired_at is None)
