"""Door and frame in a real Chromium: by keyboard, in both languages, without a request to anybody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import ROOT
from tests.review_app.chromium import SLOW, found_chromium, launched
from tests.review_app.server.served_app import PASSWORD, ServedApp, Shop, free_port, serve
from tests.review_app.server.tiny_proxy import Proxy, certificate, run_proxy

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(found_chromium() is None, reason="no Chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


class Watched:
    """What a browser asked of whom, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda stream: self.requests.append(stream.url.replace("ws", "http", 1)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def foreign(self, app: ServedApp) -> list[str]:
        return [url for url in self.requests if not url.startswith((f"{app.origin}/", "data:", "blob:"))]


@contextmanager
def opened(browser: Browser, **options: object) -> Iterator[tuple[Page, Watched]]:
    context = browser.new_context(locale="en-US", **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(SLOW)
    try:
        yield page, Watched(page)
    finally:
        context.close()


def log_in(page: Page, account: str) -> None:
    page.get_by_label("Account", exact=True).fill(account)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(menu(page)).to_be_visible()


def menu(page: Page) -> Locator:
    return page.locator(".af-menu > button")


def choose(page: Page, words: str) -> None:
    """Open the menu of the person and press one of its buttons, by keyboard."""
    page.locator(".af-menu > button").focus()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name=words, exact=True)
    for _ in range(5):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")


def pages_shown(page: Page) -> list[str]:
    return page.locator("[data-testid=stTopNavLink]").all_inner_texts()


def test_logging_in_by_keyboard_draws_the_page_and_asks_nobody_else(app: ServedApp, browser: Browser) -> None:
    with opened(browser) as (page, watched):
        page.goto(f"{app.url}/progress")
        assert page.url.endswith("/login?next=progress")
        expect(page.get_by_label("Account")).to_be_focused()
        page.keyboard.type("cleo")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(menu(page)).to_have_text("cleo · curator")
        assert page.url == f"{app.url}/progress"
        expect(page.locator("[data-testid=stTopNavLink]").first).to_have_text("Review")
        shown = pages_shown(page)
        assert "Adjudicate" not in shown and {"Rules", "Progress"} <= set(shown)
        page.get_by_role("link", name="Rules").click()
        page.wait_for_url("**/rules")
        page.wait_for_timeout(500)
        assert watched.foreign(app) == []
        assert watched.complaints == []


def test_the_token_is_out_of_reach_of_scripts(app: ServedApp, browser: Browser) -> None:
    with opened(browser) as (page, _):
        page.goto(f"{app.url}/login")
        log_in(page, "ana")
        assert app.cookie not in page.evaluate("document.cookie")
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        (token,) = (c["value"] for c in page.context.cookies() if c["name"] == app.cookie)
        assert len(token) == 43 and token not in kept and token not in page.content()


def test_the_menu_changes_the_language_and_logs_out_by_keyboard(app: ServedApp, browser: Browser) -> None:
    with opened(browser) as (page, watched):
        page.goto(f"{app.url}/login")
        log_in(page, "ana")
        page.goto(f"{app.url}/progress")
        choose(page, "中文")
        expect(menu(page)).to_have_text("ana · 审核员")
        assert page.url == f"{app.url}/progress"
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        expect(page).to_have_title("进度 · afrel")
        expect(page.locator("[data-testid=stTopNavLink]").first).to_have_text("审核")
        page.locator(".af-menu > button").click()
        expect(page.get_by_role("button", name="退出登录")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="退出登录")).to_be_hidden()
        choose(page, "退出登录")
        expect(page.locator(".said")).to_have_text("你已退出登录。尚未保存的内容会留在此浏览器中，等你下次登录。")
        page.go_back()
        expect(page.get_by_role("heading", name="登录")).to_be_visible()
        assert watched.foreign(app) == []


