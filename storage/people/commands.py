"""`afrel account`: people, their roles, and the pins that trainers check signatures against."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from storage.errors import UserError
from storage.people.account_register import add_account, retire_account
from storage.people.accounts import Act, Pin, Role, check_account, pins_to_json
from storage.people.keys import PASSWORD_FILE, change_password, has_key, open_or_create_key, read_password, unlock
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
    is_active = held is not None and held.retired_at is None
    if held is not None and is_active and held.role is role and not new_key:
        print(f"nothing to do: {name} is {role} already")
        return
    if pins:
        by = session.require(Act.ACCOUNTS).account
    elif role is Role.ADMIN:
        by = None
    else:
        raise UserError(f"the first account must be an admin. Make one: afrel account add {name} --role admin")
    password = None
    if new_key or not is_active:
        password = read_password(name, is_new=not has_key(afrel_home(), name))

    def public_key() -> str:
        if held is not None and password is None:
            return held.public_key
        return open_or_create_key(afrel_home(), name, str(password))

    pin = add_account(session, name, role=role, public_key=public_key, held=held, by=by)
    if pin == held:
        print(f"nothing to do: {name} is pinned with this key already")
    else:
        print(f"{name} is {role}, known to others as {pin.pseudonym}")


@account.command()
def retire(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The account.")],
) -> None:
    """Retire an account: it may do nothing any more, what it did and signed before stays. Adding it again undoes it.

    Example: afrel -w shop --as root account retire ana
    """
    session: Session = ctx.obj
    held = session.pins().get(name)
    if held is None:
        raise UserError(f"there is no account {name!r} in {session.workspace.root}. List them: afrel account list")
    if held.retired_at is not None:
        print(f"nothing to do: {name} was retired on {held.retired_at[:10]}")
        return
    retire_account(session, held, by=session.require(Act.ACCOUNTS).account)
    print(f"{name} is retired: what {name} did and signed stays, nothing new is taken")


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
        rows = [
            {"account": p.account, "role": p.role.value, "pseudonym": p.pseudonym, "retired_at": p.retired_at}
            for p in pins.values()
        ]
        print(json.dumps(rows))
        return
    for pin in pins.values():
        until = f"  retired {pin.retired_at[:10]}" if pin.retired_at else ""
        print(f"{pin.account:<20} {pin.role.value:<12} {pin.pseudonym:<14} key {pin.public_key[:12]}…{until}")
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
    new = read_password(name, is_new=True)
    if new == old:
        raise UserError(
            f"the new password of {name} is the old one. Where {PASSWORD_FILE} names both, unset it and type them: "
            f"afrel account password {name}"
        )
    change_password(afrel_home(), name, old, new)
    print(f"{name} has a new password")
