"""The role table is the table of the design, and pins that could mislead are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from storage.errors import UserError
from storage.people.accounts import (
    Act,
    Pin,
    Role,
    check_account,
    may,
    pin_from_row,
    pins_from_json,
    pins_to_json,
    require,
    retired,
)
from tests.conftest import ROOT

KEY_A, KEY_B = "a1" * 32, "b2" * 32
PINS = [Pin("bo", Role.ADMIN, KEY_B, "reviewer 2"), Pin("ana", Role.CURATOR, KEY_A, "reviewer 1")]

TABLE = {
    Role.REVIEWER: {Act.REVIEW},
    Role.ADJUDICATOR: {Act.REVIEW, Act.ADJUDICATE, Act.APPROVE, Act.SIGN, Act.REVOKE},
    Role.CURATOR: {Act.REVIEW, Act.APPROVE, Act.SQL, Act.CUT, Act.PREPARE, Act.PULL},
    Role.ENGINEER: {Act.SQL, Act.TRAIN, Act.PREPARE},
    Role.ADMIN: set(Act),
}


def test_each_role_may_do_exactly_what_the_table_says() -> None:
    assert {role: {act for act in Act if may(role, act)} for role in Role} == TABLE


def test_the_table_in_the_docs_is_the_one_that_holds() -> None:
    lines = (ROOT / "docs" / "access.md").read_text(encoding="utf-8").splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.count("|") == 7]
    shown = {Act(act): {Role(r) for r, mark in zip(header[1:], marks, strict=True) if mark} for act, *marks in rows}
    assert shown == {act: {role for role in Role if may(role, act)} for act in Act}


def test_a_refused_act_says_who_may() -> None:
    require(PINS[1], Act.CUT)
    with pytest.raises(UserError, match=r"account 'ana' is curator, which may not sign; adjudicator or admin may"):
        require(PINS[1], Act.SIGN)


def test_a_retired_account_may_do_nothing_whatever_its_role_was() -> None:
    retired_admin = replace(PINS[0], retired_at="2031-05-04T09:30:00.000001")
    for act in Act:
        with pytest.raises(UserError, match=r"'bo' was retired on 2031-05-04 .*account add bo --role"):
            require(retired_admin, act)


def test_the_latest_row_of_an_account_says_whether_it_is_retired_and_from_what() -> None:
    row = {"account": "bo", "public_key": KEY_B, "pseudonym": "p", "created_at": datetime(2031, 5, 4, 9, 30)}
    assert pin_from_row({**row, "role": "admin"}) == Pin("bo", Role.ADMIN, KEY_B, "p")
    left = pin_from_row({**row, "role": retired(Role.ADMIN)})
    assert left == Pin("bo", Role.ADMIN, KEY_B, "p", retired_at="2031-05-04T09:30:00")


def test_pins_tell_the_retired_from_the_active() -> None:
    pins = [PINS[1], replace(PINS[0], retired_at="2031-05-04T09:30:00")]
    text = pins_to_json(pins)
    assert pins_from_json(text) == {"ana": pins[0], "bo": pins[1]}
    assert ["retired_at" in row for row in json.loads(text)["accounts"]] == [False, True]


def test_pins_survive_the_round_trip_in_any_order() -> None:
    assert pins_from_json(pins_to_json(PINS)) == {"ana": PINS[1], "bo": PINS[0]}
    assert pins_to_json(PINS) == pins_to_json(reversed(PINS))


def _altered(**changes: object) -> str:
    content = json.loads(pins_to_json(PINS))
    content["accounts"][0] |= changes
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "format"),
        ('{"format": 2, "accounts": []}', "format"),
        ('{"format": 1}', "list `accounts`"),
        ('{"format": 1, "accounts": [1]}', r"accounts\[0\]: must hold exactly"),
        (_altered(role="owner"), "role 'owner' is none of reviewer"),
        (_altered(public_key="a1"), "not 64 hex digits"),
        (_altered(public_key=KEY_A.upper()), "not 64 hex digits"),
        (_altered(public_key=KEY_B), f"public_key '{KEY_B}' stands twice"),
        (_altered(account="bo"), "account 'bo' stands twice"),
        (_altered(pseudonym="reviewer 2"), "pseudonym 'reviewer 2' stands twice"),
        (_altered(pseudonym=""), "pseudonym is empty"),
        (_altered(account="../ana"), "is no account name"),
        (_altered(private_key="x"), "must hold exactly"),
        (_altered(role=None), "must hold exactly"),
        (_altered(role="retired admin"), "role 'retired admin' is none of reviewer"),
        (_altered(retired_at=None), "must hold exactly"),
        (_altered(retired_at="yesterday"), "retired_at 'yesterday' is no time"),
        (_altered(retired_at="2031-05-04T09:30:00+02:00"), "is no time"),
    ],
)
def test_wrong_pins_are_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pins_from_json(text)


def test_all_wrong_pins_are_named_together() -> None:
    text = json.dumps({"format": 1, "accounts": [1, {"account": "ana"}]})
    with pytest.raises(UserError, match=r"accounts\[0\].*accounts\[1\]"):
        pins_from_json(text)


@pytest.mark.parametrize("account", ["ana", "a", "ana.li@shop.example", "r2-d2_x", "a" * 64])
def test_a_plain_account_name_is_taken(account: str) -> None:
    assert check_account(account) == account


@pytest.mark.parametrize(
    "account", ["", "Ana", "../x", "a/b", "a\\b", ".ana", "ana.", "a..b", "a b", "a\n", "a\x00", "é", "a" * 65, "-a"]
)
def test_an_account_name_that_is_unsafe_in_a_path_is_refused(account: str) -> None:
    with pytest.raises(UserError, match="account name"):
        check_account(account)
