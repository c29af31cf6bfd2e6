"""Logins as files: what opens and ends them, and what lies on disk."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from review_app.server.logins import Logins, csrf_of
from storage.people.keys import change_password, create_key
from tests.review_app.server.served_app import CHEAP, PASSWORD

START = datetime(2031, 5, 5, 8, 0)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **length: float) -> None:
        self.now += timedelta(**length)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(tmp_path: Path, clock: Clock) -> Logins:
    return Logins(tmp_path / "home", tmp_path / "shop", now=clock)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home" / "logins").rglob("*.json"))


def test_a_token_finds_its_login_and_no_other_does(logins: Logins) -> None:
    token = logins.open("ana", "ab" * 32)
    found = logins.find(token, is_active=True)
    assert found is not None and (found.account, found.public_key) == ("ana", "ab" * 32)
    strangers = ["", None, "x", token[:-1], token + "A", token.swapcase(), "../" + token, "é" * 40, "a" * 5000]
    assert [logins.find(stranger, is_active=True) for stranger in strangers] == [None] * 9


def test_two_logins_of_one_account_are_two_tokens_of_256_bits(logins: Logins) -> None:
    first, second = logins.open("ana", "ab" * 32), logins.open("ana", "ab" * 32)
    assert first != second
    assert len(first) == 43  # 32 bytes in base64 without padding


def test_neither_token_nor_csrf_lies_on_disk_and_nobody_else_reads_what_does(logins: Logins, tmp_path: Path) -> None:
    token = logins.open("ana", "ab" * 32)
    (path,) = files(tmp_path)
    content = path.name + path.read_text()
    assert token not in content and csrf_of(token) not in content and csrf_of(token) != path.stem
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    folders = [path.parent, path.parent.parent, tmp_path / "home"]
    assert [oct(folder.stat().st_mode & 0o777) for folder in folders] == ["0o700"] * 3


def test_a_login_outlives_a_restart_of_the_server(logins: Logins, tmp_path: Path, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    again = Logins(tmp_path / "home", tmp_path / "shop", now=clock)
    assert again.find(token, is_active=True) is not None


def test_a_login_of_one_workspace_is_none_of_another(logins: Logins, tmp_path: Path, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    assert Logins(tmp_path / "home", tmp_path / "other", now=clock).find(token, is_active=True) is None


def test_twelve_hours_without_activity_end_a_login(logins: Logins, clock: Clock, tmp_path: Path) -> None:
    token = logins.open("ana", "ab" * 32)
    clock.pass_time(hours=12)
    assert logins.find(token, is_active=False) is not None
    clock.pass_time(seconds=1)
    assert logins.find(token, is_active=True) is None
    assert files(tmp_path) == []


def test_activity_puts_the_end_off_and_looking_does_not(logins: Logins, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    clock.pass_time(hours=8)
    assert logins.find(token, is_active=True) is not None
    clock.pass_time(hours=8)
    assert logins.find(token, is_active=False) is not None
    clock.pass_time(hours=5)  # 13 h after the last activity
    assert logins.find(token, is_active=False) is None


def test_after_seven_days_of_work_a_login_ends_all_the_same(logins: Logins, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    for _ in range(21):  # 7 days in steps of 8 hours
        assert logins.find(token, is_active=True) is not None
        clock.pass_time(hours=8)
    assert clock.now - START == timedelta(days=7)
    assert logins.find(token, is_active=True) is not None
    clock.pass_time(seconds=1)
    assert logins.find(token, is_active=True) is None


def test_a_clock_set_back_an_hour_ends_nothing_and_one_set_right_by_years_does(logins: Logins, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    clock.pass_time(hours=-1)
    assert logins.find(token, is_active=True) is not None
    clock.pass_time(days=-3650)
    assert logins.find(token, is_active=True) is None


def test_logging_out_ends_one_login_and_everywhere_ends_all_of_the_account(logins: Logins, tmp_path: Path) -> None:
    ana, ana_at_home, bo = (logins.open(account, "ab" * 32) for account in ("ana", "ana", "bo"))
    logins.close(ana)
    assert [logins.find(token, is_active=False) is None for token in (ana, ana_at_home, bo)] == [True, False, False]
    assert logins.close_all("ana") == 1
    assert [logins.find(token, is_active=False) is None for token in (ana_at_home, bo)] == [True, False]
    assert len(files(tmp_path)) == 1


def test_another_server_process_sees_a_logout_at_once(logins: Logins, tmp_path: Path, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    other = Logins(tmp_path / "home", tmp_path / "shop", now=clock)
    assert other.find(token, is_active=False) is not None
    logins.close(token)
    assert other.find(token, is_active=False) is None


def test_a_changed_password_logs_out_everywhere(logins: Logins, tmp_path: Path) -> None:
    home = tmp_path / "home"
    public_key = create_key(home, "ana", PASSWORD, cost=CHEAP)
    token = logins.open("ana", public_key)
    assert logins.find(token, is_active=True) is not None
    change_password(home, "ana", PASSWORD, "another one", cost=CHEAP)
    assert logins.find(token, is_active=True) is None


def test_a_damaged_file_is_no_login(logins: Logins, tmp_path: Path, clock: Clock) -> None:
    token = logins.open("ana", "ab" * 32)
    (path,) = files(tmp_path)
    for content in ("", "{", "[]", json.dumps({"account": "ana"}), '{"account": 1, "x": 2}'):
        path.write_text(content)
        assert Logins(tmp_path / "home", tmp_path / "shop", now=clock).find(token, is_active=True) is None


def test_old_files_are_swept_when_a_server_starts(logins: Logins, tmp_path: Path, clock: Clock) -> None:
    logins.open("ana", "ab" * 32)
    clock.pass_time(days=6)
    logins.open("bo", "ab" * 32)
    clock.pass_time(days=2)
    Logins(tmp_path / "home", tmp_path / "shop", now=clock)
    assert [json.loads(path.read_text())["account"] for path in files(tmp_path)] == ["bo"]
