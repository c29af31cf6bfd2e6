"""The review card in a real browser: every key, nothing lost, nothing shown that should not be."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

from tests.review_app.browser.shop import Shop, add_candidate, log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def card(browser: Browser, shop: Shop) -> Iterator[Page]:
    """Ana's review card with a candidate on it."""
    page = log_in(browser, shop, "ana")
    expect(page.locator(".af-query")).to_be_visible()
    yield page
    expect(page.locator(".af-saved")).to_have_attribute("data-state", "saved")
    page.context.close()


def query(page: Page) -> str:
    return page.locator(".af-query").inner_text()


def status(page: Page) -> str:
    return page.locator(".af-status").inner_text()


def saved(page: Page) -> None:
    expect(page.locator(".af-saved")).to_have_attribute("data-state", "saved")


def last_act(shop: Shop, account: str = "ana") -> dict[str, object]:
    return shop.responses(account)[-1]


def test_a_digit_grades_and_brings_the_next_card(card: Page, shop: Shop) -> None:
    before = query(card)
    card.keyboard.press("2")
    assert query(card) != before
    saved(card)
    act = last_act(shop)
    assert (act["act"], act["grade"], act["steps"]) == ("submitted", 2, None)


def test_accept_takes_the_suggestion_with_its_reasons(card: Page, shop: Shop) -> None:
    card.keyboard.press("a")
    saved(card)
    act = last_act(shop)
    assert act["grade"] == 1 and "a size conflicts" in str(act["steps"])


def test_keys_typed_fifty_milliseconds_apart_are_all_kept(card: Page, shop: Shop) -> None:
    n_before = len(shop.responses("ana"))
    for key in "2013201320":
        card.keyboard.press(key)
        card.wait_for_timeout(50)
    saved(card)
    acts = shop.responses("ana")[n_before:]
    assert [act["grade"] for act in acts] == [2, 0, 1, 3, 2, 0, 1, 3, 2, 0]
    assert len({act["candidate_id"] for act in acts}) == 10


def test_undo_and_redo_go_back_over_cards_and_logins(card: Page, browser: Browser, shop: Shop) -> None:
    first = query(card)
    card.keyboard.press("3")
    second = query(card)
    card.keyboard.press("l")
    saved(card)
    again = log_in(browser, shop, "ana")
    expect(again.locator(".af-query")).to_be_visible()
    again.keyboard.press("u")  # the trail of earlier logins may still be fetched: the key waits for it
    expect(again.locator(".af-query")).to_have_text(second)
    again.keyboard.press("u")
    expect(again.locator(".af-query")).to_have_text(first)
    saved(again)
    assert [act["act"] for act in shop.responses("ana")[-4:]] == ["submitted", "later", "withdrawn", "withdrawn"]
    again.keyboard.press("U")
    saved(again)
    assert last_act(shop)["grade"] == 3
    again.keyboard.press("U")
    saved(again)
    assert last_act(shop)["act"] == "later"
    again.keyboard.press("U")
    assert "nothing to redo" in status(again)
    again.context.close()


def test_edited_reasons_show_a_word_diff_and_go_with_the_grade(card: Page, shop: Shop) -> None:
    card.keyboard.press("e")
    box = card.locator('textarea[data-step="document"]')
    box.fill("a long leather sofa")
    expect(card.locator(".af-diff ins").first).to_have_text(re.compile("long"))
    card.keyboard.press("Escape")
    expect(card.locator(".af-step-text ins").first).to_have_text(re.compile("long"))
    card.keyboard.press("1")
    saved(card)
    assert "a long leather sofa" in str(last_act(shop)["steps"])
    preference = shop.afrel("sql", "--json", "select count(*) as n from preferences where chosen like '%long leather%'")
    assert '"n": 1' in preference


def test_one_key_marks_the_first_wrong_step(card: Page, shop: Shop) -> None:
    card.keyboard.press("w")
    card.keyboard.press("w")
    expect(card.locator(".af-is-wrong")).to_contain_text("document")
    card.keyboard.press("0")
    saved(card)
    assert last_act(shop)["first_wrong_step"] == 2


def test_discard_asks_for_one_more_key(card: Page, shop: Shop) -> None:
    before = query(card)
    card.keyboard.press("x")
    assert query(card) == before
    card.keyboard.press("2")
    saved(card)
    assert (last_act(shop)["act"], last_act(shop)["reason"]) == ("discarded", "duplicate")
    card.keyboard.press("x")
    card.keyboard.press("c")
    card.keyboard.type("the picture shows 3 others")
    card.keyboard.press("Enter")
    saved(card)
    assert last_act(shop)["reason"] == "the picture shows 3 others"


def test_cannot_tell_and_a_comment_are_kept(card: Page, shop: Shop) -> None:
    card.keyboard.press("c")
    card.keyboard.type("no photo, 2 sizes")
    card.keyboard.press("Enter")
    card.keyboard.press("i")
    saved(card)
    act = last_act(shop)
    assert act["act"] == "cannot_tell"
    assert str(act["candidate_id"]) in shop.afrel("sql", "--json", "select candidate_id from comments")


