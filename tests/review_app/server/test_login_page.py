"""Logging in and out with an account: the form, the cookie, guessing, and what the words do not tell."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import httpx
import pytest

from review_app.server.logins import Logins
from storage.people.accounts import Role
from storage.people.keys import change_password, create_key
from tests.review_app.server.served_app import CHEAP, PASSWORD, ServedApp, Shop, log_in, mark_of

WRONG = "Account and password do not belong together. Check both and try again."
STALE = "This page had been open for too long, or was sent twice. Enter your password again."


def message(answer: httpx.Response) -> str:
    return answer.text.split('role="alert">')[1].split("<")[0]


def newest_login(shop: Shop) -> Path:
    return max((shop.home / "logins").rglob("*.json"), key=lambda path: path.stat().st_ctime_ns)


def test_the_page_works_without_script_and_helps_password_managers(app: ServedApp) -> None:
    html = app.client().get("login").text
    assert "<script" not in html and html.count("<label>") == 2
    assert 'autocomplete="username"' in html and 'autocomplete="current-password"' in html
    assert '<html lang="en">' in html and ">Log in</button>" in html
    chinese = app.client(**{"accept-language": "zh-CN"}).get("login").text
    assert '<html lang="zh-CN">' in chinese and ">登录</button>" in chinese


def test_logging_in_sets_one_cookie_that_scripts_cannot_read(app: ServedApp) -> None:
    client = app.client()
    answer = log_in(client, "ana", next="list")
    assert (answer.status_code, answer.headers["location"]) == (303, "/list")
    set_cookies = answer.headers.get_list("set-cookie")
    assert len(set_cookies) == 1
    parts = [part.strip() for part in set_cookies[0].split(";")]
    assert len(parts[0]) == len(f"{app.cookie}=") + 43
    assert sorted(parts[1:]) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=lax"]
    assert client.get("api/me").json()["account"] == "ana"


@pytest.mark.parametrize("account", [" Ana ", "ANA", "ana"])
def test_an_account_is_found_however_it_is_typed(app: ServedApp, account: str) -> None:
    assert log_in(app.client(), account).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "list/../x", "logout", "%0d"]
)
def test_a_link_cannot_say_where_a_login_leads_but_to_pages(app: ServedApp, target: str) -> None:
    assert log_in(app.client(), "ana", next=target).headers["location"] == "/"
    assert "evil" not in app.client().get("login", params={"next": target, "said": target}).text


def test_each_login_gets_a_new_token_and_ends_the_one_before(app: ServedApp) -> None:
    client = app.client()
    log_in(client, "ana")
    first = client.cookies[app.cookie]
    client.cookies.delete(app.cookie)
    log_in(client, "ana")
    assert client.cookies[app.cookie] != first
    second = client.cookies[app.cookie]
    mark = mark_of(app.client().get("login").text)
    assert client.post("login", data={"mark": mark, "account": "ana", "password": PASSWORD}).status_code == 403
    fresh = app.client()
    page = fresh.get("login")
    fresh.cookies.set(app.cookie, second, domain="127.0.0.1", path="/")
    answer = fresh.post("login", data={"mark": mark_of(page.text), "account": "dora", "password": PASSWORD})
    assert answer.status_code == 303
    assert fresh.get("api/me").json()["account"] == "dora"
    assert client.get("api/me").status_code == 401  # the browser's earlier login is over


def test_a_token_from_before_the_login_never_becomes_one(app: ServedApp) -> None:
    planted = "A" * 43
    client = app.client()
    client.cookies.set(app.cookie, planted, domain="127.0.0.1", path="/")
    answer = log_in(client, "ana")
    assert answer.status_code == 303 and planted not in answer.headers["set-cookie"]
    attacker = app.client(cookie=f"{app.cookie}={planted}")
    assert attacker.get("api/me").status_code == 401


def test_a_form_counts_once_and_only_in_the_browser_it_was_given_to(app: ServedApp) -> None:
    client = app.client()
    fields = {"mark": mark_of(client.get("login").text), "account": "ana", "password": PASSWORD}
    elsewhere = app.client().post("login", data=fields)
    assert (elsewhere.status_code, message(elsewhere)) == (403, STALE)
    assert client.post("login", data=fields).status_code == 303
    client.cookies.delete(app.cookie)
    again = client.post("login", data=fields)
    assert (again.status_code, message(again)) == (403, STALE)
    assert 'value="ana"' in again.text and PASSWORD not in again.text
    assert client.post("login", data={**fields, "mark": mark_of(again.text)}).status_code == 303


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000"])
def test_another_site_logs_nobody_in_or_out(app: ServedApp, origin: str) -> None:
    assert log_in(app.client(), "ana", headers={"origin": origin}).status_code == 403
    client = app.logged_in("ana")
    for path in ("logout", "language"):
        form = {"csrf": client.headers["x-afrel-csrf"], "language": "zh"}
        assert client.post(path, data=form, headers={"origin": origin}).status_code == 403
    assert client.get("api/me").json()["account"] == "ana"


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 403), ({"account": "ana"}, 403), ({"password": "x" * 20_000, "account": "ana"}, 403)]
)
def test_a_form_that_lacks_something_is_told_so(app: ServedApp, fields: dict[str, str], status: int) -> None:
    assert app.client().post("login", data=fields).status_code == status
    client = app.client()
    mark = mark_of(client.get("login").text)
    empty = client.post("login", data={"mark": mark, "account": "ana", "password": ""})
    assert (empty.status_code, message(empty)) == (400, "Enter your account and your password.")


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"&" * 1000, b"mark=" + b"%00" * 50, b"a=" + b"b" * 70_000])
def test_garbage_in_the_form_is_a_stale_form(app: ServedApp, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert app.client().post("login", content=body, headers=kind).status_code == 403


def add_unusual_people(shop: Shop) -> None:
    with shop.store() as store:
        shop.add_person(store, "gone", Role.REVIEWER)
        shop.add_person(store, "other-key", Role.REVIEWER)
        store.append({"accounts": [shop.account_row("other-key", "reviewer", "ab" * 32)]})
    shop.retire("gone")
    create_key(shop.home, "elsewhere", PASSWORD, cost=CHEAP)  # has a key here, is in no list of this workspace
    create_key(shop.home, "damaged", PASSWORD, cost=CHEAP)
    (shop.home / "keys" / "damaged.json").write_text("{")


def test_the_words_do_not_tell_whether_an_account_exists(app: ServedApp) -> None:
    add_unusual_people(app.shop)
    cases = {
        "ana": "not the password",
        "nobody": PASSWORD,
        "gone": PASSWORD,
        "other-key": PASSWORD,
        "elsewhere": PASSWORD,
        "damaged": PASSWORD,
        "../../etc/passwd": PASSWORD,
        "<script>alert(1)</script>": PASSWORD,
    }
    answers = {name: log_in(app.client(), name, password) for name, password in cases.items()}
    assert {name: (a.status_code, message(a)) for name, a in answers.items()} == dict.fromkeys(cases, (403, WRONG))
    lengths = {name: len(a.text.replace(mark_of(a.text), "")) - 1 * len(name) for name, a in answers.items()}
    assert len({n for name, n in lengths.items() if name.isalpha()}) == 1
    assert "<script>" not in answers["<script>alert(1)</script>"].text
    assert [a.headers.get_list("set-cookie")[0].split("=")[0] for a in answers.values()] == ["afrel_form"] * 8


def test_an_unknown_account_takes_as_long_as_a_known_one(app: ServedApp) -> None:
    def seconds(account: str) -> float:
        started = time.perf_counter()
        assert log_in(app.client(), account, "not the password").status_code == 403
        return time.perf_counter() - started

    known = statistics.median(seconds(name) for name in ("dora", "cleo", "eli"))
    unknown = statistics.median(seconds(f"nobody-{n}") for n in range(3))
    assert unknown < 4 * known + 0.05 and known < 4 * unknown + 0.05  # a bound on a missing step, not on noise


def test_what_was_typed_as_a_name_does_not_stand_in_the_log(app: ServedApp) -> None:
    log_in(app.client(), "my secret password", "ana")
    log_in(app.client(), "hunter2hunter2", "x" * 9)
    assert "log in refused: no such account" in app.log
    assert [word for word in ("secret", "hunter2", PASSWORD, "x" * 9) if word in app.log] == []


def test_a_guesser_waits_and_hears_how_long(app: ServedApp) -> None:
    for name in ("guessed", "ana-guessed"):  # neither is an account: an account is told the same
        assert {log_in(app.client(), name, f"guess {n}").status_code for n in range(3)} == {403}
        answer = log_in(app.client(), name, "guess 4")
        assert answer.status_code == 429
        assert message(answer) == "Too many wrong passwords in a row. Try again in 1 s."


def test_one_address_is_slowed_down_over_many_names_and_others_are_not(app: ServedApp) -> None:
    def status(n: int, address: str) -> int:
        return log_in(app.client(), f"name-{n}", "wrong wrong", headers={"x-forwarded-for": address}).status_code

    assert [status(n, "203.0.113.9") for n in range(21)] == [403] * 20 + [429]
    assert log_in(app.client(), "ana", headers={"x-forwarded-for": "203.0.113.9"}).status_code == 429
    assert log_in(app.client(), "ana", headers={"x-forwarded-for": "203.0.113.10"}).status_code == 303


def test_logging_out_needs_the_token_and_ends_this_login_only(app: ServedApp) -> None:
    here, at_home = app.logged_in("ana"), app.logged_in("ana")
    for csrf in ("", "0" * 64, at_home.headers["x-afrel-csrf"]):
        assert here.post("logout", data={"csrf": csrf}).status_code == 403
    assert here.get("logout").status_code == 404
    answer = here.post("logout", data={"csrf": here.headers["x-afrel-csrf"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?said=out")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "You are logged out" in here.get("login?said=out").text
    assert at_home.get("api/me").status_code == 200


def test_a_token_that_was_kept_is_worth_nothing_after_the_logout(app: ServedApp) -> None:
    client = app.logged_in("ana")
    token = client.cookies[app.cookie]
    client.post("logout", data={"csrf": client.headers["x-afrel-csrf"]})
    assert app.client(cookie=f"{app.cookie}={token}").get("api/me").status_code == 401


def test_logging_out_everywhere_ends_every_login_of_the_account_and_no_other(app: ServedApp) -> None:
    here, at_home, dora = app.logged_in("ana"), app.logged_in("ana"), app.logged_in("dora")
    answer = here.post("logout", data={"csrf": here.headers["x-afrel-csrf"], "everywhere": "yes"})
    assert answer.headers["location"] == "/login?said=everywhere"
    assert [client.get("api/me").status_code for client in (here, at_home, dora)] == [401, 401, 200]


def test_a_login_without_activity_ends_and_the_page_says_so(app: ServedApp) -> None:
    client = app.logged_in("eli")
    path = newest_login(app.shop)
    eleven, thirteen = time.time() - 11 * 3600, time.time() - 13 * 3600
    os.utime(path, (eleven, eleven))
    assert client.get("api/me").status_code == 200
    os.utime(path, (thirteen, thirteen))
    answer = client.get("sql", headers={"accept": "text/html"})
    assert answer.headers["location"] == "/login?next=sql&said=ended"
    assert "Your login has ended. Log in again to go on where you were." in client.get("login?said=ended").text
    assert not path.exists()


def test_a_login_of_eight_days_ago_has_ended_however_active(app: ServedApp) -> None:
    client = app.logged_in("cleo")
    path = newest_login(app.shop)
    old = json.loads(path.read_text())
    token = client.cookies[app.cookie]
    client.get("api/me")
    path.write_text(json.dumps({**old, "opened_at": "2001-01-01T00:00:00"}))
    # the server remembers what it has read of a login, as nothing changes it; one that is started later reads it anew
    assert Logins(app.shop.home, app.shop.root).find(token, is_active=True) is None


def test_a_retired_account_is_out_within_a_second(app: ServedApp) -> None:
    leaver = app.shop.newcomer(Role.REVIEWER)
    client = app.logged_in(leaver)
    assert client.get("api/me").status_code == 200
    app.shop.retire(leaver)
    time.sleep(1.1)
    assert client.get("api/me").status_code == 401
    assert client.post("api/claim", json={"n": 1, "held": []}).status_code == 401
    assert message(log_in(app.client(), leaver)) == WRONG


def test_another_role_holds_within_a_second(app: ServedApp) -> None:
    climber = app.shop.newcomer(Role.ADMIN)
    client = app.logged_in(climber)
    assert client.get("adjudicate").status_code == 200
    app.shop.set_role(climber, Role.ENGINEER)
    time.sleep(1.1)
    assert client.get("adjudicate").status_code == 403
    assert client.post("api/claim", json={"n": 1, "held": []}).status_code == 403


def test_a_changed_password_ends_the_logins_of_the_account(app: ServedApp) -> None:
    careful = app.shop.newcomer(Role.REVIEWER)
    client = app.logged_in(careful)
    change_password(app.shop.home, careful, PASSWORD, "a new password", cost=CHEAP)
    assert client.get("api/me").status_code == 401
    assert log_in(app.client(), careful, "a new password").status_code == 303


def test_a_new_key_ends_the_logins_of_the_account(app: ServedApp) -> None:
    rekeyed = app.shop.newcomer(Role.REVIEWER)
    client = app.logged_in(rekeyed)
    with app.shop.store() as store:
        store.append({"accounts": [app.shop.account_row(rekeyed, "reviewer", "cd" * 32)]})
    time.sleep(1.1)
    assert client.get("api/me").status_code == 401


def test_the_language_is_remembered(app: ServedApp) -> None:
    client = app.logged_in("ana")
    answer = client.post("language", data={"language": "zh", "next": "list"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/list")
    assert client.get("api/me").json()["language"] == "zh"
    client.post("language", data={"language": "tlh"})
    assert client.get("api/me").json()["language"] == "zh"
    from_login = app.client()
    assert from_login.post("language", data={"language": "zh", "from": "login"}).headers["location"] == "/login"
    assert '<html lang="zh-CN">' in from_login.get("login").text


def test_who_is_logged_in_is_not_asked_again(app: ServedApp) -> None:
    assert app.logged_in("ana").get("login?next=list").headers["location"] == "/list"


def test_what_a_page_asks_on_a_timer_does_not_keep_a_login_alive(app: ServedApp) -> None:
    client = app.logged_in("eli")
    path = newest_login(app.shop)
    hours_ago = time.time() - 11 * 3600
    os.utime(path, (hours_ago, hours_ago))
    assert client.get("api/me", headers={"x-afrel-by-itself": "1"}).status_code == 200
    assert path.stat().st_mtime == pytest.approx(hours_ago, abs=1)
    client.get("api/me")
    assert path.stat().st_mtime == pytest.approx(time.time(), abs=5)
