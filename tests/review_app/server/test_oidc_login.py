"""Logging in through a real OpenID Connect provider: who is let in, who is not, and what the browser keeps of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from review_app.server.logins import csrf_of
from review_app.server.oidc import read_oidc
from storage.errors import UserError
from storage.people.accounts import Role
from storage.workspace import CONFIG_NAME, Workspace
from tests.review_app.server.oidc_provider import CLIENT, SECRET, Provider, run_provider
from tests.review_app.server.served_app import ServedApp, free_port, log_in, make_shop, serve, tear_down

ANN = {"email": "Ann@Shop.example", "email_verified": True, "name": "Ann"}
PREFIX = "/afrel"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedApp, Provider]]:
    shop = make_shop(tmp_path_factory.mktemp("oidc"))
    port = free_port()
    url = f"http://127.0.0.1:{port}{PREFIX}"
    with run_provider(f"{url}/oauth2callback") as provider:
        (shop.root / CONFIG_NAME).write_text(
            f'[oidc]\nname = "Shop Log-in"\nclient_id = "{CLIENT}"\n'
            f'discovery = "{provider.issuer}/.well-known/openid-configuration"\n'
        )
        secret = shop.home.parent / "oidc-secret"
        secret.write_text(f"{SECRET}\n")
        with shop.store() as store:
            shop.add_person(store, "ann@shop.example", Role.CURATOR)
            shop.add_person(store, "old@shop.example", Role.CURATOR)
        shop.retire("old@shop.example")
        with serve(shop, url=url, port=port, env={"AFREL_OIDC_SECRET_FILE": str(secret)}) as app:
            yield app, provider
    tear_down(shop)


@pytest.fixture
def app(running: tuple[ServedApp, Provider]) -> ServedApp:
    return running[0]


@pytest.fixture
def provider(running: tuple[ServedApp, Provider]) -> Provider:
    """The provider as it behaves well, for Ann."""
    held = running[1]
    held.person, held.overrides, held.signs_with_a_foreign_key, held.refuses = dict(ANN), {}, False, None
    return held


def go_to_provider(client: httpx.Client, page: str = "") -> str:
    """Press the button of the login page; return where the provider sends the browser back to."""
    begun = client.get("login/with", params={"next": page})
    asked = client.get(begun.headers["location"].removeprefix(f"{PREFIX}/"))
    assert asked.status_code == 302, asked.text
    return httpx.get(asked.headers["location"]).headers["location"]


def come_back(client: httpx.Client, address: str) -> httpx.Response:
    # a browser that is sent here by another site sends no origin with it
    request = client.build_request("GET", address, headers={"accept": "text/html"})
    del request.headers["origin"]
    return client.send(request)


def said(answer: httpx.Response) -> str:
    return answer.text.split('role="alert">')[1].split("<")[0].replace("&#x27;", "'")


def test_the_login_page_offers_the_provider_first(app: ServedApp) -> None:
    html = app.client().get("login?next=sql").text
    assert f'href="{PREFIX}/login/with?next=sql">Log in with Shop Log-in</a>' in html
    assert html.index("Shop Log-in") < html.index('name="password"')


@pytest.mark.usefixtures("provider")
def test_a_verified_e_mail_logs_its_account_in_and_leads_on(app: ServedApp) -> None:
    client = app.client()
    answer = come_back(client, go_to_provider(client, "sql"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PREFIX}/sql")
    assert client.get("api/me").json()["account"] == "ann@shop.example"
    assert client.get("api/me").json()["role"] == "curator"


@pytest.mark.usefixtures("provider")
def test_streamlits_cookies_of_the_person_never_reach_the_browser(app: ServedApp) -> None:
    client = app.client()
    answer = come_back(client, go_to_provider(client))
    names = [cookie.split("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert app.cookie in names and not any(name.startswith("_streamlit_user") for name in names)
    assert "ann@shop.example" not in str(answer.headers).lower()
    assert {name for name in client.cookies if "user" in name} == set()


@pytest.mark.usefixtures("provider")
def test_logging_out_ends_it_though_the_provider_would_say_yes_again(app: ServedApp) -> None:
    client = app.client()
    come_back(client, go_to_provider(client))
    token = client.cookies[app.cookie]
    assert client.post("logout", data={"csrf": csrf_of(token)}).status_code == 303
    assert app.client(cookie=f"{app.cookie}={token}").get("api/me").status_code == 401


@pytest.mark.parametrize("email", ["stranger@shop.example", "old@shop.example", "root", "../x@y", "a" * 300, "é@x"])
def test_an_e_mail_without_an_active_account_is_refused_in_words(
    app: ServedApp, provider: Provider, email: str
) -> None:
    provider.person["email"] = email
    if email == "root":  # no e-mail, but a local account: only its password opens it
        provider.person["email"] = "root@"
    client = app.client()
    answer = come_back(client, go_to_provider(client))
    assert answer.status_code == 403
    assert "but this workspace has no such account. Ask an admin to add it." in said(answer)
    assert app.cookie not in client.cookies


@pytest.mark.parametrize(
    "person",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email": None},
        {"email": ["ann@shop.example"]},
    ],
    ids=str,
)
def test_an_e_mail_that_is_not_verified_is_worth_nothing(
    app: ServedApp, provider: Provider, person: dict[str, object]
) -> None:
    provider.person |= person
    client = app.client()
    answer = come_back(client, go_to_provider(client))
    assert answer.status_code == 403 and "did not confirm an e-mail address of yours" in said(answer)
    assert app.cookie not in client.cookies


@pytest.mark.parametrize(
    "overrides",
    [{"iss": "http://evil.example"}, {"aud": "another-app"}, {"exp": 1}, {"nonce": "another"}],
    ids=lambda value: next(iter(value)),
)
def test_a_token_for_somebody_else_or_another_time_logs_nobody_in(
    app: ServedApp, provider: Provider, overrides: dict[str, object]
) -> None:
    provider.overrides = overrides
    client = app.client()
    answer = come_back(client, go_to_provider(client))
    assert answer.status_code == 403 and "Logging in with Shop Log-in did not work" in said(answer)
    assert app.cookie not in client.cookies


def test_a_token_signed_by_another_key_logs_nobody_in(app: ServedApp, provider: Provider) -> None:
    provider.signs_with_a_foreign_key = True
    client = app.client()
    assert come_back(client, go_to_provider(client)).status_code == 403
    assert app.cookie not in client.cookies


def test_a_person_who_declines_at_the_provider_is_back_at_the_login_page(app: ServedApp, provider: Provider) -> None:
    provider.refuses = "access_denied"
    client = app.client()
    answer = come_back(client, go_to_provider(client))
    assert answer.status_code == 403 and 'name="password"' in answer.text


@pytest.mark.usefixtures("provider")
def test_an_answer_counts_once_and_only_in_the_browser_that_asked(app: ServedApp) -> None:
    client, victim = app.client(), app.client()
    address = go_to_provider(client)
    assert come_back(victim, address).status_code == 403  # nobody is logged in as an attacker by a link
    assert app.cookie not in victim.cookies
    assert come_back(client, address).status_code == 303
    client.cookies.delete(app.cookie)
    assert come_back(client, address).status_code == 403
    for made_up in (f"{app.url}/oauth2callback", f"{app.url}/oauth2callback?code=x&state=y"):
        assert come_back(client, made_up).status_code == 403


def test_the_provider_token_of_streamlit_cannot_be_made_up(app: ServedApp) -> None:
    for token in ("", "x", "eyJhbGciOiJub25lIn0.eyJwcm92aWRlciI6ImRlZmF1bHQifQ."):
        answer = app.client().get("auth/login", params={"provider": token})
        assert answer.headers.get("location", "") in (f"{PREFIX}/", "")


@pytest.mark.usefixtures("provider")
def test_each_login_ends_the_browsers_one_before(app: ServedApp) -> None:
    client = app.client()
    log_in(client, "root")
    before = client.cookies[app.cookie]
    assert come_back(client, go_to_provider(client)).status_code == 303
    assert app.client(cookie=f"{app.cookie}={before}").get("api/me").status_code == 401


def test_who_comes_by_the_provider_has_no_password_here_though_the_key_has_one(app: ServedApp) -> None:
    answer = log_in(app.client(), "ann@shop.example")
    assert answer.status_code == 403
    assert said(answer) == said(log_in(app.client(), "nobody@shop.example"))
    assert log_in(app.client(), "dora").status_code == 303


def test_the_secret_stands_in_no_answer_and_no_log(app: ServedApp, provider: Provider) -> None:
    client = app.client()
    come_back(client, go_to_provider(client))
    shown = "".join(client.get(path).text for path in ("login", "review", "api/me"))
    assert SECRET not in shown + app.log and provider.n_tokens > 0


def workspace_with(tmp_path: Path, text: str) -> Workspace:
    root = tmp_path / "configured"
    root.mkdir(exist_ok=True)
    (root / CONFIG_NAME).write_text(text)
    return Workspace.open(root)


GOOD = '[oidc]\nname = "S"\nclient_id = "c"\ndiscovery = "https://id.shop.example/.well-known/openid-configuration"\n'


def test_the_configuration_is_checked_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFREL_OIDC_SECRET_FILE", raising=False)
    wrong = '[oidc]\nname = ""\nsecret = "hush"\ndiscovery = "http://id.shop.example/"\n'
    with pytest.raises(UserError) as refused:
        read_oidc(workspace_with(tmp_path, wrong))
    for problem in (
        "unknown key 'secret'",
        "client_id must",
        "name must",
        "must begin with https://",
        "AFREL_OIDC_SECRET_FILE",
    ):
        assert problem in str(refused.value)
    assert read_oidc(workspace_with(tmp_path, "")) is None


def test_the_secret_is_read_from_a_file_outside_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = workspace_with(tmp_path, GOOD)
    inside, outside, empty = workspace.root / "secret", tmp_path / "secret", tmp_path / "empty"
    for path, text in ((inside, "hush"), (outside, "hush\n"), (empty, "\n")):
        path.write_text(text)
    for path, problem in ((inside, "lies in the workspace"), (empty, "is empty"), (tmp_path / "no", "cannot be read")):
        monkeypatch.setenv("AFREL_OIDC_SECRET_FILE", str(path))
        with pytest.raises(UserError, match=problem):
            read_oidc(workspace)
    monkeypatch.setenv("AFREL_OIDC_SECRET_FILE", str(outside))
    oidc = read_oidc(workspace)
    assert oidc is not None and oidc.client_secret == "hush" and "hush" not in repr(oidc)
    assert json.dumps(workspace.config).count("hush") == 0
