"""The page Rules in a real browser: gone through by keyboard, one act a press, text of others never run."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from curation.rules import make_rule
from storage.clock import now
from tests.review_app.browser.shop import Shop, log_in

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.hit=1> [a](javascript:window.hit=1) <script>window.hit=1</script>"


@pytest.fixture(scope="module", autouse=True)
def proposed(shop: Shop) -> None:
    """Twelve proposed rules that vote nowhere, one of them with a text that would run if it could."""
    rules = [make_rule(f"Rule number {n} says so.", f"term_overlap > 0.9{n:02d}", n % 4) for n in range(11)]
    rules.append(make_rule(HOSTILE, "term_overlap > 0.999", 1))
    rows = [
        {"rule_id": rule.rule_id, "text": rule.text, "condition": rule.condition, "grade": rule.grade}
        | {"origin": "mined", "run_id": "run_1", "created_at": now()}
        for rule in rules
    ]
    with shop.store() as store:
        store.append({"rules": rows})


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Page:
    page = log_in(browser, shop, "dora", path="/rules")
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_text(re.compile("^Proposed")).first.click()
    drawn(page)
    return page


def drawn(page: Page) -> None:
    """Wait until the page has been drawn to its end."""
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    page.wait_for_timeout(700)


def heading(page: Page) -> str:
    return page.locator("h3").first.inner_text()


def press(page: Page, key: str) -> None:
    page.keyboard.press(key)
    drawn(page)


def decisions(shop: Shop) -> list[dict[str, Any]]:
    with shop.store() as store:
        rules = store.frame("rules")["rule_id"].to_list()
        rows = store.read("rule_decisions", rule_ids=rules).to_pylist()
    return [row for row in rows if row["account"] == "dora"]


def test_a_list_is_gone_through_by_keyboard(page: Page, shop: Shop) -> None:
    before = len(decisions(shop))
    press(page, "j")
    first = heading(page)
    press(page, "a")
    expect(page.get_by_text("1 approved.")).to_be_visible()
    second = heading(page)
    assert second != first
    press(page, "x")
    expect(page.get_by_role("button", name="holds for too many pairs")).to_be_visible()
    drawn(page)
    press(page, "2")
    expect(page.get_by_text("1 rejected.")).to_be_visible()
    made = decisions(shop)[before:]
    assert [(row["decision"], row["reason"]) for row in made] == [
        ("approve", None),
        ("reject", "holds for too many pairs"),
    ]
    assert heading(page) not in (first, second)


def test_rules_are_marked_and_approved_together_by_keyboard(page: Page, shop: Shop) -> None:
    before = len(decisions(shop))
    box = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 200, box["y"] + 55)
    drawn(page)
    for _ in range(3):
        page.keyboard.press("Shift+Space")
        page.wait_for_timeout(200)
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(200)
    expect(page.get_by_role("button", name="Approve 3 marked")).to_be_visible()
    press(page, "a")
    expect(page.get_by_text("3 approved.")).to_be_visible()
    assert [row["decision"] for row in decisions(shop)[before:]] == ["approve"] * 3


def test_a_double_click_counts_once(page: Page, shop: Shop) -> None:
    before = len(decisions(shop))
    press(page, "j")
    page.get_by_role("button", name=re.compile("^Approve")).dblclick()
    # whichever click is told of last
    told = page.get_by_text(re.compile("approved\\.|decided before"))
    expect(told.first).to_be_visible()
    drawn(page)
    time.sleep(1)
    assert len(decisions(shop)) - before == 1


def test_what_is_typed_into_a_field_is_no_act(page: Page, shop: Shop) -> None:
    before = len(decisions(shop))
    press(page, "j")
    find = page.get_by_placeholder("Find words of a rule, a condition or an id")
    find.click()
    page.keyboard.type("axej says", delay=30)
    drawn(page)
    assert find.input_value() == "axej says"
    assert len(decisions(shop)) == before


def test_the_text_of_a_rule_never_runs(page: Page) -> None:
    page.get_by_text(re.compile("^All")).first.click()
    drawn(page)
    find = page.get_by_placeholder("Find words of a rule, a condition or an id")
    find.fill("onerror")
    find.press("Enter")
    drawn(page)
    page.locator("h1").click()
    press(page, "j")
    assert heading(page).replace("\u2060", "") == HOSTILE
    assert page.evaluate("window.hit") is None
    assert page.locator("h3 a, h3 img, h3 script").count() == 0


@pytest.mark.parametrize(("scheme", "locale"), [("dark", "zh-CN"), ("light", "en-GB")])
def test_the_page_draws_in_both_themes_and_languages(browser: Browser, shop: Shop, scheme: Any, locale: str) -> None:
    page = log_in(browser, shop, "cleo", path="/rules", color_scheme=scheme, locale=locale)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    expect(page.locator("canvas").first).to_be_visible()
    drawn(page)
    press(page, "j")
    press(page, "e")
    expect(page.locator("textarea")).to_have_count(2)
    assert problems == []
