"""Tiers, snapshots, SQL and accounts in a real browser: keys, clicks, downloads, passwords, nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

from review_app.server.pages import PAGES
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.review_app import tier_shop
from tests.review_app.browser.contrast import weak_texts
from tests.review_app.browser.english import english_texts
from tests.review_app.browser.shop import PASSWORD, Shop, log_in
from tests.review_app.chromium import SLOW
from tests.review_app.run_shop import add_point, add_run, add_steps, cut_and_signed, training

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop of `tier_shop`, served."""
    folder = tmp_path_factory.mktemp("curated")
    tier_shop.build(folder)
    (folder / "home" / "password").write_text(PASSWORD)
    (folder / "home" / "password").chmod(0o600)
    shop = Shop(folder / "shop", folder / "home")
    shop.start()
    yield shop
    shop.stop()
    stop_store_process(shop.root)


def opened(browser: Browser, shop: Shop, account: str, path: str, **options: object) -> Page:
    """Return a page that fails the test when it asks anybody else, or a script of it fails."""
    page = log_in(browser, shop, account, path=path, **options)
    page.set_default_timeout(SLOW)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def cells(page: Page) -> list[str]:
    """Return what a screen reader finds in the first grid."""
    return page.locator("[data-testid=stDataFrame]").first.locator("canvas [role=gridcell]").all_text_contents()


def test_sql_is_typed_completed_run_and_taken_away(browser: Browser, curated: Shop) -> None:
    page = opened(browser, curated, "cleo", "/sql")
    outside: list[str] = []
    page.on(
        "request", lambda r: outside.append(r.url) if not r.url.startswith((curated.url, "data:", "blob:")) else None
    )
    expect(page.get_by_text("current_judgments")).to_be_visible()
    text = page.get_by_role("textbox", name="SQL", exact=True)
    text.click()
    page.keyboard.type("select spl")
    page.keyboard.press("Tab")
    page.keyboard.type(", '=1+1' as cell, count(*) as n from pairs group by all order by n desc, split")
    expect(text).to_have_value(re.compile(r"^select split, '=1"))
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Rows: 3, columns: 3")).to_be_visible()
    expect(page.get_by_test_id("glide-cell-0-2")).to_have_text("test")
    assert cells(page) == ["train", "=1+1", "12", "dev", "=1+1", "4", "test", "=1+1", "4"]
    page.locator("[data-testid=stDataFrame]").first.hover()
    expect(page.locator('[aria-label^="Search"]').first).to_be_visible()
    expect(page.locator('[aria-label^="Download as CSV"]').first).to_be_hidden()
    with page.expect_download() as csv:
        page.get_by_role("button", name="CSV").click()
    assert Path(csv.value.path()).read_text(encoding="utf-8-sig").splitlines()[:2] == ["split,cell,n", "train,'=1+1,12"]
    with page.expect_download() as told:
        page.get_by_role("button", name="JSON").click()
    assert json.loads(Path(told.value.path()).read_text())[0] == {"split": "train", "cell": "=1+1", "n": 12}
    assert outside == []
    page.context.close()


def test_a_click_on_a_column_writes_it_where_the_caret_is(browser: Browser, curated: Shop) -> None:
    page = opened(browser, curated, "eli", "/sql")
    text = page.get_by_role("textbox", name="SQL", exact=True)
    text.fill("select  from pairs")
    text.evaluate("area => area.setSelectionRange(7, 7)")
    page.get_by_role("searchbox").fill("root_query")
    page.get_by_role("button", name="root_query_id").first.click()
    expect(text).to_have_value("select root_query_id from pairs")
    page.keyboard.press("Control+z")
    expect(text).to_have_value("select  from pairs")
    page.context.close()


