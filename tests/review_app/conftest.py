"""Fixtures of the pages' tests: the small shop of `tier_shop`, built once and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.people.accounts import Pin
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.review_app import tier_shop
from tests.review_app.tier_shop import Shop


@pytest.fixture(scope="session")
def _built_shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Pin]]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, tier_shop.build(folder)


@pytest.fixture
def shop(_built_shop: tuple[Path, dict[str, Pin]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A copy of the shop of one's own, with its keys at home; its store process is ended afterwards."""
    built, people = _built_shop
    tier_shop.copy(built, tmp_path)
    monkeypatch.setenv("AFREL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AFREL_PASSWORD_FILE", raising=False)
    yield Shop(Workspace.open(tmp_path / "shop"), people)
    stop_store_process(tmp_path / "shop")


@pytest.fixture
def shop_store(shop: Shop) -> Iterator[Store]:
    """The shop's store in this process, which sees test rows; no other process can open it meanwhile."""
    with Store.embedded(shop.workspace.root, sees_test=True) as store:
        yield store


@pytest.fixture
def served_store(shop: Shop) -> Iterator[Store]:
    """The shop's store through its process, which sees test rows."""
    with Store.connect(shop.workspace, sees_test=True) as store:
        yield store
