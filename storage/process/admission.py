"""Rows at the door: brought to exactly a table's columns and types, or refused before anything is promised.

An append is acknowledged before the database has it, so all that DuckDB could refuse later is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from storage.errors import UserError

NOT_FOR_CLIENTS = frozenset({"candidate_status", "migrations", "position"})


class Admission:
    """The columns of every table: what may come in, and as which Arrow type."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        rows = connection.execute(
            "select c.table_name, c.column_name, c.is_nullable from duckdb_columns() c join duckdb_tables() t "
            "using (table_oid) where not c.internal and c.schema_name = 'main' and not t.temporary "
            "and c.database_name = current_database() and t.database_name = current_database() "
            "order by c.table_oid, c.column_index"
        ).fetchall()
        self.columns: dict[str, dict[str, bool]] = {}
        for table, column, is_nullable in rows:
            self.columns.setdefault(table, {})[column] = bool(is_nullable)
        self._schemas = {
            table: connection.sql(f"from {table} limit 0").to_arrow_table().schema.remove_metadata()
            for table in self.columns
        }

    def admit(self, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return the rows as the tables want them; UserError says which table and column, and why."""
        return {table: self._fitted(table, rows) for table, rows in tables.items()}

    def check_table(self, table: str) -> None:
        """Return when rows may be appended to the table; UserError otherwise."""
        if table not in self.columns or table in NOT_FOR_CLIENTS:
            raise UserError(f"there is no table {table!r} to append to")

    def check_columns(self, table: str, given: list[str]) -> None:
        """Return when these columns fill the table; UserError otherwise."""
        columns = self.columns[table]
        unknown = sorted(set(given) - set(columns))
        missing = sorted(c for c, is_nullable in columns.items() if not is_nullable and c not in given)
        repeated = sorted({c for c in given if given.count(c) > 1}) if len(set(given)) < len(given) else []
        if unknown or missing or repeated:
            twice = f", have {_some(repeated)} twice" if repeated else ""
            raise UserError(f"rows for {table} have unknown columns {_some(unknown)} and lack {_some(missing)}{twice}")

    def _fitted(self, table: str, rows: pa.Table) -> pa.Table:
        self.check_table(table)
        self.check_columns(table, rows.column_names)
        fitted = []
        for wanted in self._schemas[table]:
            place = rows.schema.get_field_index(wanted.name)
            column = rows.column(place) if place >= 0 else pa.nulls(rows.num_rows, wanted.type)
            if column.type != wanted.type:
                try:
                    column = column.cast(wanted.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise UserError(
                        f"column {wanted.name} of {table} takes {wanted.type}, not {column.type}: "
                        f"{str(error).splitlines()[0]}"
                    ) from error
            if column.null_count and not self.columns[table][wanted.name]:
                raise UserError(f"column {wanted.name} of {table} may not be null; {column.null_count} rows have none")
            fitted.append(column)
        return pa.Table.from_arrays(fitted, schema=self._schemas[table])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{[name[:80] for name in names[:10]]}{more}"