def test_what_is_typed_outlives_the_page_and_a_query_is_stopped(browser: Browser, curated: Shop) -> None:
    page = opened(browser, curated, "cleo", "/sql")
    text = page.get_by_role("textbox", name="SQL", exact=True)
    slow = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = -1"
    text.fill(slow)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("The query is running.")).to_be_visible()
    page.get_by_role("link", name="Progress").click()
    page.get_by_role("link", name="SQL").click()
    expect(page.get_by_role("textbox", name="SQL", exact=True)).to_have_value(slow)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("the query was stopped")).to_be_visible()
    expect(page.get_by_role("button", name="Run")).to_be_enabled()
    page.context.close()


def test_text_of_others_runs_nowhere_in_an_answer(browser: Browser, curated: Shop) -> None:
    page = opened(browser, curated, "cleo", "/sql")
    page.evaluate("window.ran = 0")
    page.get_by_role("textbox", name="SQL", exact=True).fill(
        """select '<img src=x onerror="window.ran=1">' as "<script>window.ran=1</script>", 2 as n
           union all select '[x](javascript:window.ran=1)', 3"""
    )
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Rows: 2, columns: 2")).to_be_visible()
    page.locator("summary", has_text="Chart").click()
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_be_visible()
    text = page.get_by_role("textbox", name="SQL", exact=True)
    text.fill('select "![x](https://evil.example/a.png) [y](https://evil.example)" from judgments')
    page.keyboard.press("Control+Enter")
    told = page.get_by_test_id("stAlert")
    expect(told).to_contain_text("there is no column ![x](https")
    assert told.locator("img, a").count() == 0
    assert page.evaluate("window.ran") == 0
    page.context.close()


def test_a_predicate_is_tried_by_keyboard_and_an_audit_marked_by_it(browser: Browser, curated: Shop) -> None:
    page = opened(browser, curated, "cleo", "/tiers")
    clear = page.get_by_label("Predicate of clear")
    expect(clear).to_be_visible()
    expect(page.get_by_text("over 20 settled pairs")).to_be_visible()
    clear.fill("origin = 'import'")
    clear.press("Control+Enter")
    expect(page.get_by_text("Rows that would change their tier")).to_be_visible()
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_text("Rows that would change their tier")).to_have_count(0)
    expect(clear).to_have_count(1)
    expect(clear).to_have_value(re.compile("^.is_unanimous"))
    page.get_by_role("radio", name="Audit").click()
    page.get_by_role("button", name="Draw 20 rows").click()
    expect(page.get_by_text("Row 1 of 13")).to_be_visible()
    for place, key in enumerate("yyn", start=2):
        page.keyboard.press(key)
        expect(page.get_by_text(f"Row {place} of 13")).to_be_visible()
    expect(page.get_by_text("2 of 3 are right so far")).to_be_visible()
    page.context.close()


def test_a_curator_cuts_and_an_adjudicator_signs_checks_and_revokes(browser: Browser, curated: Shop) -> None:
    cleo = opened(browser, curated, "cleo", "/tiers")
    cleo.get_by_role("radio", name="Snapshots").click()
    cleo.locator("summary", has_text="Cut a snapshot").click()
    cleo.get_by_label("Password of cleo").fill(PASSWORD)
    cleo.get_by_role("button", name="Cut", exact=True).click()
    expect(cleo.get_by_text(re.compile(r"snap_\w+ is cut: 20 rows"))).to_be_visible(timeout=2 * SLOW)
    expect(cleo.get_by_text("Password of dora")).to_have_count(0)

    dora = opened(browser, curated, "dora", "/tiers")
    dora.get_by_role("radio", name="Snapshots").click()
    expect(dora.locator("[data-testid=stAppRunningIcon], [data-stale=true]")).to_have_count(0)
    dora.locator("summary", has_text="Sign").click()
    expect(dora.get_by_text("tiers 1, 3, rows 20")).to_be_visible()
    dora.get_by_label("Password of dora").first.fill(PASSWORD)
    dora.get_by_role("button", name="Sign", exact=True).click()
    expect(dora.get_by_text("Signed: tiers 1, 3.")).to_be_visible(timeout=2 * SLOW)
    dora.get_by_role("button", name="Check every file and row").click()
    expect(dora.get_by_text("Whole: all files and 20 rows")).to_be_visible(timeout=2 * SLOW)
    assert curated.afrel("verify").endswith("is whole: 20 rows, 0 problems\n")
    dora.locator("summary", has_text="Revoke").click()
    dora.get_by_label("Why, for whoever trained on it").fill("wrong size rule")
    dora.get_by_label("Password of dora").last.fill(PASSWORD)
    dora.get_by_role("button", name="Revoke", exact=True).click()
    expect(dora.get_by_text("dora revoked this snapshot")).to_be_visible()
    for page in (cleo, dora):
        page.context.close()


