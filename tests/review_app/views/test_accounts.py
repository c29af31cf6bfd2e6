"""The page of accounts: admins keep everybody's, everybody their own password."""

from __future__ import annotations

import re

import pytest

from review_app.server.logins import Logins
from storage.people.accounts import pin_from_row
from storage.people.keys import unlock
from storage.store import Store
from storage.workspace import afrel_home
from tests.review_app.tier_shop import PASSWORD, Shop
from tests.review_app.views.drawn import button, drawn, field, words

OWN = "Password of root, which is you"


def role_of(store: Store, account: str) -> str:
    (pin,) = [pin_from_row(row) for row in store.read("accounts").to_pylist() if row["account"] == account]
    return f"{pin.role}{' retired' if pin.retired_at else ''}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_admin_sees_everybody_with_pseudonym_and_key(shop: Shop, language: str) -> None:
    app = drawn(shop, "accounts", "root", language)
    assert not app.exception
    listed = [[str(cell).replace("\\", "") for cell in row] for row in app.table[0].value.itertuples(index=False)]
    assert [row[0] for row in listed] == ["ana", "bo", "cleo", "dora", "eli", "root"]
    assert listed[0][2:4] == ["person_ana", shop.people["ana"].public_key[:12]]


def test_an_added_account_is_handed_over_with_a_password_that_opens_its_key(shop: Shop, served_store: Store) -> None:
    app = drawn(shop, "accounts", "root")
    field(app, "Account name").set_value("fay")
    field(app, OWN).set_value(PASSWORD)
    button(app, "Add the account").click().run()
    assert not app.error
    (handed,) = [one.value for one in app.code]
    assert "Open http://shop.example/" in handed
    made_up = re.search(r"as fay with the password (\S+)", handed)
    assert made_up is not None and unlock(afrel_home(), "fay", made_up[1])
    assert role_of(served_store, "fay") == "reviewer"
    button(app, "Put this away").click().run()
    assert not app.code


def test_a_typed_first_password_is_typed_twice_and_not_shown(shop: Shop) -> None:
    app = drawn(shop, "accounts", "root")
    app.checkbox[0].set_value(False).run()
    for again in ("other password", "first password"):
        field(app, "Account name").set_value("fay")
        field(app, "First password").set_value("first password")
        field(app, "Again").set_value(again)
        field(app, OWN).set_value(PASSWORD)
        button(app, "Add the account").click().run()
        assert bool(app.error) is (again == "other password")
    assert "first password" not in words(app)
    assert unlock(afrel_home(), "fay", "first password")


def test_a_name_with_a_key_at_home_asks_for_its_own_password(shop: Shop) -> None:
    app = drawn(shop, "accounts", "root")
    field(app, "Account name").set_value("ana")
    field(app, OWN).set_value(PASSWORD)
    button(app, "Add the account").click().run()
    assert "ana has a key at home already" in words(app)


def test_a_role_is_changed_and_an_account_retired_with_the_admins_password(shop: Shop, served_store: Store) -> None:
    app = drawn(shop, "accounts", "root")
    field(app, "Role", "selectbox", place=1).set_value("curator")
    field(app, OWN, place=1).set_value("not it at all")
    button(app, "Change the role").click().run()
    assert "not the password of root" in words(app)
    assert role_of(served_store, "ana") == "reviewer"
    field(app, "Role", "selectbox", place=1).set_value("curator")
    field(app, OWN, place=1).set_value(PASSWORD)
    button(app, "Change the role").click().run()
    assert "ana is curator from now on" in words(app)
    app.segmented_control[0].set_value("retire").run()
    field(app, OWN, place=1).set_value(PASSWORD)
    button(app, "Retire the account").click().run()
    assert role_of(served_store, "ana") == "curator retired"


def test_a_new_key_is_handed_over(shop: Shop, served_store: Store) -> None:
    app = drawn(shop, "accounts", "root")
    field(app, "Account", "selectbox").set_value("bo").run()
    app.segmented_control[0].set_value("key").run()
    assert "Signatures: 0" in words(app)
    field(app, OWN, place=1).set_value(PASSWORD)
    button(app, "Give a new key").click().run()
    made_up = re.search(r"as bo with the password (\S+)", app.code[0].value)
    assert made_up is not None
    key = unlock(afrel_home(), "bo", made_up[1])
    (held,) = [row for row in served_store.read("accounts").to_pylist() if row["account"] == "bo"]
    assert held["public_key"] == key.public_key != shop.people["bo"].public_key


@pytest.mark.parametrize("account", ["ana", "cleo", "dora", "eli"])
def test_everybody_else_sees_their_own_account_only(shop: Shop, account: str) -> None:
    app = drawn(shop, "accounts", account)
    assert not app.exception and not app.dataframe and not app.selectbox
    assert f"You are {account}" in words(app)
    assert "person_root" not in words(app)


def test_one_changes_ones_own_password(shop: Shop) -> None:
    app = drawn(shop, "accounts", "ana")
    for label, value in (("Your password", PASSWORD), ("New password", "another one"), ("Again", "another one")):
        field(app, label).set_value(value)
    button(app, "Change").click().run()
    assert "Your password is changed" in words(app)
    assert unlock(afrel_home(), "ana", "another one").public_key == shop.people["ana"].public_key


def test_logging_out_everywhere_ends_the_logins_of_nobody_else(shop: Shop) -> None:
    logins = Logins(afrel_home(), shop.workspace.root)
    tokens = {name: logins.open(name, shop.people[name].public_key) for name in ("ana", "bo")}
    app = drawn(shop, "accounts", "ana")
    button(app, "Log out everywhere").click().run()
    assert logins.find(tokens["ana"], is_active=False) is None
    assert logins.find(tokens["bo"], is_active=False) is not None