def test_logging_out_everywhere_takes_the_other_browser_to_the_login_page(app: ServedApp, browser: Browser) -> None:
    with opened(browser) as (here, _), opened(browser) as (there, _):
        for page in (here, there):
            page.goto(f"{app.url}/login")
            log_in(page, "dora")
        choose(here, "Log out everywhere")
        expect(here.locator(".said")).to_have_text("You are logged out in every browser.")
        started = time.monotonic()
        expect(there.locator(".said")).to_have_text("Your login has ended. Log in again to go on where you were.")
        assert time.monotonic() - started < 15  # three seconds and a half, on a machine that does much else
        assert "next=review" in there.url
        log_in(there, "dora")
        assert there.url == f"{app.url}/review"


def test_a_second_person_in_the_same_browser_ends_the_pages_of_the_first(app: ServedApp, browser: Browser) -> None:
    with opened(browser) as (first, _):
        first.goto(f"{app.url}/login?next=progress")
        log_in(first, "ana")
        second = first.context.new_page()
        second.goto(f"{app.url}/progress")
        choose(second, "Log out")
        log_in(second, "dora")
        expect(first.get_by_text("ana · reviewer")).to_be_hidden()
        first.goto(f"{app.url}/progress")
        expect(menu(first)).to_have_text("dora · adjudicator")


def test_behind_a_proxy_with_tls_that_takes_the_path_off(shop: Shop, browser: Browser, tmp_path: Path) -> None:
    port, public = free_port(), free_port()
    proxy = Proxy(public, port, "/deep/afrel", strips_prefix=True, passes_host=False)
    with (
        serve(shop, url=f"https://localhost:{public}/deep/afrel", port=port) as app,
        run_proxy(proxy, certificate(tmp_path)),
        opened(browser, ignore_https_errors=True) as (page, watched),
    ):
        page.goto(f"{app.url}/progress")
        assert page.url == f"{app.url}/login?next=progress"
        log_in(page, "cleo")
        page.get_by_role("link", name="Rules").click()
        page.wait_for_url(f"{app.url}/rules")
        proxy.strips_prefix, proxy.passes_host = False, True  # and one that does not
        page.reload()
        expect(menu(page)).to_have_text("cleo · curator")
        page.get_by_role("link", name="Review").click()
        page.wait_for_url(f"{app.url}/review")
        page.wait_for_timeout(500)
        assert watched.foreign(app) == [] and watched.complaints == []
        choose(page, "Log out")
        page.wait_for_url(f"{app.url}/login?said=out")


# a page that breaks, found before the one of this name
BROKEN = 'def draw(_page):\n    raise ValueError("a detail of /the/server")\n'
FOUND_FIRST = "import review_app.views\nreview_app.views.__path__.insert(0, {folder!r})\n"


def test_a_broken_page_is_told_in_words_and_a_restart_that_mends_it_logs_nobody_out(
    shop: Shop, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "progress.py").write_text(BROKEN)
    (tmp_path / "sitecustomize.py").write_text(FOUND_FIRST.format(folder=str(tmp_path / "pages")))
    path, port = f"{tmp_path}:{ROOT}", free_port()
    with opened(browser) as (page, _):
        with serve(shop, port=port, env={"PYTHONPATH": path}) as app:
            page.goto(f"{app.url}/login?next=progress")
            log_in(page, "cleo")
            told = page.locator("[data-testid=stAlert]")
            expect(told).to_contain_text("This page could not be drawn. Nothing you saved is lost.")
            number = told.inner_text().split(":")[-1].strip(" .")
            assert "/the/server" not in page.content() and "Traceback" not in page.content()
            assert f"a page broke, number {number}" in app.log
            assert "ValueError: a detail of /the/server" in app.log
            page.get_by_role("link", name="Rules").click()  # it broke alone
            page.wait_for_url("**/rules")
            expect(page.get_by_text("This page could not be drawn")).to_be_hidden()
        with serve(shop, port=port) as app:
            page.goto(f"{app.url}/progress")
            expect(menu(page)).to_have_text("cleo · curator")
            expect(page.get_by_text("This page could not be drawn")).to_be_hidden()
