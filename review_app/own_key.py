"""The key of the person who looks, unlocked with the password they give for one act and kept nowhere."""

from __future__ import annotations

from storage.errors import UserError
from storage.people.accounts import Pin
from storage.people.keys import SigningKey, WrongPasswordError, unlock
from storage.workspace import afrel_home


def unlock_own(person: Pin, password: str) -> SigningKey:
    """Return a person's key; UserError for a wrong password, and when the key is not the one that is pinned."""
    if not password:
        raise UserError(f"this takes the password of {person.account}. Type it")
    try:
        key = unlock(afrel_home(), person.account, password)
    except WrongPasswordError:
        raise UserError(f"this is not the password of {person.account}. Try again") from None
    if key.public_key != person.public_key:
        raise UserError(
            f"the key of {person.account!r} at home is not the one this workspace pins, so what it signs would not "
            "count. An admin pins it on the page Accounts"
        )
    return key