def test_a_rule_opens_while_its_key_is_held_and_the_guideline_stays(card: Page) -> None:
    card.keyboard.down("r")
    card.keyboard.press("1")
    card.keyboard.up("r")
    panel = card.locator(".af-rule-panel")
    expect(panel).to_contain_text("Where a size conflicts")
    card.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    guideline = card.get_by_label("Guideline")
    expect(guideline).to_be_visible()  # a newcomer sees it without knowing its key
    card.keyboard.press("2")
    expect(guideline).to_be_visible()
    card.keyboard.press("g")
    expect(guideline).to_be_hidden()
    card.reload()
    expect(card.locator(".af-query")).to_be_visible()
    expect(guideline).to_be_hidden()
    card.keyboard.press("g")
    expect(guideline).to_be_visible()


def test_a_wrong_key_does_nothing_and_says_so(card: Page, shop: Shop) -> None:
    before, n_before = query(card), len(shop.responses("ana"))
    for key in ("k", "7", "Enter"):
        card.keyboard.press(key)
        assert status(card) != "" and query(card) == before
    assert len(shop.responses("ana")) == n_before


def test_a_key_can_be_changed_and_stays_changed(card: Page, shop: Shop) -> None:
    card.keyboard.press("?")
    card.get_by_label("Change the key for: later").click()
    card.keyboard.press("a")
    expect(card.locator(".af-help")).to_contain_text("that key is in use for: accept")
    card.get_by_label("Change the key for: later").click()
    card.keyboard.press("n")
    card.keyboard.press("Escape")
    card.reload()
    expect(card.locator(".af-query")).to_be_visible()
    card.keyboard.press("n")
    saved(card)
    assert last_act(shop)["act"] == "later"


def test_in_blind_mode_the_suggestion_comes_after_the_answer(card: Page, shop: Shop) -> None:
    card.keyboard.press("b")
    expect(card.locator(".af-suggestion")).to_contain_text("after your answer")
    before = query(card)
    card.keyboard.press("a")
    assert "no suggestion to accept" in status(card)
    card.keyboard.press("3")
    expect(card.locator(".af-suggestion")).to_contain_text("a size conflicts")
    assert query(card) == before
    card.keyboard.press("1")
    card.keyboard.press("Enter")
    assert query(card) != before
    saved(card)
    assert [act["grade"] for act in shop.responses("ana")[-2:]] == [3, 1]
    card.keyboard.press("b")


def test_words_typed_go_with_the_grade_though_nobody_ended_the_edit(card: Page, shop: Shop) -> None:
    card.keyboard.press("e")
    card.locator('textarea[data-step="document"]').fill("a linen sofa")
    card.locator(".af-grade").nth(1).click()
    saved(card)
    assert "a linen sofa" in str(last_act(shop)["steps"])


def test_tab_goes_from_step_to_step_and_no_letter_there_is_a_command(card: Page, shop: Shop) -> None:
    n_before = len(shop.responses("ana"))
    card.keyboard.press("e")
    card.keyboard.press("Tab")
    assert card.evaluate("document.activeElement.dataset.step") == "document"
    card.locator(".af-doc h2").click()
    for key in "lixu":
        card.keyboard.press(key)
    assert len(shop.responses("ana")) == n_before
    card.keyboard.press("Escape")


def test_words_not_given_yet_are_there_again_after_a_reload(card: Page) -> None:
    card.keyboard.press("e")
    card.locator('textarea[data-step="document"]').press_sequentially("draft ")
    card.reload()
    expect(card.locator(".af-step-text ins").first).to_have_text(re.compile("draft"))
    card.keyboard.press("1")


def test_a_click_leaves_nothing_behind_for_enter_and_a_double_click_grades_once(card: Page, shop: Shop) -> None:
    n_before = len(shop.responses("ana"))
    card.locator(".af-grade").nth(2).dblclick()
    card.keyboard.press("Enter")
    saved(card)
    assert len(shop.responses("ana")) == n_before + 1


def test_a_mouse_gets_past_a_blind_card(card: Page) -> None:
    card.keyboard.press("b")
    expect(card.locator(".af-suggestion")).to_contain_text("after your answer")
    before = query(card)
    card.locator(".af-grade").nth(2).click()
    card.get_by_role("button", name="Next card").click()
    assert query(card) != before
    card.keyboard.press("b")


def test_a_digit_that_is_no_reason_is_no_grade_either(card: Page, shop: Shop) -> None:
    n_before = len(shop.responses("ana"))
    card.keyboard.press("x")
    card.keyboard.press("0")
    assert "choose one" in status(card)
    card.keyboard.press("Escape")
    assert len(shop.responses("ana")) == n_before


