"""A workspace has one first admin, never loses its last one, and an account's latest act is the one that counts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.clock import now
from storage.errors import UserError
from storage.people import account_register
from storage.people.account_register import add_account, retire_account
from storage.people.accounts import Role
from storage.session import Session
from tests.conftest import Afrel


@pytest.fixture
def folder(afrel: Afrel, tmp_path: Path) -> Path:
    """A workspace without accounts, its store process up."""
    afrel("init", tmp_path / "w")
    afrel("status", workspace=tmp_path / "w")
    return tmp_path / "w"


def listed(afrel: Afrel, folder: Path) -> dict[str, dict[str, Any]]:
    rows = json.loads(afrel("account", "list", "--json", workspace=folder).stdout)
    return {row["account"]: row for row in rows}


def at_once(afrel: Afrel, folder: Path, calls: list[tuple[str | None, tuple[str, ...]]]) -> list[Any]:
    """Run `afrel --as WHO account …` for each call, all at once."""
    with ThreadPoolExecutor(len(calls)) as pool:
        started = [
            pool.submit(afrel, "account", *words, workspace=folder, account=who, ok=False) for who, words in calls
        ]
        return [one.result() for one in started]


def test_of_four_first_accounts_made_at_once_one_is_admin_and_the_others_are_told_how_to_go_on(
    afrel: Afrel, folder: Path, tmp_path: Path
) -> None:
    done = at_once(afrel, folder, [(None, ("add", name, "--role", "admin")) for name in ("a", "b", "c", "d")])
    assert sorted(one.returncode for one in done) == [0, 2, 2, 2], [one.stderr for one in done]
    (admin,) = listed(afrel, folder)
    assert [one.stdout.split(" is ")[0] for one in done if one.returncode == 0] == [admin]
    for one in done:
        if one.returncode:
            assert "Traceback" not in one.stderr and "afrel" in one.stderr.split(". ", 1)[1], one.stderr
    assert [path.name for path in (tmp_path / "home" / "keys").iterdir()] == [f"{admin}.json"]


@pytest.mark.slow
def test_one_name_added_four_times_at_once_is_one_account(afrel: Afrel, folder: Path) -> None:
    done = at_once(afrel, folder, [(None, ("add", "root", "--role", "admin"))] * 4)
    assert [one.returncode for one in done].count(0) >= 1
    assert all("Traceback" not in one.stderr for one in done)
    assert list(listed(afrel, folder)) == ["root"]


@pytest.mark.slow
def test_two_admins_who_retire_each_other_at_once_leave_one(afrel: Afrel, folder: Path) -> None:
    afrel("account", "add", "a", "--role", "admin", workspace=folder)
    afrel("account", "add", "b", "--role", "admin", workspace=folder, account="a")
    done = at_once(afrel, folder, [("a", ("retire", "b")), ("b", ("retire", "a"))])
    assert sorted(one.returncode for one in done) == [0, 2]
    refused = next(one.stderr for one in done if one.returncode)
    assert "was retired" in refused and "afrel --as ADMIN account add" in refused
    assert sorted(row["retired_at"] is None for row in listed(afrel, folder).values()) == [False, True]


def test_the_only_admin_can_be_neither_retired_nor_given_another_role(afrel: Afrel, folder: Path) -> None:
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    for words in (("retire", "root"), ("add", "root", "--role", "reviewer")):
        refused = afrel("account", *words, workspace=folder, account="root", ok=False)
        assert refused.returncode == 2 and "root is the only admin. Make another one first" in refused.stderr
    assert listed(afrel, folder)["root"]["role"] == "admin"


@pytest.mark.slow
def test_an_admin_who_is_retired_does_not_count_as_one_who_is_left(afrel: Afrel, folder: Path) -> None:
    afrel("account", "add", "a", "--role", "admin", workspace=folder)
    afrel("account", "add", "b", "--role", "admin", workspace=folder, account="a")
    afrel("account", "retire", "a", workspace=folder, account="b")
    refused = afrel("account", "retire", "b", workspace=folder, account="b", ok=False)
    assert "b is the only admin" in refused.stderr


@pytest.mark.slow
def test_only_admins_retire_and_an_unknown_account_is_named(afrel: Afrel, folder: Path) -> None:
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    afrel("account", "add", "ana", "--role", "reviewer", workspace=folder, account="root")
    assert "'ana' is reviewer" in afrel("account", "retire", "root", workspace=folder, account="ana", ok=False).stderr
    nobody = afrel("account", "retire", "root", workspace=folder, ok=False).stderr
    assert "it takes an account to keep accounts" in nobody and "afrel --as ACCOUNT" in nobody
    unknown = afrel("account", "retire", "bo", workspace=folder, account="root", ok=False).stderr
    assert "there is no account 'bo'" in unknown and "afrel account list" in unknown


@pytest.fixture
def session(afrel: Afrel, folder: Path) -> Session:
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    return Session(folder, "root")


def test_a_retirement_counts_though_the_clock_was_set_back(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = add_account(session, "ana", role=Role.ADJUDICATOR, public_key=lambda: "a1" * 32, held=None, by="root")
    added_at = next(row for row in _rows(session) if row["account"] == "ana")["created_at"]
    monkeypatch.setattr(account_register, "now", lambda: now() - timedelta(days=400))
    retired = retire_account(session, ana, by="root")
    assert session.pins()["ana"] == retired
    assert retired.retired_at == (added_at + timedelta(microseconds=1)).isoformat()


def _rows(session: Session) -> list[dict[str, Any]]:
    with session.store() as store:
        return list(store.read("accounts").to_pylist())


def test_a_decision_on_an_account_that_was_changed_meanwhile_is_refused(session: Session) -> None:
    ana = add_account(session, "ana", role=Role.REVIEWER, public_key=lambda: "a1" * 32, held=None, by="root")
    retire_account(session, ana, by="root")
    with pytest.raises(UserError, match=r"'ana' was changed a moment ago.*account list"):
        add_account(session, "ana", role=Role.CURATOR, public_key=lambda: "a1" * 32, held=ana, by="root")


def test_a_password_that_stays_the_same_is_not_called_new(afrel: Afrel, folder: Path) -> None:
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    refused = afrel("account", "password", "root", ok=False)
    assert refused.returncode == 2 and "the new password of root is the old one" in refused.stderr
