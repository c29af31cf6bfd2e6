"""Cures for slow habits of argilla-server 2.8, taken by importing this module before the server's app.

- It compiles a pydantic adapter anew for every value it checks: 0.6 ms of a core each, several for every record, where
  a kept one takes 0.005. The two types in question never change.
- For every record and response that is written it gathers with a dozen queries what a webhook would be told, and only
  then looks whether there is a webhook. Here it looks first, once for each request.
- The collector walks the half million parts of the loaded program, which never go, several times a second: half the
  time of listing records. Here what was loaded is left out of its walks.
- Its SQLite database keeps a rollback journal: who reads waits for who writes. With a write-ahead log nobody does, and
  a commit is flushed once. What was committed is as safe.

Nothing else of the server is touched.
"""

from __future__ import annotations

import gc
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from argilla_server.contexts.webhooks import list_enabled_webhooks
from argilla_server.models import database
from argilla_server.settings import settings
from argilla_server.webhooks.v1 import records, responses
from pydantic import TypeAdapter
from sqlalchemy import make_url

_LOGGER = logging.getLogger(__name__)
_KEPT: dict[int, TypeAdapter[Any]] = {}


class Unheard:
    """An event that nobody listens to."""

    async def notify(self, _: Any) -> list[Any]:
        """Tell nobody."""
        return []


def kept_adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the adapter of a type that lives as long as its module, made at its first use."""
    if id(kind) not in _KEPT:
        _KEPT[id(kind)] = TypeAdapter(kind)
    return _KEPT[id(kind)]


def built_if_heard(build: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a builder of events that builds only what an enabled webhook listens to."""

    async def built(db: Any, name: Any, subject: Any) -> Any:
        # a database session of the server lives for one request or job
        if "heard" not in db.info:
            db.info["heard"] = {heard for webhook in await list_enabled_webhooks(db) for heard in webhook.events}
        return await build(db, name, subject) if name in db.info["heard"] else Unheard()

    return built


def keep_write_ahead_log(url: str) -> None:
    """Give the server's database a write-ahead log, which it keeps from then on, if it is a file that is not in use."""
    place = make_url(url)
    if place.get_backend_name() != "sqlite" or not Path(place.database or "").is_file():
        return
    try:
        with closing(sqlite3.connect(place.database, timeout=5)) as connection:
            connection.execute("pragma journal_mode = wal")
    except sqlite3.Error as error:
        _LOGGER.warning("%s keeps its rollback journal: %s", place.database, error)


database.TypeAdapter = kept_adapter
records.build_record_event = built_if_heard(records.build_record_event)
responses.build_response_event = built_if_heard(responses.build_response_event)
keep_write_ahead_log(settings.database_url)
gc.collect()
gc.freeze()
