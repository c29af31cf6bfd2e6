"""Behind a reverse proxy with TLS under a path, whether it takes the path off or not, passes the host on or not."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from review_app.server.pages import PAGES
from tests.review_app.server.served_app import ServedApp, Shop, csrf_of, free_port, log_in, serve
from tests.review_app.server.test_stream import ask_for_page, kinds
from tests.review_app.server.tiny_proxy import Proxy, certificate, run_proxy

PREFIX = "/deep/afrel"
NAME = "shop.test"  # known to nobody but the proxy: the tests go to 127.0.0.1 and say this name
COOKIE = "__Secure-afrel_login"
KINDS = [(False, True), (True, True), (False, False), (True, False)]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def running(shop: Shop, pem: Path) -> Iterator[tuple[ServedApp, Proxy]]:
    port, public = free_port(), free_port()
    with (
        serve(shop, url=f"https://{NAME}:{public}{PREFIX}", port=port) as app,
        run_proxy(Proxy(public, port, PREFIX), pem) as proxy,
    ):
        yield app, proxy


@pytest.fixture(params=KINDS, ids=lambda kind: f"{'strips' if kind[0] else 'keeps'}-{'host' if kind[1] else 'no_host'}")
def app(request: pytest.FixtureRequest, running: tuple[ServedApp, Proxy]) -> ServedApp:
    running[1].strips_prefix, running[1].passes_host = request.param
    return running[0]


@pytest.fixture
def client(app: ServedApp, pem: Path) -> Iterator[httpx.Client]:
    trusting = ssl.create_default_context(cafile=str(pem))
    headers = {"origin": app.origin, "host": app.origin.removeprefix("https://")}
    address = app.url.replace(NAME, "127.0.0.1")
    with httpx.Client(base_url=address, headers=headers, verify=trusting, timeout=30) as made:
        yield made


def test_everything_stays_under_the_path(client: httpx.Client) -> None:
    page = {"accept": "text/html"}
    assert client.get("review", headers=page).headers["location"] == f"{PREFIX}/login?next=review"
    login = client.get("login")
    assert set(re.findall(r'action="([^"]+)"', login.text)) == {f"{PREFIX}/login", f"{PREFIX}/language"}
    entered = log_in(client, "root", next="rules")
    assert (entered.status_code, entered.headers["location"]) == (303, f"{PREFIX}/rules")
    assert client.get("", headers=page).headers["location"] == f"{PREFIX}/review"
    assert client.get("review/", headers=page).headers["location"] == f"{PREFIX}/review"
    shown = client.get("review", headers=page)
    assert shown.status_code == 200 and f'window.location.origin + "{PREFIX}/"' in shown.text
    csrf = csrf_of(client, COOKIE)
    assert client.post("logout", data={"csrf": csrf}).headers["location"] == f"{PREFIX}/login?said=out"


def test_cookies_are_bound_to_the_path_and_to_tls(client: httpx.Client) -> None:
    set_cookies = [client.get("login").headers["set-cookie"], log_in(client, "ana").headers["set-cookie"]]
    for cookie in set_cookies:
        assert f"Path={PREFIX};" in cookie and "Secure" in cookie and "HttpOnly" in cookie
    assert set_cookies[1].startswith(f"{COOKIE}=") and "SameSite=lax" in set_cookies[1]


def test_no_cookie_goes_without_tls_streamlits_own_neither(client: httpx.Client) -> None:
    answers = [client.get("_stcore/health"), log_in(client, "ana"), client.get("_stcore/health")]
    cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    assert any(cookie.startswith("_streamlit_xsrf=") for cookie in cookies)
    assert [cookie for cookie in cookies if "; secure" not in cookie.lower()] == []


def test_routes_files_and_streamlit_are_found(client: httpx.Client) -> None:
    log_in(client, "root")
    assert client.get("api/me").json()["account"] == "root"
    assert client.get("app/review.js").status_code == 200
    assert {client.get(page).status_code for page in PAGES} == {200}
    html = client.get("review").text
    script = re.search(r'src="\./(static/js/index[^"]+)"', html)
    assert script is not None and client.get(script[1]).headers["content-type"].split(";")[0].endswith("/javascript")
    signed = {"x-afrel-csrf": csrf_of(client, COOKIE)}
    assert client.post("api/claim", json={"n": 1, "held": []}, headers=signed).status_code == 200
    assert client.post("api/claim", json={"n": 1, "held": []}).status_code == 403


def test_only_the_public_origin_may_change_anything(app: ServedApp, client: httpx.Client) -> None:
    log_in(client, "ana")
    signed = {"x-afrel-csrf": csrf_of(client, COOKIE)}
    for origin in ("https://evil.example", f"https://{NAME}", app.origin.replace("https", "http"), "null"):
        answer = client.post("api/claim", json={"n": 1, "held": []}, headers={**signed, "origin": origin})
        assert answer.status_code == 403


def test_the_stream_opens_through_the_proxy_for_the_public_origin_only(
    app: ServedApp, client: httpx.Client, pem: Path
) -> None:
    log_in(client, "ana")

    def opened(origin: str) -> None:
        port = int(app.origin.rsplit(":", 1)[1])
        with connect(
            f"{app.url.replace('https', 'wss', 1)}/_stcore/stream",
            sock=socket.create_connection(("127.0.0.1", port)),
            server_hostname="localhost",
            origin=Origin(origin),
            additional_headers={"cookie": f"{COOKIE}={client.cookies[COOKIE]}"},
            subprotocols=[Subprotocol("streamlit")],
            ssl=ssl.create_default_context(cafile=str(pem)),
        ) as connection:
            ask_for_page(connection)
            assert "script_finished" in kinds(connection, until="script_finished")

    opened(app.origin)
    for origin in ("https://evil.example", app.origin.replace("https", "http")):
        with pytest.raises(InvalidStatus):
            opened(origin)


def test_the_address_without_its_last_slash_leads_on(client: httpx.Client, app: ServedApp) -> None:
    log_in(client, "ana")
    answer = client.get(app.url.replace(NAME, "127.0.0.1"))
    assert answer.status_code in (303, 308)
    assert answer.headers["location"] in (f"{PREFIX}/", f"{PREFIX}/review")


def test_nothing_broke_on_the_way(running: tuple[ServedApp, Proxy]) -> None:
    assert "Traceback" not in running[0].log and "Rejecting" not in running[0].log
