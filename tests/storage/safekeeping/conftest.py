"""A small workspace, built once, and a copy of it for each test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.conftest import People
from tests.storage.safekeeping import small_shop
from tests.storage.safekeeping.small_shop import Shop


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory, people: People) -> Path:
    return small_shop.build(tmp_path_factory.mktemp("master") / "shop", people)


@pytest.fixture
def shop(tmp_path: Path, master: Path) -> Iterator[Shop]:
    """A small workspace, and its open database."""
    root = tmp_path / "shop"
    connection = small_shop.open_copy(master, root)
    yield root, connection
    connection.close()
