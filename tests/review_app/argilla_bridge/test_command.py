"""The verb before any server is asked: who may, what must stand in afrel.toml, what a push says it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from review_app.argilla_bridge.command import _told_push, argilla
from review_app.argilla_bridge.plan import Plan, Waiting
from review_app.argilla_bridge.push import Pushed, Stand
from review_app.argilla_bridge.settings import settings_of
from storage.errors import UserError
from storage.session import Session
from tests.review_app.argilla_bridge.rows_of_bridge import SCALE


def run(folder: Path, *words: str) -> None:
    """Run the verb in this process as nobody; what it raises is raised."""
    done = CliRunner().invoke(argilla, list(words), obj=Session(folder, None))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "afrel.toml").write_text("")
    return tmp_path


def test_without_a_table_nothing_is_pushed_and_one_is_shown(folder: Path) -> None:
    with pytest.raises(UserError, match="names no Argilla server, and none was started in this workspace"):
        run(folder, "push")


def test_a_pull_needs_an_account_because_it_answers_in_peoples_names(folder: Path) -> None:
    with pytest.raises(UserError, match=r"it takes an account to pull people's answers.*afrel --as ACCOUNT"):
        run(folder, "pull")


def test_an_unset_key_is_told_by_its_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    table = '[argilla]\nurl = "http://127.0.0.1:9"\nworkspace = "w"\napi_key_variable = "TEST_KEY"\n'
    (folder / "afrel.toml").write_text(table)
    with pytest.raises(UserError, match="TEST_KEY is empty"):
        run(folder, "push")


def test_a_server_that_is_down_stops_a_push_before_the_store_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "k")
    table = '[argilla]\nurl = "http://127.0.0.1:9"\nworkspace = "w"\napi_key_variable = "TEST_KEY"\n'
    (folder / "afrel.toml").write_text(table)
    with pytest.raises(UserError, match=r"no Argilla answers at http://127\.0\.0\.1:9"):
        run(folder, "push")
    assert not (folder / "afrel.duckdb").exists()


def test_what_a_push_did_is_one_line() -> None:
    plan = Plan()
    stand = Stand("w", settings_of(SCALE, ""), [], 2, plan, 0)
    idle = Pushed(version=2, is_new_version=False, n_lying=1200, n_held=3)
    assert _told_push(stand, idle, is_dry=False) == (
        "nothing to do: nothing new waits for an answer; 1,200 lie there already, "
        "3 hold answers or drafts nobody pulled (afrel argilla pull)"
    )
    done = Pushed(version=2, is_new_version=True, n_sent=5, n_withdrawn=2, by_dataset={"afrel-v2": 4, "afrel-v2-x2": 1})
    assert _told_push(stand, done, is_dry=False) == (
        "sent 4 to afrel-v2, 1 to afrel-v2-x2, version 2, a new one; took away 2"
    )
    plan.send[1].append(Waiting("c_1", 1))
    assert _told_push(stand, Pushed(2, False), is_dry=True) == "would send 1 to version 2, take away 0"
