"""What there is to ask for: the tables and views of the published copy, with their columns, and how old the copy is.

It is asked of the console like any other question, so that no other process of ours opens the copy.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage.sql.console import run_query

_COLUMNS = """
select c.table_name, v.view_name is not null as is_view, c.column_name, c.data_type
from duckdb_columns() c
left join duckdb_views() v on v.view_name = c.table_name and not v.internal and v.database_name = current_database()
where c.database_name = current_database() and c.schema_name = 'main' and not c.internal
order by is_view desc, c.table_name, c.column_index
"""


@dataclass(frozen=True, slots=True)
class PublishedColumn:
    """A column and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table, or a view of the published copy."""

    name: str
    is_view: bool
    columns: tuple[PublishedColumn, ...]


def published_tables(
    published: Path, *, seconds: float, stop: threading.Event | None = None
) -> tuple[PublishedTable, ...]:
    """Return what the copy holds: views first, each by name."""
    found: dict[tuple[str, bool], list[PublishedColumn]] = {}
    for row in run_query(published, _COLUMNS, seconds=seconds, stop=stop).table.to_pylist():
        place = (row["table_name"], row["is_view"])
        found.setdefault(place, []).append(PublishedColumn(row["column_name"], row["data_type"]))
    return tuple(PublishedTable(name, is_view, tuple(columns)) for (name, is_view), columns in found.items())


def published_at(published: Path) -> datetime | None:
    """Return when the copy was made (UTC, without zone), None when there is none: `publish` sets its time of change."""
    try:
        changed = published.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(changed, UTC).replace(tzinfo=None)
