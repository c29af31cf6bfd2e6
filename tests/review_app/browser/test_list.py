"""The list in a real browser: one query's documents graded by keyboard, nothing lost, nothing shown too early."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import stop_store_process
from tests.review_app.browser.contrast import weak_texts
from tests.review_app.browser.shop import Shop, add_candidate, log_in, make_shop

pytestmark = pytest.mark.browser
N_DOCS = 9


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(tmp_path_factory.mktemp("lists"), n_pairs=0)
    made.start()
    yield made
    made.stop()
    stop_store_process(made.root)


_N = iter(range(1, 1000))


@pytest.fixture
def query(served: Shop) -> str:
    """A fresh query that has more waiting docs than any other; the first of its docs is audited blindly."""
    of = next(_N)
    name = f"red sofa {of}"
    with served.store() as store:
        for n in range(N_DOCS + 2 * of):
            add_candidate(
                store, 1000 * of + n, of=of, is_audited=n == 0, query=name, title=f"Sofa {of}-{n:03d}",
                body="Soft red leather. " * (60 if n == 1 else 1), confidence=0.6,
            )  # fmt: skip
    return name


@pytest.fixture
def page(browser: Browser, served: Shop, query: str) -> Iterator[Page]:
    opened = open_list(browser, served, "ana", query)
    yield opened
    expect(opened.locator(".af-saved")).to_have_attribute("data-state", "saved")
    opened.context.close()


def open_list(browser: Browser, served: Shop, account: str, query: str, **options: object) -> Page:
    page = log_in(browser, served, account, path="/list", **options)
    expect(page.locator(".af-query")).to_have_text(query)
    expect(page.locator(".af-row.af-here")).to_be_focused()
    return page


def number_of(query: str) -> int:
    return int(query.rsplit(maxsplit=1)[-1])


def here(page: Page) -> str:
    return title(page.locator(".af-row.af-here"))


def title(row: Locator) -> str:
    return row.locator("h2").inner_text().split("≠")[0].strip()


def titles(page: Page) -> list[str]:
    return [title(row) for row in page.locator(".af-row").all()]


def row_of(page: Page, name: str) -> Locator:
    return page.locator(".af-row").filter(has=page.locator("h2", has_text=name))


def saved(page: Page) -> None:
    expect(page.locator(".af-saved")).to_have_attribute("data-state", "saved")


def status(page: Page) -> str:
    return page.locator(".af-status").inner_text()


def test_an_empty_workspace_says_what_will_appear_here(browser: Browser, served: Shop) -> None:
    """The first test of this module: no candidate was added yet."""
    page = log_in(browser, served, "ana", path="/list")
    words = "No query has a document that waits for you."
    expect(page.locator(".af-message").filter(has_text=words)).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    expect(page.locator(".af-chooser")).to_contain_text(words)
    page.context.close()


def test_the_query_with_the_most_waiting_docs_opens_in_an_order_of_ones_own(
    page: Page, browser: Browser, served: Shop, query: str
) -> None:
    order = titles(page)
    n = len(order)
    assert page.locator(".af-counts").inner_text() == f"0 graded by you · {n} to grade · {n} documents"
    page.reload()
    expect(page.locator(".af-row")).to_have_count(n)
    assert titles(page) == order
    other = log_in(browser, served, "bo", path="/list")
    expect(other.locator(".af-status")).to_be_visible()
    other.keyboard.press("/")
    other.get_by_role("combobox").fill(query)
    expect(other.get_by_role("option")).to_have_count(1)
    other.keyboard.press("Enter")
    expect(other.locator(".af-query")).to_have_text(query)
    assert sorted(titles(other)) == sorted(order) and titles(other) != order
    # all of them are on ana's screen, so nobody else is asked, but for the audited one, which wants two answers
    expect(other.locator(".af-row.af-is-taken")).to_have_count(n - 1)
    other.locator(".af-row.af-is-taken h2").first.click()
    other.keyboard.press("2")
    assert "somebody else" in status(other)
    other.context.close()


def test_digits_typed_fifty_milliseconds_apart_grade_one_doc_after_the_other(page: Page, served: Shop) -> None:
    order = titles(page)
    for key in "2013201":
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    saved(page)
    acts = served.responses("ana")[-7:]
    assert [act["grade"] for act in acts] == [2, 0, 1, 3, 2, 0, 1]
    assert len({act["candidate_id"] for act in acts}) == 7
    assert here(page) == order[7]
    assert [row.locator(".af-row-own .af-badge").inner_text()[0] for row in page.locator(".af-row").all()[:7]] == list(
        "2013201"
    )


def test_a_grade_is_changed_in_place_and_undone_and_given_again(page: Page, served: Shop) -> None:
    first = here(page)
    page.keyboard.press("1")
    page.keyboard.press("k")
    assert here(page) == first
    page.keyboard.press("3")
    assert here(page) == first  # what was graded before is only changed
    badge = row_of(page, first).locator(".af-row-own .af-badge")
    expect(badge).to_have_text("3 fully")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("u")
    expect(badge).to_have_text("1 partly")
    assert here(page) == first
    page.keyboard.press("u")
    expect(badge).to_have_count(0)
    page.keyboard.press("U")
    expect(badge).to_have_text("1 partly")
    saved(page)
    page.reload()
    expect(row_of(page, first).locator(".af-row-own .af-badge")).to_have_text("1 partly")
    assert [act["act"] for act in served.responses("ana")[-5:]] == [
        "submitted", "submitted", "withdrawn", "withdrawn", "submitted"
    ]  # fmt: skip


def test_accept_discard_cannot_tell_and_later_are_the_cards(page: Page, served: Shop) -> None:
    while not page.locator(".af-row.af-here .af-row-suggested .af-badge").count():
        page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("x")
    page.keyboard.press("2")
    page.keyboard.press("i")
    put_off = here(page)
    page.keyboard.press("l")
    saved(page)
    acts = served.responses("ana")[-4:]
    assert [act["act"] for act in acts] == ["submitted", "discarded", "cannot_tell", "later"]
    assert acts[0]["grade"] == 1 and "a size conflicts" in str(acts[0]["steps"])
    assert acts[1]["reason"] == "duplicate"
    expect(row_of(page, put_off)).to_contain_text("put off")
    # it is on her list still, so it is nobody else's
    with served.store() as store:
        assert store.claim("bo", 1, among=[str(acts[3]["candidate_id"])]).num_rows == 0


def test_an_audited_doc_shows_its_suggestion_after_the_own_grade_only(page: Page, query: str) -> None:
    audited = row_of(page, f"Sofa {number_of(query)}-000")
    expect(audited.locator(".af-row-suggested")).to_have_text("after your grade")
    audited.locator("h2").click()
    page.keyboard.press("a")
    assert "before your own grade" in status(page)
    page.keyboard.press("3")
    expect(audited.locator(".af-row-suggested")).to_contain_text("1 partly")


def test_comparing_puts_the_own_grades_beside_each_other(page: Page) -> None:
    for key in "0303":
        page.keyboard.press(key)
    n_left = page.locator(".af-row.af-is-open").count()
    page.keyboard.press("s")
    heads = page.locator(".af-row-group").all_inner_texts()
    assert [head.split("n =")[0].strip() for head in heads] == ["3 fully", "0 irrelevant", "not graded yet"]
    assert [head.split("= ")[1] for head in heads] == ["2", "2", str(n_left)]
    first = here(page)
    page.keyboard.press("0")
    expect(page.locator(".af-row-group").first).to_contain_text("n = 1")
    assert here(page) == first
    page.keyboard.press("s")
    expect(page.locator(".af-row-group")).to_have_count(0)


def test_grades_without_a_network_and_a_closed_tab_are_not_lost(browser: Browser, served: Shop, query: str) -> None:
    page = open_list(browser, served, "ana", query)
    n_before = len(served.responses("ana"))
    page.context.set_offline(True)
    for key in "21021":
        page.keyboard.press(key)
    expect(page.locator(".af-saved")).to_contain_text("5 unsaved")
    again = page.context.new_page()
    page.close(run_before_unload=False)
    again.context.set_offline(False)
    again.goto(f"{served.url}/list")
    expect(again.locator(".af-row").first).to_be_visible()
    saved(again)
    acts = served.responses("ana", n=n_before + 5)[n_before:]
    assert [act["grade"] for act in acts] == [2, 1, 0, 2, 1]


def test_the_whole_text_comes_with_enter_and_goes_with_it(page: Page, query: str) -> None:
    long_one = row_of(page, f"Sofa {number_of(query)}-001")
    long_one.locator("h2").click()
    page.keyboard.press("Enter")
    expect(long_one.locator(".af-body")).to_contain_text("Soft red leather. " * 59)
    expect(long_one.locator(".af-body mark").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(long_one.locator(".af-body")).to_have_count(0)


def test_a_settled_doc_is_there_to_compare_with_and_takes_no_grade(browser: Browser, served: Shop, query: str) -> None:
    of = number_of(query)
    candidate_id, pair_id = f"c_8{1000 * of + 3:015x}", f"p_8{1000 * of + 3:015x}"
    with served.store() as store:
        store.append({"responses": [_answer(candidate_id, pair_id, "bo", 2)]})
    served.afrel("adjudicate", account="dora")
    page = open_list(browser, served, "ana", query)
    row = row_of(page, f"Sofa {of}-003")
    expect(row).to_have_class("af-row af-is-settled")
    expect(row.locator(".af-row-own")).to_contain_text("2 substantially")
    row.locator("h2").click()
    page.keyboard.press("1")
    assert "settled before" in status(page)
    page.context.close()


def test_screen_readers_hear_which_doc_and_whose_grade(page: Page) -> None:
    row = page.locator(".af-row.af-here")
    n = page.locator(".af-row").count()
    assert page.get_by_role("feed").count() == 1
    assert row.get_attribute("aria-setsize") == str(n)
    name = row.get_attribute("aria-label") or ""
    assert name.startswith(f"1 of {n}: Sofa") and name.endswith("Not graded yet.".lower())
    position = row.get_attribute("aria-posinset")
    page.keyboard.press("2")
    graded = page.locator(f'.af-row[aria-posinset="{position}"]').get_attribute("aria-label") or ""
    assert graded.endswith("Your grade 2, substantially.")


@pytest.mark.parametrize(("theme", "locale"), [("light", "zh-CN"), ("dark", "en-GB")])
def test_both_themes_are_readable_in_both_languages(
    browser: Browser, served: Shop, query: str, theme: str, locale: str
) -> None:
    page = open_list(browser, served, "ana", query, color_scheme=theme, locale=locale)
    for key in ["2", "i", "l", "Enter", "x"]:
        page.keyboard.press(key)
    assert weak_texts(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("option").first).to_be_visible()
    assert weak_texts(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    assert weak_texts(page) == []
    if locale == "zh-CN":
        assert "待评" in page.locator(".af-counts").inner_text()
    saved(page)
    page.context.close()


def _answer(candidate_id: str, pair_id: str, account: str, grade: int) -> dict[str, object]:
    from storage.clock import now

    return {
        "response_id": f"a_{account}_{candidate_id}",
        "candidate_id": candidate_id,
        "pair_id": pair_id,
        "account": account,
        "act": "submitted",
        "grade": grade,
        "is_replayed": False,
        "session": f"tab-{candidate_id}",
        "sequence": 1,
        "created_at": now(),
    }
