"""The columns of every table, with their types, as the database says."""

from __future__ import annotations

import duckdb

NOT_FACTS = frozenset({"migrations", "position"})  # they say how far the file is, and nothing of the world


def columns_of(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Return {table: {column: type}}, columns in order, of all tables that hold facts or what is derived of them."""
    return {table: columns for table, columns in all_columns(connection).items() if table not in NOT_FACTS}


def own_ids(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the column that names each table's rows: its first."""
    return {table: next(iter(columns)) for table, columns in columns_of(connection).items()}


def all_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Return {table: {column: type}}, columns in order, of every table of the database, not of attached ones."""
    rows = connection.execute(
        "select c.table_name, c.column_name, c.data_type from duckdb_columns() c join duckdb_tables() t "
        "using (table_oid) where c.database_name = current_database() and t.database_name = current_database() "
        "and c.schema_name = 'main' and not t.temporary order by c.table_name, c.column_index"
    ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        columns.setdefault(table, {})[column] = str(kind)
    return columns