def test_a_new_account_logs_in_with_what_was_handed_over(browser: Browser, curated: Shop) -> None:
    root = opened(browser, curated, "root", "/accounts")
    root.get_by_role("textbox", name="Account name").fill("fay")
    root.get_by_label("Password of root, which is you").first.fill(PASSWORD)
    root.get_by_role("button", name="Add the account").click()
    handed = root.get_by_text("Log in as fay with the password")
    expect(handed).to_be_visible()
    made_up = re.search(r"the password (\S+)", handed.inner_text())
    assert made_up is not None
    fay = browser.new_context().new_page()
    fay.goto(f"{curated.url}/progress")
    fay.locator('input[autocomplete="username"]').fill("fay")
    fay.locator('input[type="password"]').fill(made_up[1])
    fay.keyboard.press("Enter")
    expect(fay.get_by_text("fay · reviewer")).to_be_visible()
    for page in (root, fay):
        page.context.close()


def test_a_run_is_watched_while_it_trains_and_its_chart_is_not_drawn_anew(browser: Browser, curated: Shop) -> None:
    folder = add_run(curated.root, "run_3", at="12:00", method="grpo", status="running")
    add_steps(folder, [{"step": n, "loss": 0.5, "reward": n / 40} for n in (5, 10)], total=40)
    add_point(folder, 0, {"r_1": 1.0, "r_2": 1.0})
    with training(folder):
        page = opened(browser, curated, "eli", "/runs")
        expect(page.get_by_text("10 of 40 steps.")).to_be_visible()
        charts = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
        expect(charts).to_have_count(3)
        charts.first.evaluate("chart => { chart.isTheOneOfBefore = true; }")
        add_steps(folder, [{"step": 15, "loss": 0.4, "reward": 0.5}], total=40)
        add_point(folder, 15, {"r_1": 0.25, "r_2": 1.0}, rang=["r_1"])
        expect(page.get_by_text("15 of 40 steps.")).to_be_visible()
        expect(page.get_by_text("the alarm rang for 1 of the rules")).to_be_visible()
        expect(charts).to_have_count(3)
        assert charts.first.evaluate("chart => chart.isTheOneOfBefore === true")
        assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    expect(page.get_by_text("It stopped before its last step.")).to_be_visible()
    page.context.close()


def test_a_report_opens_and_nothing_in_it_runs(browser: Browser, curated: Shop) -> None:
    folder = add_run(curated.root, "run_2", at="11:00")
    script = "<script>document.title = 'ran'</script>"
    (folder / "report.html").write_text(f"<title>told</title><p>sofa</p>{script}<img src=/api/me onerror={script}>")
    page = opened(browser, curated, "cleo", "/runs")
    page.get_by_label("Find").fill("run_2")
    page.keyboard.press("Enter")
    with page.context.expect_page() as coming:
        page.get_by_role("link", name="Open the report of").click()
    report = coming.value
    expect(report.get_by_text("sofa")).to_be_visible()
    assert (report.title(), report.evaluate("window.origin")) == ("told", "null")
    page.context.close()


