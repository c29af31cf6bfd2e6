"""One workspace, and one server on it, for all modules that do not change how it is served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.review_app.server.served_app import ServedApp, Shop, make_shop, serve, tear_down


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A workspace with an account of every role. Tests that change an account add one of their own."""
    made = make_shop(tmp_path_factory.mktemp("served"))
    yield made
    tear_down(made)


@pytest.fixture(scope="package")
def app(shop: Shop) -> Iterator[ServedApp]:
    """The app, served on loopback."""
    with serve(shop) as served:
        yield served
