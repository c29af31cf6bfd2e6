"""Adjudication in a real browser: who said what, decisions by keyboard, and what somebody else decided first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, Route, expect

from storage.clock import now
from tests.conftest import stop_store_process
from tests.review_app.browser.contrast import weak_texts
from tests.review_app.browser.shop import Shop, add_candidate, log_in, make_shop

pytestmark = pytest.mark.browser
_N = iter(range(1, 1000))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(tmp_path_factory.mktemp("adjudicate"), n_pairs=0)
    made.start()
    yield made
    made.stop()
    stop_store_process(made.root)


def add_answered(served: Shop, *grades: tuple[str, Any]) -> str:
    """Add a pair that wants two answers, answered by account; a text for a grade is an act. Return its candidate."""
    n = next(_N)
    with served.store() as store:
        candidate_id = add_candidate(store, n, query=f"red sofa {n}", title=f"Sofa {n}", confidence=0.1)
        rows = [_answer(candidate_id, account, said, place) for place, (account, said) in enumerate(grades)]
        store.append({"responses": rows})
    return candidate_id


def _answer(candidate_id: str, account: str, said: int | str, place: int) -> dict[str, Any]:
    is_grade = isinstance(said, int)
    return {
        "response_id": f"a_{account}_{candidate_id}_{place}",
        "candidate_id": candidate_id,
        "pair_id": candidate_id.replace("c_", "p_"),
        "account": account,
        "act": "submitted" if is_grade else said,
        "grade": said if is_grade else None,
        "steps": '[["verdict", "228 cm is too wide"]]' if said == 0 else None,
        "reason": "broken" if said == "discarded" else None,
        "is_replayed": False,
        "session": f"tab-{candidate_id}",
        "sequence": place + 1,
        "seconds": 12.0,
        "created_at": now(),
    }


@pytest.fixture
def disputed(served: Shop) -> list[str]:
    """Three pairs on which ana says 0 and bo 2, after whatever other tests left."""
    return [add_answered(served, ("ana", 0), ("bo", 2)) for _ in range(3)]


def open_desk(browser: Browser, served: Shop, account: str = "dora", **options: Any) -> Page:
    page = log_in(browser, served, account, path="/adjudicate", **options)
    expect(page.locator(".af-pairs li").first).to_be_visible()
    expect(page.locator(".af-query")).to_be_visible()
    return page


def look_at(page: Page, candidate_id: str) -> None:
    n = int(candidate_id[3:], 16)
    page.locator(".af-pairs li").filter(has=page.get_by_text(f"Sofa {n}", exact=True)).click()
    expect(page.locator(".af-doc h2")).to_have_text(f"Sofa {n}")


def saved(page: Page) -> None:
    expect(page.locator(".af-saved")).to_have_attribute("data-state", "saved")


def status(page: Page) -> str:
    return page.locator(".af-status").inner_text()


def judgment(served: Shop, candidate_id: str) -> dict[str, Any] | None:
    with served.store() as store:
        rows = store.read("judgments_on_pair", pair_id=candidate_id.replace("c_", "p_")).to_pylist()
    return next((row for row in rows if row["is_current"]), None)


def test_a_pair_shows_who_said_what_when_and_why_and_what_was_undone(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    first = disputed[0]
    with served.store() as store:
        edit = {**_answer(first, "bo", 1, 7), "steps": None}
        undo = {**_answer(first, "bo", "withdrawn", 8), "target_id": edit["response_id"]}
        comment = {
            "comment_id": "a_k1",
            "candidate_id": first,
            "account": "ana",
            "text": "<img src=x onerror=alert(1)> no photo",
            "created_at": now(),
        }
        store.append({"responses": [edit, undo], "comments": [comment]})
    page = open_desk(browser, served)
    look_at(page, first)
    answers = page.locator(".af-answer").all_inner_texts()
    assert ["ana" in answers[0], "0 irrelevant" in answers[0], "228 cm is too wide" in answers[0]] == [True] * 3
    assert ["bo" in answers[1], "2 substantially" in answers[1], "12 s" in answers[1]] == [True] * 3
    expect(page.locator(".af-comment")).to_contain_text("<img src=x onerror=alert(1)> no photo")
    assert page.locator(".af-page img").count() == 0
    expect(page.locator(".af-suggested")).to_contain_text("1 partly")
    expect(page.locator(".af-vote-list")).to_contain_text("Where a size conflicts, the grade is 1.")
    expect(page.locator(".af-rule-counts").first).to_be_visible()
    expect(page.locator(".af-events")).to_have_count(0)
    page.keyboard.press("h")
    expect(page.locator(".af-gone")).to_contain_text("1 partly")
    expect(page.locator(".af-gone")).to_contain_text("undone")
    page.context.close()


def test_a_digit_and_enter_settle_with_the_reasons_that_argue_for_the_grade(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    page = open_desk(browser, served)
    look_at(page, disputed[0])
    page.keyboard.press("Enter")
    assert "grade first" in status(page)
    page.keyboard.press("0")
    expect(page.locator('.af-decision [aria-pressed="true"]')).to_have_text("ana")
    page.keyboard.press("c")
    page.keyboard.type("228 is over 2 m")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".af-doc h2")).to_have_text(f"Sofa {int(disputed[1][3:], 16)}")  # the next one
    saved(page)
    settled = judgment(served, disputed[0])
    assert settled is not None
    told = [settled[name] for name in ("grade", "origin", "account", "reason", "steps")]
    assert told == [0, "adjudicated", "dora", "228 is over 2 m", '[["verdict", "228 cm is too wide"]]']
    page.context.close()


def test_another_rationale_or_an_own_one_may_go_with_the_grade(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    page = open_desk(browser, served)
    look_at(page, disputed[0])
    page.keyboard.press("0")
    page.keyboard.press("t")
    expect(page.locator('.af-decision [aria-pressed="true"]')).to_contain_text("nobody")
    page.keyboard.press("Enter")
    look_at(page, disputed[1])
    page.keyboard.press("3")
    page.keyboard.press("e")
    page.locator('.af-decision textarea[data-step="verdict"]').fill("fits as it is")
    page.keyboard.press("Escape")
    expect(page.locator('.af-decision [aria-pressed="true"]')).to_have_text("your own")
    page.keyboard.press("Enter")
    saved(page)
    first, second = judgment(served, disputed[0]), judgment(served, disputed[1])
    assert first is not None and second is not None
    assert (first["steps"], second["steps"]) == (None, '[["verdict", "fits as it is"]]')
    page.context.close()


def test_what_is_being_written_stays_while_the_decision_before_is_taken_and_other_pairs_are_looked_at(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    page = open_desk(browser, served)
    held: list[Route] = []
    page.route("**/adjudicate/decide*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks what it is given
    look_at(page, disputed[0])
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    look_at(page, disputed[1])
    page.keyboard.press("3")
    page.keyboard.press("e")
    page.keyboard.type("half a")
    verdict = page.locator('.af-decision textarea[data-step="verdict"]')
    first = page.locator(".af-decision textarea").first
    expect(first).to_have_value("half a")
    for route in held:
        route.continue_()
    page.unroute("**/adjudicate/decide*")
    saved(page)
    expect(first).to_have_value("half a")
    verdict.fill("fits")
    look_at(page, disputed[2])
    look_at(page, disputed[1])
    expect(page.locator(".af-decision")).to_contain_text("half a")
    expect(page.locator(".af-decision")).to_contain_text("fits")
    page.context.close()


def test_sending_back_asks_the_same_people_again_and_tells_them_why(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    page = open_desk(browser, served)
    look_at(page, disputed[0])
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    assert page.locator(".af-entry").is_visible()  # not without a word
    page.keyboard.type("look at the <b>width</b>")
    page.keyboard.press("Enter")
    assert "sent back" in status(page)
    saved(page)
    with served.store() as store:
        (row,) = store.read("candidate", candidate_id=disputed[0]).to_pylist()
        assert (row["status"], row["n_required"]) == ("awaiting_review", 2)
    page.context.close()
    ana = log_in(browser, served, "ana", path="/list")
    expect(ana.locator(".af-query")).to_be_visible()
    ana.keyboard.press("/")
    ana.get_by_role("combobox").fill(f"red sofa {int(disputed[0][3:], 16)}")
    ana.keyboard.press("Enter")  # before its answer has come
    expect(ana.get_by_role("combobox")).to_be_hidden()
    expect(ana.locator(".af-query")).to_have_text(f"red sofa {int(disputed[0][3:], 16)}")
    expect(ana.locator(".af-row-note")).to_have_text("Please look again: look at the <b>width</b>")
    expect(ana.locator(".af-row-own")).to_contain_text("0 irrelevant")
    ana.keyboard.press("2")
    expect(ana.locator(".af-row-note")).to_have_count(0)
    saved(ana)
    ana.context.close()
    bo = log_in(browser, served, "bo", path="/review")  # what came back stands first
    expect(bo.locator(".af-query")).to_contain_text(f"red sofa {int(disputed[0][3:], 16)}")
    expect(bo.locator(".af-why")).to_contain_text("please look again: look at the <b>width</b>")
    bo.context.close()


def test_who_is_second_is_told_and_may_still_decide(browser: Browser, served: Shop, disputed: list[str]) -> None:
    dora, root = open_desk(browser, served), open_desk(browser, served, "root")
    look_at(dora, disputed[0])
    look_at(root, disputed[0])
    dora.keyboard.press("2")
    dora.keyboard.press("Enter")
    saved(dora)
    root.keyboard.press("0")
    root.keyboard.press("c")
    root.keyboard.type("too wide")
    root.keyboard.press("Enter")
    root.keyboard.press("Enter")
    expect(root.locator(".af-news")).to_contain_text("dora settled this as 2 substantially first.")
    expect(root.locator(".af-news")).to_contain_text("Your decision was not taken.")
    settled = judgment(served, disputed[0])
    assert settled is not None and (settled["account"], settled["grade"]) == ("dora", 2)
    root.keyboard.press("u")
    expect(root.locator(".af-decided")).to_contain_text("dora")
    expect(root.locator(".af-decision")).to_contain_text("too wide")  # what was typed is still there
    root.keyboard.press("Enter")
    saved(root)
    settled = judgment(served, disputed[0])
    assert settled is not None and (settled["account"], settled["grade"]) == ("root", 0)
    assert not root.locator(".af-news").is_visible()
    for page in (dora, root):
        page.context.close()


def test_a_decision_without_a_network_is_kept_and_taken_once(
    browser: Browser, served: Shop, disputed: list[str]
) -> None:
    page = open_desk(browser, served)
    look_at(page, disputed[1])
    look_at(page, disputed[0])
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator(".af-saved")).to_contain_text("1 unsaved")
    again = page.context.new_page()
    page.close(run_before_unload=False)
    again.context.set_offline(False)
    again.goto(f"{served.url}/adjudicate")
    expect(again.locator(".af-pairs li").first).to_be_visible()
    saved(again)
    with served.store() as store:
        rows = store.read("judgments_on_pair", pair_id=disputed[0].replace("c_", "p_")).to_pylist()
    assert [(row["grade"], row["account"]) for row in rows] == [(2, "dora")]
    again.context.close()


def test_what_people_agree_on_is_settled_with_one_key(browser: Browser, served: Shop, disputed: list[str]) -> None:
    agreed = [add_answered(served, ("ana", 3), ("bo", 3)) for _ in range(2)]
    page = open_desk(browser, served)
    expect(page.locator(".af-tabs")).to_contain_text("Agreed2")
    page.keyboard.press("y")
    expect(page.locator(".af-status")).to_have_text("2 pairs settled by agreement")
    assert [(judgment(served, one) or {}).get("origin") for one in agreed] == ["consensus"] * 2
    assert judgment(served, disputed[0]) is None
    page.context.close()


def test_what_everybody_discarded_has_a_list_of_its_own(browser: Browser, served: Shop, disputed: list[str]) -> None:
    thrown = add_answered(served, ("ana", "discarded"), ("bo", "discarded"))
    page = open_desk(browser, served)
    page.keyboard.press("v")
    expect(page.locator(".af-doc h2")).to_have_text(f"Sofa {int(thrown[3:], 16)}")
    expect(page.locator(".af-answer").first).to_contain_text("the listing is broken")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(".af-message").first).to_be_hidden()
    saved(page)
    assert (judgment(served, thrown) or {}).get("grade") == 1
    expect(page.get_by_text("No pair was thrown out")).to_be_visible()
    assert disputed
    page.context.close()


def test_a_reviewer_has_no_such_page(browser: Browser, served: Shop) -> None:
    page = log_in(browser, served, "ana", path="/adjudicate")
    page.wait_for_timeout(1500)
    assert page.locator(".af-adjudicate").count() == 0
    answer = page.request.post(f"{served.url}/api/adjudicate/pairs", data={})
    assert answer.status == 403
    page.context.close()


@pytest.mark.parametrize(("theme", "locale"), [("light", "zh-CN"), ("dark", "en-GB")])
def test_both_themes_are_readable_in_both_languages(
    browser: Browser, served: Shop, disputed: list[str], theme: str, locale: str
) -> None:
    page = open_desk(browser, served, color_scheme=theme, locale=locale)
    look_at(page, disputed[0])
    page.keyboard.press("h")
    page.keyboard.press("0")
    page.keyboard.press("e")
    assert weak_texts(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    assert weak_texts(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert weak_texts(page) == []
    if locale == "zh-CN":
        assert "有分歧" in page.locator(".af-tabs").inner_text()
    page.context.close()
