"""The first useful paint of every page of the navigation, by whoever's work it is, in a warmed browser and server.

A visit is a whole load of the address, as a bookmark or a reload makes it; its clock begins with the navigation and
stops after the first frame that shows what the page is for. The first visit of each account and page warms, and is
told beside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from playwright.sync_api import Browser, Page

from benchmarks.review.card import PROBE, log_in
from benchmarks.review.shop import PASSWORD
from review_app.server.pages import PAGES, pages_of
from storage.people.accounts import Role

VISIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Visit:
    """Who opens a page, and where its useful content stands."""

    account: str
    role: Role
    useful: str


GRID = '[data-testid="stMain"] [data-testid="stDataFrame"] canvas'
VISITS: Mapping[str, Visit] = {
    "review": Visit("reviewer01", Role.REVIEWER, ".af-card:not([hidden]) .af-query"),
    "list": Visit("reviewer01", Role.REVIEWER, ".af-rows .af-row"),
    "adjudicate": Visit("dora", Role.ADJUDICATOR, ".af-answers .af-answer"),
    "rules": Visit("cleo", Role.CURATOR, GRID),
    # counting is offered with what it will take where there is much to count
    "tiers": Visit("cleo", Role.CURATOR, f'{GRID}, [data-testid="stMain"] [data-testid="stMarkdown"] p'),
    "sql": Visit("eli", Role.ENGINEER, ".af-sql-tree"),
    # a workspace where nothing was trained says so
    "runs": Visit("eli", Role.ENGINEER, f'{GRID}, [data-testid="stMain"] [data-testid="stAlert"]'),
    "progress": Visit("cleo", Role.CURATOR, '[data-testid="stMain"] [data-testid="stMarkdown"] p'),
    "accounts": Visit("root", Role.ADMIN, '[data-testid="stMain"] [data-testid="stTable"] td'),
}


@dataclass(frozen=True, slots=True)
class Painted:
    """Seconds to the first useful paint: of the first visit, and of those after it.

    `shown` is what stood there instead when nothing useful came; there were no more visits then.
    """

    account: str
    cold: float
    warm: tuple[float, ...]
    shown: str | None = None


def not_built() -> list[str]:
    """Return the pages that nobody's navigation has yet."""
    built = {page for role in Role for page in pages_of(role)}
    return [page for page in PAGES if page not in built]


def visit_all(browser: Browser, url: str, *, n: int) -> dict[str, Painted]:
    """Open every page that is built 1 + n times."""
    found: dict[str, Painted] = {}
    for page in PAGES:
        visit = VISITS[page]
        if page not in pages_of(visit.role):
            continue
        context = log_in(browser, url, visit.account, PASSWORD)
        tab = context.new_page()
        tab.add_init_script(f"window.afrelWanted = {visit.useful!r};")
        tab.add_init_script(path=PROBE)
        seconds: list[float] = []
        while len(seconds) < 1 + n and (taken := _taken(tab, f"{url}/{page}")) is not None:
            seconds.append(taken)
        shown = None if len(seconds) == 1 + n else tab.locator("body").inner_text()
        found[page] = Painted(visit.account, seconds[0] if seconds else VISIT_SECONDS, tuple(seconds[1:]), shown)
        context.close()
    return found


def _taken(tab: Page, address: str) -> float | None:
    """Return the seconds from the navigation to the useful paint, as the page has noted; None when none came."""
    tab.goto("about:blank")
    tab.goto(address, wait_until="commit")
    give_up_at = time.monotonic() + VISIT_SECONDS
    while time.monotonic() < give_up_at:
        useful = tab.evaluate("window.afrelProbe ? afrelProbe.useful : null")
        if useful is not None:
            return float(useful) / 1000
        tab.wait_for_timeout(100)
    return None
