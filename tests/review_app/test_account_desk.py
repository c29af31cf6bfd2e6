"""Accounts from the page: admins change them, with their password each time; what the register refuses is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from review_app import account_desk
from storage.errors import UserError
from storage.people.accounts import Pin, Role, pin_from_row
from storage.people.keys import unlock
from storage.store import Store
from storage.workspace import afrel_home
from tests.review_app.tier_shop import PASSWORD, Shop

FIRST = "first-password"


def pins(store: Store) -> dict[str, Pin]:
    return {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}


def add(shop: Shop, store: Store, name: str = "fay", role: Role = Role.REVIEWER, **changed: str) -> Pin:
    given = {"password": FIRST, "own_password": PASSWORD, **changed}
    return account_desk.add(shop.people["root"], shop.workspace, store, name, role, **given)


def test_a_new_account_gets_a_key_that_its_first_password_opens(shop: Shop, served_store: Store) -> None:
    pin = add(shop, served_store)
    assert pins(served_store)["fay"] == pin and pin.role is Role.REVIEWER
    assert unlock(afrel_home(), "fay", FIRST).public_key == pin.public_key


def test_a_name_in_use_is_refused_and_a_retired_one_comes_back_under_its_pseudonym(
    shop: Shop, served_store: Store
) -> None:
    root = shop.people["root"]
    with pytest.raises(UserError, match="ana has an account already, as reviewer"):
        add(shop, served_store, "ana")
    account_desk.retire(root, shop.workspace, served_store, "ana", own_password=PASSWORD)
    assert pins(served_store)["ana"].retired_at is not None
    with pytest.raises(UserError, match="opens with this password"):
        add(shop, served_store, "ana")  # her key is at home, under her own password
    back = add(shop, served_store, "ana", Role.CURATOR, password=PASSWORD)
    assert (back.role, back.retired_at, back.pseudonym) == (Role.CURATOR, None, "person_ana")


def test_an_admin_says_so_with_the_password_each_time(shop: Shop, served_store: Store) -> None:
    root = shop.people["root"]
    before = pins(served_store)
    wrong = {"own_password": "not the password"}
    for refused in (
        lambda: add(shop, served_store, **wrong),
        lambda: account_desk.change_role(root, shop.workspace, served_store, "ana", Role.ADMIN, **wrong),
    ):
        with pytest.raises(UserError, match="not the password of root"):
            refused()
    with pytest.raises(UserError, match="takes the password of root"):
        account_desk.retire(root, shop.workspace, served_store, "ana", own_password="")
    assert pins(served_store) == before
    assert not account_desk.lies_at_home(root, "fay")


def test_a_role_changes_and_the_key_stays(shop: Shop, served_store: Store) -> None:
    changed = account_desk.change_role(
        shop.people["root"], shop.workspace, served_store, "ana", Role.ADJUDICATOR, own_password=PASSWORD
    )
    assert changed == replace(shop.people["ana"], role=Role.ADJUDICATOR)


def test_the_last_admin_stays(shop: Shop, served_store: Store) -> None:
    root = shop.people["root"]
    with pytest.raises(UserError, match="root is the only admin"):
        account_desk.retire(root, shop.workspace, served_store, "root", own_password=PASSWORD)
    with pytest.raises(UserError, match="root is the only admin"):
        account_desk.change_role(root, shop.workspace, served_store, "root", Role.CURATOR, own_password=PASSWORD)


def test_a_new_key_is_pinned_and_the_old_file_is_laid_aside(shop: Shop, served_store: Store) -> None:
    pin = account_desk.give_new_key(
        shop.people["root"], shop.workspace, served_store, "bo", password=FIRST, own_password=PASSWORD
    )
    assert pin.public_key != shop.people["bo"].public_key
    assert pins(served_store)["bo"] == pin == replace(shop.people["bo"], public_key=pin.public_key)
    assert unlock(afrel_home(), "bo", FIRST).public_key == pin.public_key
    assert len(aside()) == 1


def aside() -> list[Path]:
    return list((afrel_home() / "keys").glob("bo.aside-*"))


def test_a_new_key_that_is_not_made_leaves_the_old_one_in_place(shop: Shop, served_store: Store) -> None:
    with pytest.raises(UserError, match="at least 8"):
        account_desk.give_new_key(
            shop.people["root"], shop.workspace, served_store, "bo", password="short", own_password=PASSWORD
        )
    assert unlock(afrel_home(), "bo", PASSWORD).public_key == shop.people["bo"].public_key
    assert aside() == []


def test_what_rests_on_a_key_is_counted(shop: Shop, served_store: Store) -> None:
    at = served_store.read("accounts").column("created_at").to_pylist()[0]
    served_store.append(
        {
            "signatures": [
                {"signature_id": f"sg_{tier}", "snapshot_id": "snap_1", "tier": tier, "account": "dora",
                 "signature": "00", "created_at": at}
                for tier in (1, 2)
            ]
        }
    )  # fmt: skip
    root = shop.people["root"]
    assert account_desk.vouched(root, served_store, "dora") == account_desk.Vouched(2, 0)
    assert account_desk.vouched(root, served_store, "ana") == account_desk.Vouched(0, 0)


def test_one_changes_ones_own_password_and_the_key_stays(shop: Shop) -> None:
    ana = shop.people["ana"]
    account_desk.change_own_password(ana, old=PASSWORD, new="another password", again="another password")
    assert unlock(afrel_home(), "ana", "another password").public_key == ana.public_key


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        (PASSWORD, "another password", "another passwort", "differ"),
        (PASSWORD, PASSWORD, PASSWORD, "is the old one"),
        (PASSWORD, "short", "short", "at least 8"),
        ("not the password", "another password", "another password", "not the password of ana"),
    ],
)
def test_a_password_that_is_not_taken_leaves_the_old_one(shop: Shop, old: str, new: str, again: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        account_desk.change_own_password(shop.people["ana"], old=old, new=new, again=again)
    assert unlock(afrel_home(), "ana", PASSWORD)


def test_first_passwords_are_long_and_none_comes_twice(shop: Shop) -> None:
    made = {account_desk.new_password(shop.people["root"]) for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) == 23 and not set(password) & set("il1o0") for password in made)


@pytest.mark.parametrize("account", ["ana", "cleo", "dora", "eli"])
def test_only_admins_keep_accounts(shop: Shop, shop_store: Store, account: str) -> None:
    person = shop.people[account]
    for refused in (
        lambda: account_desk.list_accounts(person, shop_store),
        lambda: account_desk.new_password(person),
        lambda: account_desk.vouched(person, shop_store, "root"),
        lambda: account_desk.lies_at_home(person, "root"),
        lambda: account_desk.add(
            person, shop.workspace, shop_store, "fay", Role.ADMIN, password=FIRST, own_password=PASSWORD
        ),
        lambda: account_desk.change_role(
            person, shop.workspace, shop_store, account, Role.ADMIN, own_password=PASSWORD
        ),
        lambda: account_desk.retire(person, shop.workspace, shop_store, "root", own_password=PASSWORD),
        lambda: account_desk.give_new_key(
            person, shop.workspace, shop_store, "root", password=FIRST, own_password=PASSWORD
        ),
    ):
        with pytest.raises(UserError, match="may not keep accounts"):
            refused()


def test_a_retired_person_does_nothing(shop: Shop) -> None:
    gone = replace(shop.people["ana"], retired_at="2031-05-04T09:30:00")
    with pytest.raises(UserError, match="was retired"):
        account_desk.change_own_password(gone, old=PASSWORD, new="another password", again="another password")
