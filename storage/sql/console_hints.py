"""What a stranger meant who named a table or column that is not there: the nearest published one, and what to type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import duckdb

_NO_TABLE = re.compile(r'Table with name "?(.+?)"? does not exist')
_NO_COLUMN = (
    re.compile(r'[Cc]olumn "+(.+?)"+ (?:not found|does not exist|in EXCLUDE|in REPLACE|referenced in UNPIVOT)'),
    re.compile(r'does not have a column named "(.+?)"'),
)


def explain(connection: duckdb.DuckDBPyConnection, sql: str, error: duckdb.Error) -> str:
    """Return an error's message; of an unknown table or column in our words, with the nearest published name."""
    message = str(error)
    if table := _NO_TABLE.search(message):
        return _of_table(table[1], sorted(_published(connection)))
    for pattern in _NO_COLUMN:
        if column := pattern.search(message):
            return _of_column(column[1], sql, _published(connection))
    return message


def _published(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return {table: columns} of the published copy, its views too."""
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() "
        "where database_name = current_database() and schema_name = 'main' and not internal "
        "order by table_name, column_index"
    ).fetchall()
    columns: dict[str, list[str]] = {}
    for table, column in rows:
        columns.setdefault(table, []).append(column)
    return columns


def _of_table(name: str, tables: list[str]) -> str:
    near = _nearest(name, tables)
    hint = (
        f'Did you mean {near}? Its columns: afrel sql "describe {near}"'
        if near
        else 'List them: afrel sql "show tables"'
    )
    return f"there is no table {name}. {hint}"


def _of_column(name: str, sql: str, tables: dict[str, list[str]]) -> str:
    """Look first among the tables the statement speaks of, then for the very name elsewhere, then for a near one."""
    words = {word.casefold() for word in re.findall(r"\w+", sql)}
    spoken = [table for table in tables if table.casefold() in words]
    holders = [table for table, columns in tables.items() if name.casefold() in map(str.casefold, columns)]
    begin = f"there is no column {name}" + (f" in {', '.join(spoken)}" if spoken else "")
    if near := _nearest_column(name, tables, spoken):
        return f'{begin}. Did you mean {near}? All of them: afrel sql "describe {near.split(".")[0]}"'
    if elsewhere := [table for table in holders if table not in spoken]:
        return f'{begin}; {", ".join(elsewhere)} has it. All of them: afrel sql "describe {elsewhere[0]}"'
    if near := _nearest_column(name, tables, tables):
        return f'{begin}. Did you mean {near}? All of them: afrel sql "describe {near.split(".")[0]}"'
    return f'{begin}. List what is there: afrel sql "{f"describe {spoken[0]}" if spoken else "show tables"}"'


def _nearest_column(name: str, tables: dict[str, list[str]], among: Iterable[str]) -> str | None:
    """Return table.column of the nearest column of some tables."""
    by_column = {column: f"{table}.{column}" for table in among for column in tables[table]}
    near = _nearest(name, sorted(by_column))
    return by_column[near] if near else None


def _nearest(name: str, known: list[str]) -> str | None:
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else None
