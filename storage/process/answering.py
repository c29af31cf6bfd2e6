"""Answer named reads: the SQL of `storage.reads`, rows found by place where it asks for that, told as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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
        sql, given = _with_places(cursor, indexes, read, params)
        yield cursor.sql(sql, params=given or None).to_arrow_reader(ROWS_AT_A_TIME)
    finally:
        cursor.close()


def tables_found(name: str) -> list[str]:
    """Return the tables whose indexes a read looks into."""
    finds = READS[name].finds if name in READS else {}
    return [_indexed(table, column)[0] for table, (column, _) in finds.items()]


def _with_places(
    cursor: duckdb.DuckDBPyConnection, indexes: StoreIndexes, read: Read, params: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return a read's SQL and parameters with the rows of the tables it finds in place of their names."""
    sql, given = read.sql, dict(params)
    for table, (column, parameter) in read.finds.items():
        source, _, named = parameter.rpartition(".")
        if source:
            places = {f"{source}_places": given[f"{source}_places"]}
            rows = cursor.sql(f"select {named} from {_AT.format(table=source)}", params=places).to_arrow_table()
            sought = rows.column(0).combine_chunks()
        else:
            sought = pa.array(_listed(params[parameter]), pa.string())
        found = indexes.index(*_indexed(table, column)).find(np.unique(keys_of(sought)))
        given[f"{table}_places"] = found.tolist()
        sql = sql.replace(f"{{{table}}}", _AT.format(table=table))
    if read.finds:  # DuckDB refuses parameters that the SQL does not use
        given = {name: value for name, value in given.items() if f"${name}" in sql}
    return sql, given


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
