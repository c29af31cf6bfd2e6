"""What is done with accounts, free of any page: add, change, retire, give a new key, change one's own password.

Only admins change accounts, and say so with their password each time: a browser left open makes nobody an admin. The
register (`storage.people.account_register`) decides under its lock; what holds on the command line holds here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from review_app.own_key import unlock_own
from review_app.server.logins import Logins
from storage.errors import UserError
from storage.people.account_register import add_account, retire_account
from storage.people.accounts import Act, Pin, Role, check_account, may, pin_from_row, require
from storage.people.keys import (
    change_password,
    create_key,
    has_key,
    open_or_create_key,
    put_key_back,
    set_aside_key,
)
from storage.session import Session
from storage.store import Store
from storage.workspace import Workspace, afrel_home

# Without letters and digits that are taken for each other when read aloud or copied by hand: 5 bits each.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5


@dataclass(frozen=True, slots=True)
class Vouched:
    """What rests on an account's key: tiers it signed and snapshots it cut, which a new key no longer vouches for."""

    n_signatures: int
    n_cut: int


def list_accounts(person: Pin, store: Store) -> list[Pin]:
    """Return all accounts by name, the retired ones among them."""
    require(person, Act.ACCOUNTS)
    return list(_pins(store).values())


def vouched(person: Pin, store: Store, account: str) -> Vouched:
    """Return what rests on an account's key."""
    require(person, Act.ACCOUNTS)
    signatures = store.read("signatures").column("account").to_pylist()
    cut = store.read("snapshots").column("account").to_pylist()
    return Vouched(signatures.count(account), cut.count(account))


def lies_at_home(person: Pin, account: str) -> bool:
    """Say whether an account has a key at home, made for this workspace or another one."""
    require(person, Act.ACCOUNTS)
    return has_key(afrel_home(), account)


def new_password(person: Pin) -> str:
    """Return a first password to hand over: 20 random letters and digits, close to 99 bits."""
    require(person, Act.ACCOUNTS)
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def add(
    person: Pin, workspace: Workspace, store: Store, name: str, role: Role, *, password: str, own_password: str
) -> Pin:
    """Add an account, or a retired one again. Its key is made under the password, or opened with it when it has one.

    `own_password` is the admin's. UserError for a name in use.
    """
    require(person, Act.ACCOUNTS)
    check_account(name)
    unlock_own(person, own_password)
    held = _pins(store).get(name)
    if held is not None and held.retired_at is None:
        raise UserError(f"{name} has an account already, as {held.role}. Change its role instead")
    return add_account(
        _session(person, workspace),
        name,
        role=role,
        public_key=lambda: open_or_create_key(afrel_home(), name, password),
        held=held,
        by=person.account,
    )


def change_role(person: Pin, workspace: Workspace, store: Store, name: str, role: Role, *, own_password: str) -> Pin:
    """Give an account another role; its key stays. UserError when no admin would be left."""
    require(person, Act.ACCOUNTS)
    unlock_own(person, own_password)
    held = _active(store, name)
    return add_account(
        _session(person, workspace),
        name,
        role=role,
        public_key=lambda: held.public_key,
        held=held,
        by=person.account,
    )


def retire(person: Pin, workspace: Workspace, store: Store, name: str, *, own_password: str) -> Pin:
    """Take all rights from an account; what it did and signed stays. UserError for the last admin."""
    require(person, Act.ACCOUNTS)
    unlock_own(person, own_password)
    return retire_account(_session(person, workspace), _active(store, name), by=person.account)


def give_new_key(
    person: Pin, workspace: Workspace, store: Store, name: str, *, password: str, own_password: str
) -> Pin:
    """Make an account a new key under a first password and pin it; the old key's file is laid aside at home.

    What the old key signed no longer counts, in this workspace; in others that share this home the account has to be
    pinned anew, too.
    """
    require(person, Act.ACCOUNTS)
    unlock_own(person, own_password)
    held = _active(store, name)
    undo: Callable[[], None] = lambda: None  # noqa: E731 - until there is something to undo

    def made() -> str:
        nonlocal undo
        home = afrel_home()
        aside = set_aside_key(home, name)
        undo = lambda: put_key_back(home, name, aside)  # noqa: E731
        return create_key(home, name, password)

    try:
        return add_account(
            _session(person, workspace), name, role=held.role, public_key=made, held=held, by=person.account
        )
    except BaseException:
        undo()
        raise


def change_own_password(person: Pin, *, old: str, new: str, again: str) -> None:
    """Seal one's own key under another password. Every login of the account ends with it, this one too."""
    _require_active(person)
    if new != again:
        raise UserError("the two new passwords differ. Type the same one twice")
    if new == old:
        raise UserError("the new password is the old one. Choose another")
    unlock_own(person, old)
    change_password(afrel_home(), person.account, old, new)


def log_out_everywhere(person: Pin, logins: Logins) -> int:
    """End every login of one's own account, this one too; return how many there were."""
    _require_active(person)
    return logins.close_all(person.account)


def _require_active(person: Pin) -> None:
    """Let in everybody who is not retired; UserError for the others."""
    require(person, next(act for act in Act if may(person.role, act)))


def _active(store: Store, name: str) -> Pin:
    held = _pins(store).get(name)
    if held is None or held.retired_at is not None:
        raise UserError(f"there is no account {name!r} that is not retired")
    return held


def _session(person: Pin, workspace: Workspace) -> Session:
    return Session(workspace.root, person.account)


def _pins(store: Store) -> dict[str, Pin]:
    return {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}
