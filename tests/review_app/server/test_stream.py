"""The stream of a page (Streamlit's websocket): who may open one, and when it is cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from review_app.server.live import GRACE_SECONDS, is_a_persons
from storage.people.accounts import Role
from tests.review_app.server.served_app import ServedApp

CUT_OFF_SECONDS = 15.0  # less than four, on a machine that does nothing else


@contextmanager
def stream(
    app: ServedApp,
    client: httpx.Client,
    *,
    origin: str | None = "",
    host: str | None = None,
    path: str = "_stcore/stream",
) -> Iterator[ClientConnection]:
    """Open a stream with the cookies of a client; `origin` is the app's own unless another or none is given."""
    token = client.cookies.get(app.cookie)
    headers = {"cookie": f"{app.cookie}={token}"} if token else {}
    if host is not None:
        headers["host"] = host
    url = f"{app.url.replace('http', 'ws', 1)}/{path}"
    with connect(
        url,
        origin=app.origin if origin == "" else origin,  # type: ignore[arg-type]
        additional_headers=headers,
        subprotocols=[Subprotocol("streamlit")],
        open_timeout=60,
    ) as connection:
        yield connection


def ask_for_page(connection: ClientConnection, page: str = "review") -> None:
    asked = BackMsg()
    asked.rerun_script.page_name = page
    connection.send(asked.SerializeToString())


def kinds(connection: ClientConnection, *, until: str, seconds: float = 20.0) -> list[str]:
    """Return the kinds of messages up to one of a kind."""
    found: list[str] = []
    end = time.monotonic() + seconds
    while until not in found:
        message = ForwardMsg()
        message.ParseFromString(connection.recv(timeout=max(0.01, end - time.monotonic())))
        found.append(str(message.WhichOneof("type")))
    return found


def settle(connection: ClientConnection) -> None:
    """Read what a page draws until it draws no more."""
    kinds(connection, until="script_finished")
    while True:
        try:
            connection.recv(timeout=0.5)
        except TimeoutError:
            return


def is_cut_off(connection: ClientConnection, seconds: float = CUT_OFF_SECONDS) -> bool:
    """Say whether the page is sent away and the stream closed in time."""
    try:
        assert kinds(connection, until="auth_redirect", seconds=seconds)[-1] == "auth_redirect"
        connection.recv(timeout=30)
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False
    return False


def test_a_page_of_the_app_draws_for_who_is_logged_in(app: ServedApp) -> None:
    with stream(app, app.logged_in("ana")) as connection:
        ask_for_page(connection)
        assert "new_session" in kinds(connection, until="script_finished")


def test_who_is_logged_out_is_sent_away_and_runs_nothing(app: ServedApp) -> None:
    with stream(app, app.client()) as connection:
        message = ForwardMsg()
        message.ParseFromString(connection.recv(timeout=30))
        assert (message.WhichOneof("type"), message.auth_redirect.url) == ("auth_redirect", "")
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=30)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:3000", "https://127.0.0.1", "http://127.0.0.1", None]
)
def test_a_page_of_another_site_opens_no_stream_with_our_cookies(app: ServedApp, origin: str | None) -> None:
    client = app.logged_in("ana")
    with pytest.raises(InvalidStatus) as refused, stream(app, client, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_stream_by_another_name_of_the_server_is_refused(app: ServedApp) -> None:
    with (
        pytest.raises(InvalidStatus),
        stream(app, app.logged_in("ana"), origin="http://evil.example", host="evil.example"),
    ):
        pass


@pytest.mark.parametrize("path", ["", "review", "api/claim", "_stcore/stream/x", "_stcore/agent/mcp", "login"])
def test_there_is_one_stream(app: ServedApp, path: str) -> None:
    with pytest.raises(InvalidStatus), stream(app, app.logged_in("ana"), path=path):
        pass


def test_logging_out_in_one_tab_cuts_off_the_others_within_seconds(app: ServedApp) -> None:
    client = app.logged_in("ana")
    with stream(app, client) as connection:
        client.post("logout", data={"csrf": client.headers["x-afrel-csrf"]})
        assert is_cut_off(connection)


def test_the_page_that_logged_out_has_a_moment_to_go_by_itself(app: ServedApp) -> None:
    client = app.logged_in("ana")
    with stream(app, client) as connection:
        ask_for_page(connection)
        settle(connection)
        client.post("logout", data={"csrf": client.headers["x-afrel-csrf"]})
        for _ in range(2):  # what the page still asks for is not run, and hurries nothing
            ask_for_page(connection)
        with pytest.raises(TimeoutError):
            connection.recv(timeout=GRACE_SECONDS / 2)
        assert is_cut_off(connection)


def test_a_retired_account_is_cut_off_and_its_next_click_runs_nothing(app: ServedApp) -> None:
    leaver = app.shop.newcomer(Role.REVIEWER)
    with stream(app, app.logged_in(leaver)) as connection:
        ask_for_page(connection)
        settle(connection)
        app.shop.retire(leaver)
        time.sleep(1.1)
        ask_for_page(connection)
        assert kinds(connection, until="auth_redirect", seconds=CUT_OFF_SECONDS) == ["auth_redirect"]


def test_another_role_cuts_the_page_of_the_old_one_off(app: ServedApp) -> None:
    climber = app.shop.newcomer(Role.ADMIN)
    with stream(app, app.logged_in(climber)) as connection:
        app.shop.set_role(climber, Role.REVIEWER)
        assert is_cut_off(connection)


def test_a_stream_that_nothing_happens_to_stays(app: ServedApp) -> None:
    with stream(app, app.logged_in("dora")) as connection:
        assert not is_cut_off(connection, seconds=3.0)
        ask_for_page(connection)
        kinds(connection, until="script_finished")


@pytest.mark.parametrize("frame", [b"", b"\xff" * 1000, "text"])
def test_garbage_on_a_stream_ends_that_stream_only(app: ServedApp, frame: bytes | str) -> None:
    client = app.logged_in("ana")
    with stream(app, client) as bad, stream(app, client) as good:
        bad.send(frame)
        ask_for_page(good)
        assert "script_finished" in kinds(good, until="script_finished")
    assert client.get("api/me").status_code == 200


def test_a_timer_of_the_page_is_no_activity_of_the_person() -> None:
    click, timer, beat = BackMsg(), BackMsg(), BackMsg()
    click.rerun_script.page_name = "list"
    timer.rerun_script.fragment_id = "f"
    timer.rerun_script.is_auto_rerun = True
    beat.app_heartbeat = True
    told = [is_a_persons({"bytes": said.SerializeToString()}) for said in (click, timer, beat)]
    assert told == [True, False, False]
    assert not is_a_persons({"bytes": b"\xff\xff"}) and not is_a_persons({"text": "x"})


def test_no_page_address_of_a_strangers_choice_is_asked_for_by_the_server(app: ServedApp) -> None:
    """A foreign origin must be refused before Streamlit asks the network for this machine's own address."""
    assert "Rejecting WebSocket" not in app.log and "checkip" not in app.log
