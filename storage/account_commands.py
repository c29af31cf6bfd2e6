"""`afrel account`: people, their roles, and the pins that trainers check signatures against."""

from __future__ import annotations

import json
import secrets
import sys
from typing import Annotated

import typer

from storage.accounts import Act, Pin, Role, check_account, pins_to_json
from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id, new_session
from storage.keys import change_password, create_key, has_key, read_password, unlock
from storage.rows import AccountRow
from storage.session import Session
from storage.workspace import afrel_home

account = typer.Typer(
    name="account",
    help="People of a workspace. Keys lie encrypted in AFREL_HOME, the workspace pins their public halves.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@account.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="a-z, 0-9 and . _ - @")],
    role: Annotated[Role, typer.Option(help="What the account may do.")],
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Pin the key that lies at home now: for an account whose key was lost.")
    ] = False,
) -> None:
    """Add an account, give one another role, or pin a new key. The first must be an admin; then admins add the others.

    Example: afrel -w shop --as root account add ana --role reviewer
    """
    session: Session = ctx.obj
    check_account(name)
    pins = session.pins()
    held = pins.get(name)
    if held is not None and held.role == role and not new_key:
        print(f"nothing to do: {name} is {role} already")
        return
    if pins:
        by = session.require(Act.ACCOUNTS).account
    elif role is not Role.ADMIN:
        raise UserError(f"the first account must be an admin. Make one: afrel account add {name} --role admin")
    else:
        by = name
    if held is not None and held.role is Role.ADMIN and sum(pin.role is Role.ADMIN for pin in pins.values()) == 1:
        raise UserError(f"{name} is the only admin. Make another one first: afrel account add NAME --role admin")
    public_key = held.public_key if held is not None and not new_key else _own_key(name)
    if held is not None and held.role == role and held.public_key == public_key:
        print(f"nothing to do: {name} is pinned with this key already")
        return
    pseudonym = held.pseudonym if held is not None else f"person_{secrets.token_hex(3)}"
    with session.store() as store:
        row = AccountRow(
            account_event_id=action_id(by, new_session(), 1),
            account=name,
            role=role.value,
            public_key=public_key,
            pseudonym=pseudonym,
            by_account=by,
            created_at=now(),
        )
        store.append({"accounts": [row]})
    print(f"{name} is {role}, known to others as {pseudonym}")


def _own_key(name: str) -> str:
    """Return the public key of an account at home, made when there is none; both ask for its password."""
    home = afrel_home()
    if has_key(home, name):
        return unlock(home, name, read_password(name)).public_key
    return create_key(home, name, read_password(name, is_new=True))


@account.command(name="list")
def list_accounts(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List accounts with role, pseudonym and the start of the pinned key.

    Example: afrel -w shop account list
    """
    session: Session = ctx.obj
    pins = session.pins()
    if as_json:
        rows = [{"account": p.account, "role": p.role.value, "pseudonym": p.pseudonym} for p in pins.values()]
        print(json.dumps(rows))
        return
    for pin in pins.values():
        print(f"{pin.account:<20} {pin.role.value:<12} {pin.pseudonym:<14} key {pin.public_key[:12]}…")
    if not pins:
        print("no accounts yet", file=sys.stderr)
        print("make the first: afrel account add NAME --role admin", file=sys.stderr)


@account.command()
def pins(ctx: typer.Context) -> None:
    """Print the pins, for training away from the workspace (`afrel train --pins FILE`).

    Example: afrel -w shop account pins > pins.json
    """
    session: Session = ctx.obj
    pinned: dict[str, Pin] = session.pins()
    print(pins_to_json(pinned.values()), end="")


@account.command()
def password(
    name: Annotated[str, typer.Argument(help="The account.")],
) -> None:
    """Change an account's password; the key, and so every signature, stays.

    Example: afrel account password ana
    """
    old = read_password(name)
    unlock(afrel_home(), name, old)
    change_password(afrel_home(), name, old, read_password(name, is_new=True))
    print(f"{name} has a new password")