def test_a_storage_that_cannot_be_read_stops_nobody(card: Page, shop: Shop) -> None:
    card.evaluate(
        """() => {
            const prefix = Object.keys(localStorage).find((key) => key.includes(":held:")).split("held:")[0];
            localStorage.setItem(`${prefix}keys`, "{broken");
            localStorage.setItem(`${prefix}refused:aa:000000001`, "null");
            localStorage.setItem(`${prefix}entry:${"ab".repeat(8)}:000000001`, "null");
        }"""
    )
    card.reload()
    expect(card.locator(".af-query")).to_be_visible()
    expect(card.get_by_text("cannot be read")).to_be_visible()
    read = card.get_by_role("button", name="I have read this")
    while read.count():
        read.first.click()
    card.keyboard.press("1")
    saved(card)
    assert last_act(shop)["grade"] == 1


def test_an_entry_the_server_cannot_take_holds_no_other_back(card: Page, shop: Shop) -> None:
    n_before = len(shop.responses("ana"))
    card.keyboard.press("x")
    card.keyboard.press("c")
    card.locator(".af-entry input").evaluate("(box) => { box.maxLength = 9000000; box.value = 'x'.repeat(5000000); }")
    card.keyboard.press("Enter")
    card.keyboard.press("2")
    assert [act["grade"] for act in shop.responses("ana", n=n_before + 1)[n_before:]] == [2]
    card.get_by_role("button", name="I have read this").click()


def test_answers_given_while_the_server_is_dead_arrive_when_it_is_back(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "bo")
    expect(page.locator(".af-query")).to_be_visible()
    page.wait_for_timeout(1000)
    shop.stop(signal.SIGKILL)
    for _ in range(4):
        page.keyboard.press("2")
        page.wait_for_timeout(300)
    expect(page.locator(".af-saved")).to_contain_text("4 unsaved")
    page.wait_for_timeout(4000)
    assert page.locator('[role="dialog"]:visible').count() == 0
    shop.start()
    saved(page)
    assert [act["grade"] for act in shop.responses("bo")] == [2, 2, 2, 2]
    page.context.close()


def test_a_closed_tab_loses_nothing(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "bo")
    expect(page.locator(".af-query")).to_be_visible()
    n_before = len(shop.responses("bo"))
    page.route("**/api/acts", lambda route: route.abort())
    page.keyboard.press("0")
    page.keyboard.press("1")
    expect(page.locator(".af-saved")).to_contain_text("2 unsaved")
    another = page.context.new_page()
    page.close(run_before_unload=False)
    another.goto(f"{shop.url}/review")
    expect(another.locator(".af-query")).to_be_visible()
    saved(another)
    assert [act["grade"] for act in shop.responses("bo", n=n_before + 2)[n_before:]] == [0, 1]
    another.context.close()


def test_two_tabs_of_one_person_show_different_cards(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "bo")
    expect(page.locator(".af-query")).to_be_visible()
    page.wait_for_timeout(500)
    another = page.context.new_page()
    another.goto(f"{shop.url}/review")
    expect(another.locator(".af-query")).to_be_visible()
    shown = set()
    for tab in (page, another, page, another):
        shown.add(query(tab))
        tab.keyboard.press("1")
    saved(page)
    saved(another)
    assert len(shown) == 4
    page.context.close()


def test_a_document_of_a_hundred_thousand_characters_shows_what_matched_first(browser: Browser, shop: Shop) -> None:
    filler = "Nothing to see in this sentence. " * 3000
    with shop.store() as store:
        add_candidate(store, 900, query="walnut shelf", title="Shelf", terms=["walnut", "shelf"], missing=[],
                      body=filler + "Made of WALNUT and brass. " + filler, confidence=0.01)  # fmt: skip
    page = log_in(browser, shop, "dora")
    expect(page.locator(".af-query")).to_have_text("walnut shelf")
    body = page.locator(".af-body")
    expect(body.locator("mark")).to_have_text("WALNUT")
    assert len(body.inner_text()) < 1500
    page.keyboard.press("/")
    page.keyboard.type("brass")
    page.keyboard.press("Enter")
    expect(page.locator(".af-status")).to_have_text("1 of 1")
    page.keyboard.press("Escape")
    page.context.close()


def test_the_page_speaks_chinese_and_names_its_parts_for_a_screen_reader(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "dora", locale="zh-CN")
    expect(page.locator(".af-query")).to_be_visible()
    expect(page.locator(".af-saved")).to_have_text("已保存")
    assert page.get_by_role("group", name="等级").get_by_role("button").count() == 4
    assert page.get_by_role("article", name="文档").is_visible()
    assert page.locator('[aria-live="polite"]').count() >= 2
    page.context.close()


def test_an_empty_queue_says_what_will_come(browser: Browser, shop: Shop) -> None:
    page = log_in(browser, shop, "cleo")
    expect(page.locator(".af-query")).to_be_visible()
    words = page.get_by_text(re.compile("Nothing waits for you|are with colleagues"))
    for _ in range(300):
        if words.is_visible():
            break
        page.keyboard.press("1")
        page.wait_for_timeout(60)
    expect(words).to_be_visible()
    saved(page)
    page.context.close()
