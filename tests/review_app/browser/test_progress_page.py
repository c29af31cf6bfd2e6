"""The page Progress in a real browser: who sees whom, and that the figures come by themselves."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from review_app.decisions import Turn, save, submit
from storage.clock import now
from tests.review_app.browser.shop import Shop, log_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def answered(shop: Shop) -> None:
    """Ana, bo and cleo each graded two pairs on each of the last four days."""
    answers, proposals = [], {}
    for place, account in enumerate(("ana", "bo", "cleo")):
        for n in range(8):
            number = f"8{8 * place + n:015x}"
            at = now() - timedelta(days=1 + n // 2)
            turn = Turn(f"c_{number}", f"p_{number}", account, "s", n + 1, at, 12.0)
            answers.append(submit(turn, 2))
            proposals[turn.candidate_id] = (1, "[]")
    with shop.store() as store:
        save(store, answers, proposals=proposals)


def opened(browser: Browser, shop: Shop, account: str, **options: str) -> Page:
    page = log_in(browser, shop, account, path="/progress", **options)
    expect(page.locator("canvas").first).to_be_visible()
    expect(page.get_by_text("Being counted")).to_have_count(0)
    page.wait_for_timeout(1000)
    return page


def cells(page: Page) -> list[str]:
    """Every cell of every table, as screen readers are given them."""
    return page.locator("[role=gridcell]").all_inner_texts()


def test_a_lead_sees_people_by_name(browser: Browser, shop: Shop) -> None:
    page = opened(browser, shop, "dora")
    expect(page.get_by_text(re.compile(r"6 answers a day \(6 to 6; mean of 4 whole days, n = 24\)"))).to_be_visible()
    page.get_by_text("Grades above", exact=False).or_(
        page.get_by_text("People", exact=True)
    ).first.scroll_into_view_if_needed()
    assert {"ana", "bo", "cleo"} <= set(cells(page))


def test_a_reviewer_sees_nobody_else(browser: Browser, shop: Shop) -> None:
    page = opened(browser, shop, "ana")
    expect(page.get_by_text("The team gave 24 answers in the last two weeks; 8 of them are yours.")).to_be_visible()
    assert "ana" in cells(page)
    whole = page.content()
    assert not re.search(r"\bbo\b", whole) and "cleo" not in whole


def test_no_one_else_stands_in_what_the_server_sends_a_reviewer(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "ana", path="/review")
    frames: list[bytes] = []

    def listen(socket: object) -> None:
        socket.on("framereceived", lambda frame: frames.append(frame if isinstance(frame, bytes) else frame.encode()))  # type: ignore[attr-defined]

    page.on("websocket", listen)
    page.goto(f"{shop.url}/progress")
    expect(page.get_by_text("The team gave 24 answers", exact=False)).to_be_visible()
    page.wait_for_timeout(1000)
    sent = b"".join(frames)
    assert b"yours" in sent and b"ana" in sent
    assert b"cleo" not in sent


@pytest.mark.parametrize(("scheme", "locale"), [("dark", "zh-CN"), ("light", "en-GB")])
def test_the_page_draws_in_both_themes_and_languages(browser: Browser, shop: Shop, scheme: str, locale: str) -> None:
    problems: list[str] = []
    page = opened(browser, shop, "eli", color_scheme=scheme, locale=locale)
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.reload()
    expect(page.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(1000)
    assert problems == []
