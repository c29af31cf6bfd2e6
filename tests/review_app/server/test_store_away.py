"""While the store is away everything says so in words, and goes on when it is back. No browser, no Streamlit."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette

from review_app.server.api import Desk, Route, web_routes
from review_app.server.guard import Guard
from review_app.server.live import watch_stream
from review_app.server.login_page import Door
from review_app.server.logins import Logins, csrf_of
from review_app.server.serving import Serving
from review_app.server.site import Site
from review_app.server.stores import Stores
from review_app.server.visitors import Visitor, Visitors
from storage.errors import UnavailableError, UserError
from storage.people.accounts import Act
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.review_app.server.served_app import PASSWORD, Shop, mark_of

AWAY = "The store does not answer at the moment. Nothing you did is lost."
SITE = Site("http://127.0.0.1:8500", 8500)


def _count(desk: Desk, _body: dict[str, object]) -> dict[str, object]:
    return {"n": desk.store.read("accounts").num_rows}


def _fail(_desk: Desk, body: dict[str, object]) -> dict[str, object]:
    if body.get("is_users"):
        raise UserError("the user's mistake, in words")
    raise ValueError("a detail of /the/server")


ROUTES = [Route("GET", "/api/count", None, _count), Route("POST", "/api/fail", Act.REVIEW, _fail)]


@pytest.fixture
def serving(shop: Shop) -> Iterator[Serving]:
    workspace = Workspace.open(shop.root)
    stores = Stores(workspace, patience=0.2)
    with shop.store() as store:  # with all its patience, until the store has started
        store.read("accounts")
    logins = Logins(shop.home, shop.root)
    yield Serving(workspace, shop.home, SITE, stores, logins, Visitors(logins, stores), None)
    stores.close()


@contextmanager
def store_away(serving: Serving) -> Iterator[None]:
    """Let no store process have the workspace."""
    serving.stores.close()
    stop_store_process(serving.workspace.root)
    with (serving.workspace.root / "store.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        time.sleep(1.1)  # what was known of the accounts is no longer taken for true
        yield


def start_again(serving: Serving) -> None:
    with Store.connect(serving.workspace) as store:
        store.read("accounts")


def ask(serving: Serving, questions: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run questions against guard, door and routes, as one browser that is logged in."""
    app = Guard(
        Starlette(routes=[*Door(serving).routes(), *web_routes(ROUTES, serving)]), serving, "default-src 'self'"
    )
    key = serving.visitors.pin("ana")
    assert key is not None
    token = serving.logins.open("ana", key.public_key)
    headers = {"origin": SITE.origin, "x-afrel-csrf": csrf_of(token), "cookie": f"{SITE.cookie_name}={token}"}

    async def asked() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=SITE.url, headers=headers) as client:
            await questions(client)

    asyncio.run(asked())


def test_routes_pages_and_login_say_that_the_store_is_away_and_go_on_when_it_is_back(serving: Serving) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/count")).json()["n"] >= 5
        nobody = httpx.AsyncClient(transport=client._transport, base_url=SITE.url, headers={"origin": SITE.origin})
        mark = mark_of((await nobody.get("/login")).text)
        with store_away(serving):
            answer = await client.get("/api/count")
            assert answer.status_code == 503 and answer.json()["error"].startswith(AWAY)
            page = await client.get("/review", headers={"accept": "text/html"})
            assert page.status_code == 503 and AWAY in page.text
            refused = await nobody.post("/login", data={"mark": mark, "account": "ana", "password": PASSWORD})
            assert refused.status_code == 503 and AWAY in refused.text
        await asyncio.sleep(1.1)
        start_again(serving)
        assert (await client.get("/api/count")).json()["n"] >= 5

    ask(serving, questions)


def test_a_crowd_waits_for_the_store_once(serving: Serving) -> None:
    with store_away(serving):
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(UnavailableError):
                serving.visitors.pin("ana")
        assert time.monotonic() - started < 2.0  # 20 times a patience of 0.2 s would be 4 s


def test_a_route_that_fails_tells_words_and_keeps_the_traceback(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        ours = await client.post("/api/fail", json={})
        assert ours.status_code == 500
        assert ours.json()["error"].startswith("Something went wrong on the server. Your earlier answers are safe")
        users = await client.post("/api/fail", json={"is_users": True})
        assert (users.status_code, users.json()) == (400, {"error": "the user's mistake, in words"})

    ask(serving, questions)
    assert "ValueError: a detail of /the/server" in caplog.text


def test_an_open_page_stays_open_while_the_store_is_away(serving: Serving) -> None:
    pin = serving.visitors.pin("ana")
    assert pin is not None
    token = serving.logins.open("ana", pin.public_key)
    seen: list[dict[str, object]] = []

    async def who(*, is_active: bool) -> Visitor | None:
        return await asyncio.to_thread(serving.visitors.who, token, is_active=is_active)

    async def clicks() -> dict[str, object]:
        if not coming:
            await asyncio.Event().wait()  # the page stays where it is
        return coming.pop()

    coming: list[dict[str, object]] = [{"type": "websocket.receive", "bytes": b""}]

    async def script(_scope: object, receive: Callable[[], Awaitable[dict[str, object]]], _send: object) -> None:
        with store_away(serving):
            seen.append(await receive())
        start_again(serving)
        await asyncio.sleep(1.1)
        serving.logins.close(token)
        coming.append({"type": "websocket.receive", "bytes": b""})
        seen.append(await receive())

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(watch_stream(script, {}, clicks, send, who=who))  # type: ignore[arg-type]
    assert [message["type"] for message in seen] == ["websocket.receive", "websocket.disconnect"]
    assert [message["type"] for message in sent] == ["websocket.send", "websocket.close"]
