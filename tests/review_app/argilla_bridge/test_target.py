"""`[argilla]` of afrel.toml: all that is wrong is said together, and the key is never said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from review_app.argilla_bridge.target import read_target
from storage.errors import UserError
from storage.workspace import Workspace

GOOD: dict[str, Any] = {"url": "http://localhost:6900/", "workspace": "review", "api_key_variable": "ARGILLA_API_KEY"}


def workspace(**table: Any) -> Workspace:
    return Workspace(Path("/w"), {"argilla": table})


def test_what_is_said_is_read_and_the_rest_has_defaults() -> None:
    target = read_target(workspace(**GOOD, accounts={"Anna L": "ana"}))
    assert (target.url, target.dataset) == ("http://localhost:6900", "afrel")
    assert (target.account_of("Anna L"), target.account_of("bo")) == ("ana", "bo")


def test_without_the_table_an_example_is_told() -> None:
    with pytest.raises(UserError, match=r"(?s)names no Argilla server.*afrel argilla up.*url = .*afrel argilla push"):
        read_target(Workspace(Path("/w"), {}))


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(UserError) as told:
        read_target(workspace(url="localhost", workspace=3, key="x", dataset="d" * 151, accounts=["ana"]))
    for part in ("unknown key 'key'", "no address", "workspace = 3", "api_key_variable is missing", "151", "accounts"):
        assert part in str(told.value)


def test_a_key_in_the_place_of_its_variable_is_not_repeated() -> None:
    with pytest.raises(UserError) as told:
        read_target(workspace(**{**GOOD, "api_key_variable": "secret-1234-key"}))
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["http://", "ftp://x", "http://me:secret@host", "http://x:99999", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="url = "):
        read_target(workspace(**{**GOOD, "url": url}))


@pytest.mark.parametrize("key", ["", "  ", "k\u00e9y", "a\nb"])
def test_what_is_no_key_is_refused_without_being_said(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGILLA_API_KEY", key)
    with pytest.raises(UserError, match="export ARGILLA_API_KEY=") as told:
        read_target(workspace(**GOOD)).read_key()
    assert not key.strip() or key not in str(told.value)
