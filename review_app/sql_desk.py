"""What is asked in SQL, free of any page: run, stop, keep under a name, take away as a file, renew the copy.

A query runs in the console's own process on the published copy (`storage.sql.console`): it can hurt nothing, and nobody
waits for it. Each tab has one query at a time.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from review_app.long_work import WORK, Work
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, require
from storage.progress import Watch
from storage.sql.console import QueryResult, run_query, to_csv, to_json
from storage.sql.saved_queries import SavedQuery, save_query, saved_queries
from storage.sql.schema import PublishedTable, published_at, published_tables
from storage.store import Store
from storage.workspace import Workspace

COPY_NAME = "published.duckdb"
MOST_ROWS = 10_000
SECONDS = 30
SCHEMA_SECONDS = 60
RETRY_SECONDS = 60  # after which a schema that could not be read is tried again


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave, when and how fast, and as of when its copy is (UTC)."""

    sql: str
    result: QueryResult
    asked_at: datetime
    copy_at: datetime | None


@dataclass(frozen=True, slots=True)
class Schema:
    """What the copy holds and as of when; None of either while there is no copy."""

    tables: tuple[PublishedTable, ...]
    copy_at: datetime | None


def copy_made_at(person: Pin, workspace: Workspace) -> datetime | None:
    """Return when the published copy was made, None while there is none."""
    require(person, Act.SQL)
    return published_at(workspace.root / COPY_NAME)


def begin_renew(person: Pin, workspace: Workspace, store: Store) -> Work:
    """Bring the copy up to date, beside the pages; the same copy stays when nothing is new."""
    require(person, Act.SQL)

    def renew(_watch: Watch, _stop: threading.Event) -> datetime | None:
        return published_at(store.publish())

    return WORK.begin(("publish", workspace.root), person.account, renew)


def renew_work(workspace: Workspace) -> Work | None:
    """Return the renewal that is under way, or the last one."""
    return WORK.find(("publish", workspace.root))


def begin_schema(person: Pin, workspace: Workspace, store: Store) -> Work:
    """Read which tables and columns there are, making the copy when there is none; read anew for another copy only."""
    require(person, Act.SQL)
    key = ("schema", workspace.root)
    path = workspace.root / COPY_NAME
    held = WORK.find(key)
    if held is not None and held.is_over:
        is_of_now = held.outcome is not None and held.outcome.copy_at == published_at(path)
        if is_of_now or (held.outcome is None and held.age < RETRY_SECONDS):
            return held

    def read(_watch: Watch, stop: threading.Event) -> Schema:
        if not path.is_file():
            store.publish()
        return Schema(published_tables(path, seconds=SCHEMA_SECONDS, stop=stop), published_at(path))

    return WORK.begin(key, person.account, read)


def begin_query(person: Pin, workspace: Workspace, store: Store, tab: str, sql: str) -> Work:
    """Run one reading statement; `tab` is whose it is, so that it can be found again and stopped."""
    require(person, Act.SQL)
    path = workspace.root / COPY_NAME

    def ask(_watch: Watch, stop: threading.Event) -> Answer:
        if not path.is_file():
            store.publish()
        asked_at, copy_at = now(), published_at(path)
        result = run_query(path, sql, seconds=SECONDS, max_rows=MOST_ROWS, stop=stop)
        return Answer(sql, result, asked_at, copy_at)

    key = ("sql", workspace.root, person.account, tab)
    held = WORK.find(key)
    if held is not None and not held.is_over:
        raise UserError("a query of this tab is still running. Stop it first")
    return WORK.begin(key, person.account, ask, is_of_tab=True)


def query_work(person: Pin, workspace: Workspace, tab: str) -> Work | None:
    """Return the query of a tab that is under way, or the last one."""
    require(person, Act.SQL)
    return WORK.find(("sql", workspace.root, person.account, tab))


def stop_query(person: Pin, workspace: Workspace, tab: str) -> None:
    """Kill the process of a tab's query."""
    work = query_work(person, workspace, tab)
    if work is not None:
        work.stop.set()


def forget_query(person: Pin, workspace: Workspace, tab: str) -> None:
    """Let go of an answer that its page has taken."""
    require(person, Act.SQL)
    WORK.put_away(("sql", workspace.root, person.account, tab))


def list_saved(person: Pin, store: Store) -> list[SavedQuery]:
    """Return the saved queries by name."""
    require(person, Act.SQL)
    return saved_queries(store)


def save(person: Pin, store: Store, name: str, sql: str, *, replaces: bool) -> bool:
    """Keep a query under a name; False when it says just that already. UserError for a name in use, unless it replaces.

    Nothing is deleted: what a name said before stays in the table, and the latest of a name stands.
    """
    require(person, Act.SQL)
    if not sql.strip():
        raise UserError("there is no SQL to keep. Write some first")
    held = next((query for query in saved_queries(store) if query.name == name), None)
    if held is not None and held.sql != sql and not replaces:
        raise UserError(
            f"{name} is kept already, by {held.pseudonym or 'the shell'} on {held.created_at:%Y-%m-%d}. "
            "Choose another name, or say that it is to be replaced"
        )
    return save_query(store, name, sql, account=person.account)


def as_csv(person: Pin, answer: Answer) -> bytes:
    """Return an answer as CSV, cells that a spreadsheet would run neutralised; with a mark that it is UTF-8."""
    require(person, Act.SQL)
    return to_csv(answer.result).encode("utf-8-sig")


def as_json(person: Pin, answer: Answer) -> bytes:
    """Return an answer as one JSON array of objects."""
    require(person, Act.SQL)
    return to_json(answer.result).encode()


def as_parquet(person: Pin, answer: Answer) -> bytes:
    """Return a whole answer as Parquet, types kept; UserError for a part of one and for what Parquet cannot hold."""
    require(person, Act.SQL)
    if answer.result.is_truncated:
        raise UserError(
            f"the answer has more than {answer.result.table.num_rows:,} rows, so the file would lack some. "
            "Take as many on purpose: limit N"
        )
    out = io.BytesIO()
    try:
        pq.write_table(answer.result.table, out)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UserError(f"Parquet cannot hold this answer: {error}. Cast the column it names: x::varchar") from None
    return out.getvalue()


def chartable(answer: Answer) -> tuple[list[str], list[str]]:
    """Return the columns that can stand along a chart, and those that are numbers and can rise in it."""
    along, numbers = [], []
    for name, column in zip(answer.result.columns, answer.result.table.columns, strict=True):
        kind = column.type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        is_nested = pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        if is_number:
            numbers.append(name)
        if not is_nested:
            along.append(name)
    return along, numbers


def chart_rows(answer: Answer, columns: Sequence[str], *, most: int) -> list[dict[str, Any]]:
    """Return the first rows of some columns as plain values, numbers as numbers."""
    table = answer.result.table.select(list(dict.fromkeys(columns))).slice(0, most)
    cast = [column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column for column in table.columns]
    return [dict(row) for row in pa.table(cast, names=table.column_names).to_pylist()]
