"""The review card in a real Chromium: a person who types at a pace, and what the page saw of each key.

The page is watched from inside by `probe.js`, which says what "painted" is. Keys go in as a keyboard's would,
through the browser's input path, and are stamped by the browser, not here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize

from benchmarks.review.clients import Sent

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROBE = Path(__file__).with_name("probe.js")
WINDOW: ViewportSize = {"width": 1366, "height": 800}
GRADES = "0123"
NEXT = "Enter"
SAVED = '.af-saved[data-state="saved"]'
CARD_MS, SAVED_MS = 60_000.0, 60_000.0
# A page that does nothing but show another word on a key: what a key costs in this browser, whatever the app does.
BLANK = """<!doctype html><h1 class="af-query">0</h1><script>
  let n = 0;
  addEventListener("keydown", () => document.querySelector("h1").replaceChildren(String(++n)));
</script>"""


@dataclass(slots=True)
class Typed:
    """What a page saw of some keys. Times in ms; `painted` of keys that brought another card, `acked` of acts.

    `timings` is the browser's own figure for keys, from the key to the frame's presentation in steps of 8 ms; it tells
    only those that took 16 ms or more.
    """

    n_keys: int
    painted: list[float] = field(default_factory=list)
    acked: list[float] = field(default_factory=list)
    timings: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    n_not_acked: int = 0


@contextmanager
def opened(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """Run a Chromium until the block ends."""
    browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
    try:
        yield browser
    finally:
        browser.close()


def log_in(browser: Browser, url: str, account: str, password: str) -> BrowserContext:
    """Return a browser profile of its own in which an account is logged in."""
    context = browser.new_context(viewport=WINDOW, locale="en")
    page = context.new_page()
    page.goto(f"{url}/login")
    page.locator('input[autocomplete="username"]').fill(account)
    page.locator('input[type="password"]').fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda found: "/login" not in found)
    page.close()
    return context


class Card:
    """One tab with the review card, and the account that works in it."""

    def __init__(self, context: BrowserContext, url: str, account: str) -> None:
        self.account = account
        self._page: Page = context.new_page()
        self._page.add_init_script(path=PROBE)
        self._page.goto(f"{url}/review")
        self._page.locator(".af-card:not([hidden]) .af-query").wait_for(timeout=CARD_MS)
        self._page.evaluate("afrelProbe.watchCards()")
        self._n = {"keys": 0, "paints": 0, "entries": 0, "eventTimings": 0}

    def work(self, n_cards: int, *, gap: float, rng: random.Random, until: float | None = None) -> Typed:
        """Answer cards, a key every `gap` seconds, until so many came or a moment of the monotonic clock is reached.

        Of cards with a suggestion two thirds are accepted. A blind one takes two keys: a grade, which shows the
        suggestion, and the one for the next card.
        """
        due, n, is_answered = time.monotonic(), 0, False
        while n < n_cards and (until is None or due < until):
            time.sleep(max(0.0, due - time.monotonic()))
            before = self._state()
            if before["isBlind"] and not is_answered:
                key, is_answered = rng.choice(GRADES), True
            elif is_answered:
                key, is_answered, n = NEXT, False, n + 1
            else:
                key, n = ("a" if rng.random() < 2 / 3 else rng.choice(GRADES)), n + 1
            self._page.keyboard.press(key)
            due = max(due + gap, time.monotonic())  # nobody catches up
        self.settle()
        return self._seen()

    def burst(self, keys: str, *, gap: float) -> Typed:
        """Type keys on a beat that does not wait for the page."""
        began = time.monotonic()
        for place, key in enumerate(keys):
            time.sleep(max(0.0, began + place * gap - time.monotonic()))
            self._page.keyboard.press(key)
        self.settle()
        return self._seen()

    def settle(self) -> None:
        """Wait until the card says that all is saved."""
        self._page.wait_for_timeout(300)
        self._page.locator(SAVED).wait_for(timeout=SAVED_MS)

    def close(self) -> None:
        self._page.close()

    def _state(self) -> dict[str, Any]:
        return dict(self._page.evaluate("afrelProbe.state()"))

    def _seen(self) -> Typed:
        """Return what came to the probe's books since the last time."""
        books = {name: self._page.evaluate(f"afrelProbe.{name}.slice({n})") for name, n in self._n.items()}
        self._n = {name: n + len(books[name]) for name, n in self._n.items()}
        stamps = [key["at"] for key in books["keys"]]
        entries = books["entries"]
        return Typed(
            n_keys=len(stamps),
            painted=[paint["ms"] for paint in books["paints"]],
            acked=[one["ackMs"] for one in entries if one["ackMs"] is not None],
            timings=books["eventTimings"],
            gaps=[later - earlier for earlier, later in pairwise(stamps)],
            sent=[
                Sent(self.account, one["session"], one["sequence"], one["candidate_id"], one["grade"])
                for one in entries
                if one["ackMs"] is not None
            ],
            n_not_acked=sum(one["ackMs"] is None for one in entries),
        )


def key_floor(browser: Browser, *, n: int, gap: float) -> Sequence[float]:
    """Return the ms from a key to the frame after it on a page that shows a word and does nothing else."""
    page = browser.new_page(viewport=WINDOW)
    page.set_content(BLANK)
    page.evaluate(PROBE.read_text(encoding="utf-8"))
    page.evaluate("afrelProbe.watchCards()")
    for _ in range(n):
        page.keyboard.press("1")
        page.wait_for_timeout(1000 * gap)
    painted = [paint["ms"] for paint in page.evaluate("afrelProbe.paints")]
    page.close()
    return painted
