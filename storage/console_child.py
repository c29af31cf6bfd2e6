"""Run one stranger's query and die: `python -m storage.console_child DATABASE ROOT MAX_ROWS MEMORY_MB CPU_SECONDS`.

SQL comes on stdin; an Arrow stream (status 0) or a JSON message (status 3) goes to stdout. Nothing here is trusted to
hold alone: the file is opened read-only, DuckDB is locked, the process may write no file and has limits on memory, time
and files, and the parent kills it by the clock. In the order below, measured on DuckDB 2.0.0: without
`disabled_filesystems` a locked, read-only connection destroyed its own file through `copy … to '<the file>'`, also
inside a CTE that counts as a select; and `repeat('x', 2e9)` heeds neither DuckDB's memory limit nor its interrupt.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import resource
import sys
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

REFUSED = 3
N_OPEN_FILES = 64
SLACK_MB = 512  # address space that allocators and threads reserve and do not use; with 0, 1 query in 15 failed
STATEMENTS = {"SELECT", "EXPLAIN", "MULTI"}  # MULTI is what DuckDB makes of a pivot
SETTINGS = """
set temp_directory = ''
set threads = 1
set TimeZone = 'UTC'
set home_directory = ''
set secret_directory = ''
set extension_directory = ''
set autoinstall_known_extensions = false
set autoload_known_extensions = false
set python_enable_replacements = false
set enable_external_access = false
set disabled_filesystems = 'LocalFileSystem'
set lock_configuration = true
"""


class RefusedError(Exception):
    """What the user is told."""


def main(arguments: list[str]) -> int:
    """Answer the query on stdin; return the exit status."""
    database, root = arguments[:2]
    max_rows, memory_mb, cpu_seconds = (int(argument) for argument in arguments[2:])
    sql = sys.stdin.buffer.read().decode()
    _limit(memory_mb=memory_mb, cpu_seconds=cpu_seconds)
    try:
        table = _answer(database, sql, root=root, max_rows=max_rows, memory_mb=memory_mb)
        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
    except (duckdb.Error, RefusedError, MemoryError, pa.ArrowException, RecursionError) as error:
        message = _message(error, memory_mb=memory_mb).replace(root, "")
        sys.stdout.buffer.write(json.dumps({"message": message}).encode())
        return REFUSED
    return 0


def _message(error: BaseException, *, memory_mb: int) -> str:
    message = str(error).strip() or type(error).__name__
    is_memory = isinstance(error, MemoryError | duckdb.OutOfMemoryException | pa.ArrowMemoryError)
    if is_memory or "llocation failure" in message or "bad_alloc" in message:
        return f"it needs more than {memory_mb} MB. Narrow it with where, fewer columns or limit"
    return message


def _limit(*, memory_mb: int, cpu_seconds: int) -> None:
    """Take away writing, core dumps, most files, and memory and time beyond the query's share."""
    limits = [
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, N_OPEN_FILES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, _address_space() + (memory_mb + SLACK_MB) * 2**20),
    ]
    for kind, value in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them; the parent's clock remains
            resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    """Return the bytes of address space this process has after its imports; 1 GiB where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**30


def _answer(database: str, sql: str, *, root: str, max_rows: int, memory_mb: int) -> pa.Table:
    """Return the rows, at most `max_rows`, with DuckDB's types and whether there were more in the schema's metadata."""
    connection = duckdb.connect(database, read_only=True, config={"memory_limit": f"{memory_mb}MB"})
    for setting in SETTINGS.strip().splitlines():
        connection.execute(setting)
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise RefusedError(f"{len(statements)} statements were given; the console runs one at a time.")
    kind = statements[0].type.name
    if kind not in STATEMENTS:
        raise RefusedError(
            f"a statement of kind {kind} was given; the console only reads: select, from, with, values, describe, "
            "summarize, show tables, explain, pivot."
        )
    try:
        relation = _with_variants_as_text(connection.sql(sql))
        table = relation.limit(max_rows + 1).to_arrow_table()
    except duckdb.CatalogException as error:
        raise RefusedError(_with_nearest_table(connection, str(error))) from None
    columns = [_without(column.combine_chunks(), root=root) for column in table.slice(0, max_rows).columns]
    fields = [
        pa.field(name.replace(root, ""), column.type) for name, column in zip(table.column_names, columns, strict=True)
    ]
    facts = {"types": json.dumps([str(kind) for kind in relation.types]), "more": str(table.num_rows > max_rows)}
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=facts))


def _with_variants_as_text(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return a relation whose VARIANT columns are text: Arrow has no such type and gives their bytes."""
    kinds = [str(kind) for kind in relation.types]
    if "VARIANT" not in kinds:
        return relation
    names = ['"' + name.replace('"', '""') + '"' for name in relation.columns]
    pairs = zip(names, kinds, strict=True)
    return relation.project(
        ", ".join(f"{name}::varchar as {name}" if kind == "VARIANT" else name for name, kind in pairs)
    )


def _with_nearest_table(connection: duckdb.DuckDBPyConnection, message: str) -> str:
    """Return a message about an unknown table with the nearest of the published ones, not of DuckDB's own."""
    found = re.search(r"Table with name (.+?) does not exist!", message)
    if found is None:
        return message
    known = [name for (name,) in connection.execute("select table_name from duckdb_tables() order by 1").fetchall()]
    near = difflib.get_close_matches(found[1].lower(), known, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else "List the tables: show tables"
    return f"there is no table {found[1]}. {hint}"


def _without(column: Any, *, root: str) -> pa.Array:
    """Return a column with the database's own folder blanked, which DuckDB shows in a few of its own tables.

    Whoever spells it otherwise (reversed, in hex) can still read it: it is a courtesy, and not a secret.
    """
    array = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        return pc.replace_substring(array, pattern=root, replacement="")
    if pa.types.is_nested(array.type):
        values = array.to_pylist()
        if root in repr(values):
            return pa.array([_blanked(value, root=root) for value in values], array.type)
    return array


def _blanked(value: Any, *, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if isinstance(value, bytes):
        return value.replace(root.encode(), b"")
    if isinstance(value, list):
        return [_blanked(part, root=root) for part in value]
    if isinstance(value, tuple):
        return tuple(_blanked(part, root=root) for part in value)
    if isinstance(value, dict):
        return {name: _blanked(part, root=root) for name, part in value.items()}
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