@pytest.fixture
def trainable(curated: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop with a snapshot that may train: a tier of it is signed, of rows that no other test cuts or revokes."""
    monkeypatch.setenv("AFREL_HOME", str(curated.home))
    with curated.store() as store:
        tier_shop.judge_anew(store, 1)
        cut_and_signed(Workspace.open(curated.root), store, [1])
    return curated


def test_runs_are_read_in_both_themes_and_a_wrong_number_is_refused_in_words(browser: Browser, trainable: Shop) -> None:
    """By keyboard alone; the folded settings and the narrow window included."""
    folder = add_run(trainable.root, "run_5", at="15:00", method="grpo", status="running")
    add_steps(folder, [{"step": n, "loss": 0.5, "reward": n / 40} for n in (5, 10)], total=40)
    add_point(folder, 0, {"r_e988ecf5c46c2a19": 1.0, "r_1908597fc57990a7": 1.0})
    add_point(folder, 10, {"r_e988ecf5c46c2a19": 0.25, "r_1908597fc57990a7": 1.0}, rang=["r_e988ecf5c46c2a19"])
    for scheme in ("light", "dark"):
        page = opened(browser, trainable, "eli", "/runs", color_scheme=scheme)
        page.set_viewport_size({"width": 1024, "height": 768})
        expect(page.get_by_text("the alarm rang for 1 of the rules")).to_be_visible()
        drawn = page.locator("[data-testid=stVegaLiteChart]").last.bounding_box()
        assert drawn is not None and drawn["width"] > 360  # long names stand beside the lines
        for part in ("Runs", "Compare", "Jobs", "Start a training"):
            _to_part(page, part)
            if part == "Start a training":
                expect(page.get_by_role("button", name="Start the training")).to_be_visible()
                _tab_to(page, "summary")
                page.keyboard.press("Enter")
                expect(page.get_by_label("grade_balance", exact=True)).to_be_visible()
            assert weak_texts(page, within="[data-testid=stApp]") == [], (scheme, part)
        _tab_to(page, '[aria-label="grade_balance"]')
        page.keyboard.type("-3")
        _tab_to(page, "[data-testid=stFormSubmitButton] button")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("stAlert")).to_contain_text("-3.0 must be 0 at least")
        assert weak_texts(page, within="[data-testid=stApp]") == []
        page.context.close()
    assert trainable.afrel("jobs", "--json").strip() in ("", "[]")


def _to_part(page: Page, name: str) -> None:
    """Go to a part of the page by keyboard, from its heading."""
    page.get_by_role("heading", level=1).click()
    _tab_to(page, "[role=radio]")
    part = page.get_by_role("radio", name=name, exact=True)
    for _ in range(4):
        if part.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(part).to_be_checked()
    expect(page.locator("[data-testid=stAppRunningIcon], [data-stale=true]")).to_have_count(0)


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until what has the keys fits a selector."""
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


@pytest.mark.parametrize("path", ["/tiers", "/sql", "/runs", "/accounts"])
@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "dark"), ("zh-CN", "light")])
def test_pages_are_drawn_in_both_languages_and_themes(
    browser: Browser, curated: Shop, path: str, locale: str, scheme: str
) -> None:
    failed: list[str] = []
    page = opened(browser, curated, "root", path, locale=locale, color_scheme=scheme)
    page.on("console", lambda told: failed.append(told.text) if told.type == "error" else None)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_timeout(1500)
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert failed == []
    page.context.close()


def test_a_chinese_page_says_nothing_in_english(browser: Browser, curated: Shop) -> None:
    page = log_in(browser, curated, "root", path="/review", locale="zh-CN")
    for name in PAGES:
        if name != "review":
            page.goto(f"{curated.url}/{name}")
        expect(page.locator("h1, .af-page").first).to_be_visible()
        expect(page.locator("[data-testid=stAppRunningIcon]")).to_have_count(0)
        for folded in page.locator("summary").all():
            folded.click()
        if name in ("review", "list", "adjudicate"):
            page.keyboard.press("?")
            expect(page.get_by_text("按键").first).to_be_visible()
        placeholder = "select status, count(*) as n from candidate_status group by status"
        assert english_texts(page, besides=[placeholder]) == [], name
    field = page.get_by_label("当前密码")
    field.fill("something")
    expect(page.get_by_text("按 Enter 提交").first).to_be_visible()
