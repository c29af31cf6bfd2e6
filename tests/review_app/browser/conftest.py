"""One shop and one browser for a module of browser tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import stop_store_process

pytest.importorskip("playwright")

from playwright.sync_api import Browser

from tests.review_app.browser.shop import Shop, make_shop
from tests.review_app.chromium import found_chromium, launched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if found_chromium() is None:
        pytest.skip("no Chromium found")
    with launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_shop(tmp_path_factory.mktemp("shop"))
    made.start()
    yield made
    made.stop()
    stop_store_process(made.root)
