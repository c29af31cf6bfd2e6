"""Answer named reads: the SQL of `storage.reads`, rows found by place where it asks for that, told as they come."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from storage.errors import UserError
from storage.process.id_index import keys_of
from storage.process.places import StoreIndexes
from storage.reads import READS
from storage.reads.read import Read

ROWS_AT_A_TIME = 50_000
# What it advises plans every statement twice, which here costs more than the copy of a few rows.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", category=UserWarning)
_AT = "(select * from {table} where rowid in (select unnest(cast(${table}_places as bigint[]))))"
PARAMETER = re.compile(r"\$([a-z_]+)")


@contextmanager
def answering(
    connection: duckdb.DuckDBPyConnection,
    indexes: StoreIndexes,
    name: str,
    params: Mapping[str, Any],
    *,
    sees_test: bool,
) -> Iterator[pa.RecordBatchReader]:
    """Answer a read, all of one moment, as a reader that is good until the block ends.

    UserError for an unknown read, for one that shows test grades to who may not see them, and for wrong parameters.
    """
    read = READS.get(name)
    if read is None:
        raise UserError(f"there is no read named {name!r}")
    if read.shows_test and not sees_test:
        raise UserError(f"read {name!r} shows test grades; this store was opened without them")
    _check_params(name, read, params)
    cursor = connection.cursor()
    try:
        if not read.finds:
            yield cursor.sql(read.sql, params=dict(params) or None).to_arrow_reader(ROWS_AT_A_TIME)
            return
        finding = _Finding(cursor, indexes, read)
        for table, (column, parameter) in read.finds.items():
            source, _, named = parameter.rpartition(".")
            sought = finding.column(source, named) if source else pa.array(_listed(params[parameter]), pa.string())
            finding.find(table, column, sought)
        given = {name: value for name, value in {**params, **finding.params}.items() if f"${name}" in finding.sql}
        yield cursor.execute(finding.sql, given or None).to_arrow_reader(ROWS_AT_A_TIME)
    finally:
        cursor.close()


def tables_found(name: str) -> list[str]:
    """Return the tables whose indexes a read looks into."""
    finds = READS[name].finds if name in READS else {}
    return [_indexed(table, column)[0] for table, (column, _) in finds.items()]


class _Finding:
    """The rows a read finds by index, table after table, and its SQL with these rows in place of the tables' names.

    A found table of which later ones take a column is asked for all such columns at once.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, indexes: StoreIndexes, read: Read) -> None:
        self._cursor = cursor
        self._indexes = indexes
        self._taken: dict[str, list[str]] = {}  # columns that other tables are found by
        for _, parameter in read.finds.values():
            table, _, column = parameter.rpartition(".")
            self._taken.setdefault(table, []).append(column)
        self._found: dict[str, pa.Table] = {}
        self.sql = read.sql
        self.params: dict[str, Any] = {}

    def find(self, table: str, column: str, sought: pa.Array) -> None:
        """Find the rows of a table whose indexed column holds one of these ids."""
        places = self._indexes.index(*_indexed(table, column)).find(np.unique(keys_of(sought))).tolist()
        rows = self._at(table, places)
        self.sql = self.sql.replace(f"{{{table}}}", rows)
        if columns := sorted(set(self._taken.get(table, ()))):
            name = f"{table}_places"
            params = {name: self.params[name]} if name in self.params else None
            self._found[table] = self._cursor.execute(
                f"select {', '.join(columns)} from {rows}", params
            ).to_arrow_table()

    def column(self, table: str, column: str) -> pa.Array:
        """Return a column of the rows found in a table."""
        return self._found[table].column(column).combine_chunks()

    def _at(self, table: str, places: Sequence[int]) -> str:
        """Return the rows at these places as SQL. One place by itself is read in a third of the time."""
        if len(places) < 2:
            return f"(select * from {table} where rowid = {places[0] if places else -1})"
        self.params[f"{table}_places"] = places
        return _AT.format(table=table)


def _listed(asked: Any) -> list[str]:
    """Return the ids a parameter names: one, or a list of them."""
    ids = asked if isinstance(asked, list) else [asked]
    if not all(isinstance(one, str) for one in ids):
        raise UserError(f"ids are texts, not {asked!r:.80}")
    return ids


def _indexed(table: str, column: str) -> tuple[str, str]:
    """Return the table and column whose index finds rows: `candidates.candidate_id` serves a row-aligned one."""
    other, _, name = column.rpartition(".")
    return other or table, name


def _check_params(name: str, read: Read, params: Mapping[str, Any]) -> None:
    """Return when these are the parameters of a read, and texts are whole; UserError otherwise."""
    wanted = {parameter for _, parameter in read.finds.values() if "." not in parameter}
    wanted |= set(PARAMETER.findall(read.sql))
    if set(params) != wanted:
        raise UserError(f"read {name!r} takes {sorted(wanted)}, it was given {sorted(params)!r:.200}")
    try:
        json.dumps(dict(params), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise UserError(f"a parameter of read {name!r} holds half of a character") from None
