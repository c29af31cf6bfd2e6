"""The cures of the server's habits change how long it takes, not what it does.

Run where argilla-server 2.8 is installed, which need not be where the rest of the house is:
`python -m pytest --noconftest -m argilla tests/review_app/argilla_search/test_quick_settings.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("argilla_server")
pytestmark = pytest.mark.argilla

from argilla_server import models  # noqa: E402
from argilla_server.enums import MetadataPropertyType, QuestionType  # noqa: E402
from argilla_server.models.base import DatabaseModel  # noqa: E402
from argilla_server.webhooks.v1 import records  # noqa: E402
from argilla_server.webhooks.v1.enums import RecordEvent  # noqa: E402
from sqlalchemy import event  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine  # noqa: E402

from review_app.argilla_search.quick_settings import keep_write_ahead_log  # noqa: E402


async def told_of_three_records(path: Path, webhooks: list[models.Webhook]) -> tuple[list[Any], int]:
    """Return the events that are built for three new records in one session, and how many queries that took."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as connection:
        await connection.run_sync(DatabaseModel.metadata.create_all)
    asked: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    async with AsyncSession(engine, expire_on_commit=False) as session:
        dataset = models.Dataset(name="d", distribution={}, workspace=models.Workspace(name="w"))
        rows = [models.Record(fields={}, dataset=dataset) for _ in range(3)]
        session.add_all([*rows, *webhooks])
        await session.commit()
        asked.clear()
        built = [await records.build_record_event(session, RecordEvent.created, row) for row in rows]
        told = [await one.notify(session) if type(one).__name__ == "Unheard" else one.data["id"] for one in built]
        n_asked = len(asked)
        expected = [row.id for row in rows]
    await engine.dispose()
    return [{"is_right": one == mine, "told": one} for one, mine in zip(told, expected, strict=True)], n_asked


def webhook(*, enabled: bool, events: list[str]) -> models.Webhook:
    return models.Webhook(url="http://127.0.0.1:9/", secret="s", enabled=enabled, events=events)


@pytest.mark.parametrize(
    "webhooks",
    [
        [],
        [(False, ["record.created"])],
        [(True, ["record.deleted"])],
    ],
)
def test_an_event_that_nobody_listens_to_costs_one_question_a_session(
    tmp_path: Path, webhooks: list[tuple[bool, list[str]]]
) -> None:
    made = [webhook(enabled=enabled, events=events) for enabled, events in webhooks]
    told, n_asked = asyncio.run(told_of_three_records(tmp_path / "argilla.db", made))
    assert [one["told"] for one in told] == [[], [], []]
    assert n_asked == 1


def test_an_event_that_a_webhook_listens_to_is_built_as_ever(tmp_path: Path) -> None:
    made = [webhook(enabled=True, events=["record.created"])]
    told, n_asked = asyncio.run(told_of_three_records(tmp_path / "argilla.db", made))
    assert all(one["is_right"] for one in told)
    assert n_asked > 3


def test_settings_are_still_checked() -> None:
    question = models.Question(name="g", settings={"type": "label_selection", "options": [{"value": "1", "text": "1"}]})
    assert question.parsed_settings.type == QuestionType.label_selection
    price = models.MetadataProperty(name="p", settings={"type": "integer", "min": 1})
    assert price.parsed_settings.type == MetadataPropertyType.integer
    price.settings = {"type": "integer", "min": "few"}
    with pytest.raises(ValueError, match="few"):
        _ = price.parsed_settings


def test_a_database_keeps_its_log_and_one_in_use_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "argilla.db"
    with closing(sqlite3.connect(place, isolation_level=None)) as user:
        user.execute("create table t (a)")
        user.execute("begin immediate")
        user.execute("insert into t values (1)")
        keep_write_ahead_log(f"sqlite+aiosqlite:///{place}?check_same_thread=False")  # only warns
        user.execute("commit")
        assert user.execute("pragma journal_mode").fetchone() == ("delete",)
    keep_write_ahead_log(f"sqlite+aiosqlite:///{place}?check_same_thread=False")
    with closing(sqlite3.connect(place)) as user:
        assert user.execute("pragma journal_mode").fetchone() == ("wal",)
        assert user.execute("pragma synchronous").fetchone() == (2,)  # flushed at every commit
    for other in ("sqlite+aiosqlite:///:memory:", "postgresql+asyncpg://someone@nowhere/argilla"):
        keep_write_ahead_log(other)
