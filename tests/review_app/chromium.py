"""A headless Chromium for tests, patient with machines that do much else at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

SLOW = 60_000  # ms
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def found_chromium() -> str | None:
    """Return where the system's Chromium is, None where there is none."""
    return shutil.which("chromium")


@contextmanager
def launched() -> Iterator[Browser]:
    """Open the browser; what a test expects of a page may take `SLOW` to come."""
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found_chromium(), args=FLAGS)
        yield browser
        browser.close()
