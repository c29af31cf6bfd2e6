"""What goes wrong around an expert: the store dies, the disk fills, a clock jumps, the account is retired."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

from tests.conftest import stop_store_process
from tests.review_app.browser.shop import Shop, enter, log_in, make_shop

pytestmark = pytest.mark.browser


def opened(browser: Browser, shop: Shop, account: str) -> Page:
    page = log_in(browser, shop, account)
    expect(page.locator(".af-query")).to_be_visible()
    page.wait_for_timeout(500)
    return page


def saved(page: Page) -> None:
    expect(page.locator(".af-saved")).to_have_attribute("data-state", "saved")


def kill_store(shop: Shop) -> None:
    """Kill the store process as soon as there is one: after an earlier kill a slow machine is still starting it."""
    deadline = time.monotonic() + 60
    while subprocess.run(["pkill", "-KILL", "-f", f"storage.process.server {shop.root}"]).returncode:
        assert time.monotonic() < deadline, "no store process was started again"
        time.sleep(0.02)


def test_a_store_process_killed_between_the_keys_loses_and_doubles_nothing(browser: Browser, shop: Shop) -> None:
    page = opened(browser, shop, "ana")
    for number in range(9):
        if number in (2, 5, 7):
            kill_store(shop)
        page.keyboard.press("0123"[number % 4])
        page.wait_for_timeout(60)
    saved(page)
    acts = shop.responses("ana")
    assert [act["grade"] for act in acts] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert len({act["candidate_id"] for act in acts}) == 9
    page.context.close()


def test_a_clock_that_jumps_changes_no_answer(browser: Browser, shop: Shop) -> None:
    page = opened(browser, shop, "bo")
    page.keyboard.press("3")
    saved(page)
    for shift in ("-86400000 * 400", "86400000 * 400"):
        page.evaluate(f"() => {{ const real = Date.now; Date.now = () => real() + {shift}; }}")
        page.keyboard.press("u")
        page.keyboard.press("1")
        saved(page)
    acts = shop.responses("bo")
    assert [(act["act"], act["grade"]) for act in acts] == [
        ("submitted", 3),
        ("withdrawn", None),
        ("submitted", 1),
        ("withdrawn", None),
        ("submitted", 1),
    ]
    times = [act["effective_at"] for act in acts]
    assert times == sorted(times) and (times[-1] - times[0]).total_seconds() < 120
    page.context.close()


def test_a_retired_account_is_told_and_its_unsent_answer_stays(browser: Browser, shop: Shop) -> None:
    page = opened(browser, shop, "dora")
    page.keyboard.press("2")
    saved(page)
    page.route("**/api/acts", lambda route: route.abort())
    page.keyboard.press("3")
    expect(page.locator(".af-saved")).to_contain_text("1 unsaved")
    shop.afrel("account", "retire", "dora", account="root")
    expect(page.get_by_text("Your login has ended")).to_be_visible()
    assert len(shop.responses("dora")) == 1
    shop.afrel("account", "add", "dora", "--role", "reviewer", account="root")
    page.unroute("**/api/acts")
    enter(page, shop, "dora")
    saved(page)
    assert [act["grade"] for act in shop.responses("dora", n=2)] == [2, 3]
    page.context.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    stop_store_process(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_on_a_full_disk_answers_stay_in_the_browser_until_there_is_room(browser: Browser, small_disk: Path) -> None:
    shop = make_shop(small_disk, n_pairs=20)
    shop.start()
    try:
        page = opened(browser, shop, "ana")
        filling = small_disk / "filling"
        with filling.open("wb") as file:
            try:
                while True:
                    file.write(b"0" * 65536)
                    file.flush()
            except OSError:
                pass
        for key in "0123":
            page.keyboard.press(key)
            page.wait_for_timeout(100)
        expect(page.locator(".af-saved")).to_contain_text("unsaved")
        filling.unlink()
        saved(page)
        assert [act["grade"] for act in shop.responses("ana")] == [0, 1, 2, 3]
        page.context.close()
    finally:
        shop.stop()
        stop_store_process(shop.root)
