"""Every route and page for every role and for nobody, generated from the tables: a new route is in it by itself."""

from __future__ import annotations

import httpx
import pytest

from review_app.server.api import Route
from review_app.server.app import api_routes
from review_app.server.pages import PAGES, is_open_to
from storage.people.accounts import Act, Role, may
from tests.review_app.server.served_app import PEOPLE, ServedApp

ROUTES = api_routes()
BY_ROLE = {role: name for name, role in PEOPLE.items()}


@pytest.fixture(scope="module")
def clients(app: ServedApp) -> dict[Role, httpx.Client]:
    return {role: app.logged_in(name) for role, name in BY_ROLE.items()}


def ask(client: httpx.Client, route: Route, **headers: str) -> httpx.Response:
    path = route.path.removeprefix("/")
    if route.method == "GET":
        return client.get(path, headers=headers)
    return client.request(route.method, path, json={}, headers=headers)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_matrix_has_routes_of_review_and_paths_of_the_api() -> None:
    assert {"/api/me", "/api/claim"} <= {route.path for route in ROUTES}
    assert [named(route) for route in ROUTES if not route.path.startswith("/api/")] == []
    assert len({named(route) for route in ROUTES}) == len(ROUTES)
    assert {route.method for route in ROUTES} <= {"GET", "POST"}


def test_whatever_changes_something_or_shows_a_document_takes_an_act() -> None:
    """A route without an act is open to engineers, too, who are shown no test rows."""
    assert [named(route) for route in ROUTES if route.act is None] == ["GET /api/me"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_lets_in_who_may_act(clients: dict[Role, httpx.Client], route: Route, role: Role) -> None:
    answer = ask(clients[role], route)
    if route.act is None or may(role, route.act):
        assert answer.status_code in (200, 400), answer.text  # 400: an empty body is refused by its own words
    else:
        assert answer.status_code == 403
        assert answer.json()["error"] == f"Your account ({role.value}) may not do this."
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_nobody_who_is_logged_out_gets_into_a_route(app: ServedApp, route: Route) -> None:
    for client in (app.client(), app.client(cookie=f"{app.cookie}=made-up")):
        answer = ask(client, route)
        assert answer.status_code == 401
        assert answer.json()["login"] is True and "Log in again" in answer.json()["error"]


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method != "GET"], ids=named)
def test_a_change_needs_the_csrf_token_of_this_very_login(clients: dict[Role, httpx.Client], route: Route) -> None:
    of_another = clients[Role.REVIEWER].headers["x-afrel-csrf"]
    for token in ("", "0" * 64, of_another):
        assert ask(clients[Role.ADMIN], route, **{"x-afrel-csrf": token}).status_code == 403
    assert ask(clients[Role.ADMIN], route).status_code in (200, 400)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:1", "https://127.0.0.1"])
def test_a_change_from_another_site_is_not_done(clients: dict[Role, httpx.Client], origin: str) -> None:
    for route in ROUTES:
        answer = ask(clients[Role.ADMIN], route, origin=origin)
        assert answer.status_code == 403 and "another site" in answer.json()["error"]


def test_a_change_without_an_origin_is_not_done(clients: dict[Role, httpx.Client]) -> None:
    admin = clients[Role.ADMIN]
    for route in ROUTES:
        if route.method != "GET":
            request = admin.build_request(route.method, route.path.removeprefix("/"), json={})
            del request.headers["origin"]
            assert admin.send(request).status_code == 403


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("page", list(PAGES))
def test_a_page_opens_for_the_roles_of_the_table(clients: dict[Role, httpx.Client], page: str, role: Role) -> None:
    answer = clients[role].get(page, headers={"accept": "text/html"})
    assert answer.status_code == (200 if is_open_to(page, role) else 403)
    assert ("not open to your account" in answer.text) is not is_open_to(page, role)


@pytest.mark.parametrize("page", ["", *PAGES])
def test_a_page_sends_who_is_logged_out_to_the_login_page_and_back(app: ServedApp, page: str) -> None:
    answer = app.client().get(page, headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == (f"/login?next={page}" if page else "/login")
    assert answer.text == ""


def test_pages_of_roles_are_what_the_design_says() -> None:
    opened = {role.value: [page for page in PAGES if is_open_to(page, role)] for role in Role}
    assert opened == {
        "reviewer": ["review", "list", "progress", "accounts"],
        "adjudicator": ["review", "list", "adjudicate", "rules", "tiers", "progress", "accounts"],
        "curator": ["review", "list", "rules", "tiers", "sql", "runs", "progress", "accounts"],
        "engineer": ["tiers", "sql", "runs", "progress", "accounts"],
        "admin": ["review", "list", "adjudicate", "rules", "tiers", "sql", "runs", "progress", "accounts"],
    }


def test_me_says_role_and_acts(clients: dict[Role, httpx.Client]) -> None:
    assert clients[Role.ENGINEER].get("api/me").json() == {
        "account": "eli",
        "role": "engineer",
        "language": "en",
        "acts": [act.value for act in (Act.PREPARE, Act.SQL, Act.TRAIN)],
    }
