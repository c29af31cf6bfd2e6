"""The store is killed, or away: told in words, nothing is thrown away, and all goes on when it is back."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection

from tests.review_app.server.served_app import ServedApp, log_in
from tests.review_app.server.test_stream import ask_for_page, settle, stream

AWAY = "The store does not answer at the moment. Nothing you did is lost."


def kill_store(app: ServedApp) -> None:
    pattern = f"storage.process.server {app.shop.root}"
    pids = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout.split()
    assert pids
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)


@contextmanager
def store_away(app: ServedApp) -> Iterator[None]:
    """Let no store process have the workspace, as when another machine owns it."""
    kill_store(app)
    with (app.shop.root / "store.lock").open("r+") as lock:
        until = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < until
                time.sleep(0.01)
        time.sleep(1.1)  # what was known of the accounts is no longer taken for true
        yield


def test_a_killed_store_is_started_again_and_the_same_request_is_answered(app: ServedApp) -> None:
    client = app.logged_in("ana")
    kill_store(app)
    answer = client.post("api/claim", json={"n": 1, "held": []})
    assert answer.status_code == 200, answer.text


@pytest.mark.slow
def test_a_page_says_that_the_store_is_away_and_draws_again_when_it_is_back(app: ServedApp) -> None:
    with stream(app, app.logged_in("ana")) as connection:
        ask_for_page(connection)
        settle(connection)
        with store_away(app):
            ask_for_page(connection)
            assert AWAY in words_of(connection)
        time.sleep(1.1)
        ask_for_page(connection)
        assert AWAY not in words_of(connection)


def words_of(connection: ClientConnection) -> str:
    """Return what a page draws until it is done."""
    drawn: list[str] = []
    while True:
        message = ForwardMsg()
        message.ParseFromString(connection.recv(timeout=60))
        kind = message.WhichOneof("type")
        if kind == "delta":
            drawn.append(str(message.delta))
        if kind == "script_finished":
            return " ".join(drawn)


@pytest.mark.parametrize("damage", ["", "{", "\x00" * 10])
def test_damaged_login_files_log_out_and_no_more(app: ServedApp, damage: str) -> None:
    client, other = app.logged_in("ana"), app.logged_in("dora")
    held = set((app.shop.home / "logins").rglob("*.json"))
    newest = max(held, key=lambda path: path.stat().st_ctime_ns)
    newest.write_text(damage)
    assert client.get("api/me").status_code == 200
    # dora's was never read by the server before it was damaged
    assert other.get("api/me").status_code == 401
    assert log_in(app.client(), "dora").status_code == 303
