"""The genuine UI in a real browser: a reviewer logs in with the password that was shown, grades, filters, searches."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from review_app.decisions import Response, ResponseAct, Turn, save
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import Afrel
from tests.review_app.argilla_bridge.running import PYTHON
from tests.review_app.argilla_local.shop_of_pairs import PAIRS, STEPS, free_port, make_shop, pair_id_of
from tests.review_app.chromium import SLOW, found_chromium, launched

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(PYTHON is None, reason="AFREL_ARGILLA_PYTHON names no Argilla environment"),
    pytest.mark.skipif(found_chromium() is None, reason="no Chromium found"),
]
N_GRADED = 20
N_BEFORE = 10  # answered in the review app by somebody else
KEYS = ("1", "2", "3", "4")  # the grades' keys in the UI, from 0
SUGGESTED = 2
PICTURE = os.environ.get("AFREL_ARGILLA_PICTURE")  # where to keep a picture of the page


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "shop"
    make_shop(afrel, folder, {"root": "admin", "cleo": "curator", "ana": "reviewer", "bo": "reviewer"})
    yield folder
    afrel("argilla", "down", workspace=folder)


def test_a_reviewer_grades_filters_searches_and_finds_alike_in_the_browser(afrel: Afrel, shop: Path) -> None:
    up = json.loads(afrel("argilla", "up", "--port", str(free_port()), "--json", workspace=shop).stdout)
    passwords = {one["username"]: one["password"] for one in up["passwords"]}
    with Store.connect(Workspace.open(shop), sees_test=True) as store:
        answer_in_the_app(store, "bo", range(N_BEFORE))
    told = afrel("argilla", "push", workspace=shop).stdout
    assert f"{len(PAIRS)} to afrel-v1-x2" in told
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(SLOW)
        log_in(page, up["url"], "ana", passwords["ana"])
        search_filter_and_find_alike(page)
        grade_by_keyboard(page)
    pulled = afrel("argilla", "pull", "--json", workspace=shop, account="cleo").stdout
    assert json.loads(pulled)["acts"] == {"submitted": N_GRADED}
    with Store.connect(Workspace.open(shop), sees_test=True) as store:
        asked = [f"c_{n}" for n in range(len(PAIRS))]
        standing = store.read("standing_of_candidates", candidate_ids=asked).to_pylist()
        assert Counter((row["account"], row["is_pulled"]) for row in standing) == {
            ("ana", True): N_GRADED,
            ("bo", False): N_BEFORE,
        }
        (run,) = store.read("last_counts", verb="argilla pull").to_pylist()
        assert json.loads(run["counts"])["new"] == N_GRADED
    report = json.loads(afrel("adjudicate", "--agreement", "--json", workspace=shop, account="root").stdout)
    people = Counter(row["pair_id"] for row in standing)
    both = sum(n == 2 for n in people.values())
    assert (
        both >= N_BEFORE + N_GRADED - len(PAIRS) and report["alpha"]["n"] == both
    )  # pairs that ana answered in Argilla and bo in the app


def answer_in_the_app(store: Store, account: str, pairs: range) -> None:
    given = [
        Response(Turn(f"c_{n}", pair_id_of(n), account, "app", n + 1), ResponseAct.SUBMITTED, grade=n % 4)
        for n in pairs
    ]
    proposals = {f"c_{n}": (2, STEPS) for n in pairs}
    assert save(store, given, proposals=proposals) == len(pairs)


def log_in(page: Page, url: str, who: str, password: str) -> None:
    page.goto(f"{url}/sign-in")
    page.locator("input[name=Username]").fill(who)
    page.locator("input[name=Password]").fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("afrel-v1-x2").first.click()
    expect(page.get_by_text(f"1 of {len(PAIRS)}")).to_be_visible()


def search_filter_and_find_alike(page: Page) -> None:
    """Ask for a Chinese phrase and for what is like its first hit; then for the lowest ten by confidence."""
    everything = page.url.split("?")[0] + "?page=1&status=pending"
    page.locator("[data-title=Search]").click()
    page.locator("input[role=search]").fill('"木茶几"')
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 3", exact=True)).to_be_visible()
    page.get_by_text("Find similar").first.click()
    expect(page.get_by_text("Similar to")).to_be_visible()
    expect(page.get_by_text("1 of 2", exact=True)).to_be_visible()
    if PICTURE:
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURE)
    page.goto(everything)
    page.get_by_text("Find similar").first.click()
    expect(page.get_by_text(f"1 of {len(PAIRS) - 1}", exact=True)).to_be_visible()  # all others, the most alike first
    page.goto(everything)
    page.get_by_text("Filters").first.click()
    page.get_by_text("Metadata").first.click()
    page.get_by_text("Confidence").first.click()
    page.locator("input[type=number]").nth(1).fill("0.09")
    page.keyboard.press("Tab")
    expect(page.get_by_text("1 of 10", exact=True)).to_be_visible()
    page.goto(everything)
    expect(page.get_by_text(f"1 of {len(PAIRS)}", exact=True)).to_be_visible()


def grade_by_keyboard(page: Page) -> None:
    """Give twenty grades: a key, Enter, and the next record is there."""
    for n in range(N_GRADED):
        if n % 4 != SUGGESTED:  # which is chosen already: its key would take it back
            page.keyboard.press(KEYS[n % 4])
        expect(page.locator("button[type=submit]")).to_be_enabled()
        with page.expect_response(lambda answer: answer.url.endswith("/responses")) as sent:
            page.keyboard.press("Enter")
        assert sent.value.status == 201
        expect(page.locator(".status-counter__counter").first).to_have_text(str(n + 1))
        page.wait_for_timeout(200)  # the next record takes the keys a moment after it is counted
