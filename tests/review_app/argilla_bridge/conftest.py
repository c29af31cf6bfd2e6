"""One real Argilla server for all tests of the bridge that need no server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.store import Store
from tests.review_app.argilla_bridge.bridging import KEY_VARIABLE, Bridge, put_grades
from tests.review_app.argilla_bridge.running import Server, argilla_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with argilla_server(tmp_path_factory.mktemp("argilla")) as running:
        yield running


@pytest.fixture
def bridge(store: Store, server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    monkeypatch.setenv(KEY_VARIABLE, ("root" * 80)[:80])
    put_grades(store)
    return Bridge(store, server, request.node.name[:100])
