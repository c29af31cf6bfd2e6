"""The folder of the workspace's own Argilla: its secrets are its owner's, its lock says whether the server runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from review_app.argilla_bridge.target import read_target
from review_app.argilla_local.home import ServerHome
from storage.errors import UserError
from storage.workspace import Workspace

NOTE = '{"url": "http://127.0.0.1:6900", "pid": 1, "started_at": "2031-05-04T09:30:00+00:00"}'


@pytest.fixture
def home(tmp_path: Path) -> ServerHome:
    made = ServerHome.of(tmp_path)
    made.make()
    return made


def hold(home: ServerHome) -> int:
    descriptor = os.open(home.path / "server.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_the_folder_and_its_secrets_are_for_their_owner_only_and_stay(home: ServerHome) -> None:
    key = home.owner_key.read_text()
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert [(home.path / name).stat().st_mode & 0o777 for name in ("owner.key", "secret")] == [0o600, 0o600]
    assert key != (home.path / "secret").read_text()
    home.make()
    assert home.owner_key.read_text() == key


def test_an_emptied_key_is_made_anew(home: ServerHome) -> None:
    home.owner_key.write_text("")
    home.make()
    assert len(home.owner_key.read_text().strip()) >= 60


def test_the_lock_and_not_the_note_says_that_it_is_up(home: ServerHome) -> None:
    (home.path / "server.json").write_text(NOTE)
    assert not home.is_up()
    descriptor = hold(home)
    assert home.is_up()
    os.close(descriptor)
    assert not home.is_up()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": 1}', "\x00\x01", '{"url": "u", "pid": "x"}'])
def test_a_note_that_cannot_be_read_is_none(home: ServerHome, note: str) -> None:
    (home.path / "server.json").write_text(note)
    assert home.last_run() is None


def test_the_end_of_the_log_is_told_whatever_bytes_it_has(home: ServerHome) -> None:
    assert home.last_lines(5) == []
    home.log.write_bytes(b"x" * 300_000 + b"\n\xff\xfe broken\n" + "茶几\n".encode())
    assert home.last_lines(2) == ["\ufffd\ufffd broken", "茶几"]


def test_without_a_url_the_workspaces_own_server_is_the_target(home: ServerHome) -> None:
    workspace = Workspace(home.path.parent, {"argilla": {"dataset": "shop", "accounts": {"Anna": "ana"}}})
    with pytest.raises(UserError, match=r"none was started in this workspace. Start one: afrel argilla up"):
        read_target(workspace)
    (home.path / "server.json").write_text(NOTE)
    with pytest.raises(UserError, match=r"is down. Start it: afrel argilla up"):
        read_target(workspace)
    descriptor = hold(home)
    target = read_target(workspace)
    assert (target.url, target.workspace, target.dataset) == ("http://127.0.0.1:6900", "review", "shop")
    assert (target.read_key(), target.account_of("Anna")) == (home.owner_key.read_text().strip(), "ana")
    os.close(descriptor)


def test_a_key_variable_without_a_url_is_a_mistake() -> None:
    with pytest.raises(UserError, match="api_key_variable is for a server elsewhere, and url is missing"):
        read_target(Workspace(Path("/w"), {"argilla": {"api_key_variable": "X"}}))
