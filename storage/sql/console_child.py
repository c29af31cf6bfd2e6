"""Run one stranger's query and die: `python -m storage.sql.console_child DESCRIPTOR MAX_ROWS MEMORY_MB SECONDS`.

The copy is open as DESCRIPTOR; SQL comes on stdin; an Arrow stream (status 0) or a JSON message (status 3) goes to
stdout. Nothing here is trusted to hold alone: the file is opened read-only, DuckDB is locked, the process has limits on
memory, time and files, the kernel takes all other files away, an alarm ends it, and the parent kills it by the clock.
In the order below, measured on DuckDB 2.0.0: without `disabled_filesystems` a locked, read-only connection destroyed
its own file through `copy … to '<the file>'`, also inside a CTE that counts as a select; and `repeat('x', 2e9)` heeds
neither DuckDB's memory limit nor its interrupt.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from storage.sql.console_hints import explain
from storage.sql.landlock import give_up_files

REFUSED = 3
N_OPEN_FILES = 64
SLACK_MB = 512  # address space that allocators and threads reserve and do not use; with 0, 1 query in 15 failed
MAX_COLUMNS = 1000
STATEMENTS = {"SELECT", "EXPLAIN", "MULTI"}  # MULTI is what DuckDB makes of a pivot
# All work in the one thread that the kernel's fence binds. Left alone, DuckDB keeps eight more for files.
ALONE: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "async_threads": 0}
ATTACH = """
attach '{}' as published (read_only)
use published
detach memory
"""
SETTINGS = """
set temp_directory = ''
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
# Types that Arrow or Parquet lack, or that DuckDB hands over as bytes, cut off or wrong: they are told as text.
TOLD_AS_TEXT = {"bignum", "bit", "enum", "geometry", "interval", "time with time zone", "uhugeint", "union", "variant"}


class RefusedError(Exception):
    """What the user is told."""


def main(arguments: list[str]) -> int:
    """Answer the query on stdin; return the exit status."""
    descriptor, max_rows, memory_mb, seconds = (int(argument) for argument in arguments)
    sql = sys.stdin.buffer.read().decode()
    _limit(memory_mb=memory_mb, seconds=seconds)
    try:
        table = _answer(descriptor, sql, max_rows=max_rows, memory_mb=memory_mb)
        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
    except (duckdb.Error, RefusedError, MemoryError, pa.ArrowException, RecursionError) as error:
        message = _message(error, memory_mb=memory_mb)
        sys.stdout.buffer.write(json.dumps({"message": message}).encode())
        return REFUSED
    return 0


def _message(error: BaseException, *, memory_mb: int) -> str:
    message = str(error).strip() or type(error).__name__
    is_memory = isinstance(error, MemoryError | duckdb.OutOfMemoryException | pa.ArrowMemoryError)
    if is_memory or "llocation failure" in message or "bad_alloc" in message:
        return f"it needs more than {memory_mb} MB. Narrow it with where, fewer columns or limit"
    return message


def _limit(*, memory_mb: int, seconds: int) -> None:
    """Take away writing, core dumps, most files, and memory and time beyond the query's share."""
    limits = [
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, N_OPEN_FILES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _address_space() + (memory_mb + SLACK_MB) * 2**20),
    ]
    for kind, value in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them; the parent's clock remains
            resource.setrlimit(kind, (value, value))
    signal.alarm(seconds)  # should the parent be dead: a sleeping query uses no processor time


def _address_space() -> int:
    """Return the bytes of address space this process has after its imports; 1 GiB where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**30


def _answer(descriptor: int, sql: str, *, max_rows: int, memory_mb: int) -> pa.Table:
    """Return the rows, at most `max_rows`, with DuckDB's types and whether there were more in the schema's metadata."""
    connection = _sealed(descriptor, memory_mb=memory_mb)
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise RefusedError(f"{len(statements)} statements were given; the console runs one at a time.")
    if (kind := _kind(statements[0])) not in STATEMENTS:
        raise RefusedError(
            f"a statement of kind {kind} was given; the console only reads: select, from, with, values, describe, "
            "summarize, show tables, explain, pivot."
        )
    try:
        relation = connection.sql(sql)
        if len(relation.columns) > MAX_COLUMNS:
            raise RefusedError(f"the answer has {len(relation.columns):,} columns; at most {MAX_COLUMNS:,} are told.")
        table = _as_arrow_has_it(relation).limit(max_rows + 1).to_arrow_table()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise RefusedError(explain(connection, sql, error)) from None
    facts = {"types": json.dumps([str(kind) for kind in relation.types]), "more": str(table.num_rows > max_rows)}
    return table.slice(0, max_rows).combine_chunks().replace_schema_metadata(facts)


def _kind(statement: duckdb.Statement) -> str:
    try:
        return statement.type.name
    except ValueError:  # `update extensions`: DuckDB's Python does not know its own kind 29
        return "UNKNOWN"


def _sealed(descriptor: int, *, memory_mb: int) -> duckdb.DuckDBPyConnection:
    """Open the copy so that nothing else can be reached, written or set, by DuckDB nor past it."""
    connection = duckdb.connect(":memory:", config={**ALONE, "memory_limit": f"{memory_mb}MB"})
    for statement in (ATTACH.format(f"/dev/fd/{descriptor}") + SETTINGS).splitlines():
        if statement:
            connection.execute(statement)
    connection.sql("select 1").to_arrow_table()  # imports the last modules: after the next line none can be
    give_up_files()
    return connection


def _as_arrow_has_it(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return the relation with the types that Arrow lacks as text, at any depth."""
    kinds = [(str(kind), _arrow_kind(kind)) for kind in relation.types]
    if all(kind == told for kind, told in kinds):
        return relation
    columns = [
        (f"#{place}" if kind == told else f"#{place}::{told}") + f" as {_quoted(name)}"
        for place, (name, (kind, told)) in enumerate(zip(relation.columns, kinds, strict=True), start=1)
    ]
    return relation.project(", ".join(columns))


def _arrow_kind(kind: DuckDBPyType) -> str:
    """Return a type's name, with VARCHAR in place of each type that is told as text."""
    if kind.id in TOLD_AS_TEXT:
        return "VARCHAR"
    if kind.id not in ("list", "array", "map", "struct", "tuple"):
        return str(kind)
    # an array's size is among its children, which DuckDB's own annotations do not know
    parts = [(name, _arrow_kind(part) if isinstance(part, DuckDBPyType) else str(part)) for name, part in kind.children]
    if [part for _, part in parts] == [str(part) for _, part in kind.children]:
        return str(kind)
    if kind.id in ("list", "array"):
        size = "".join(part for name, part in parts if name == "size")
        return f"{parts[0][1]}[{size}]"
    named = [f"{_quoted(name)} {part}" if kind.id == "struct" else part for name, part in parts]
    return f"{kind.id}({', '.join(named)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
