"""Predicates of strangers (tier, rule, slice, review cause): checked, then evaluated in a sealed DuckDB.

A predicate may hold only its relation's columns, literals, operators and the cheap functions of `predicate_words`, and
what runs is written anew by `predicate_sql`, never the text itself. A predicate is true of a row or it is not: null,
and a value that cannot be computed (an overflow), count as not, here and in the SQL that others embed. DuckDB looks at
its clock only between vectors, so rows come in slices whose work is bounded by their bytes times the text's length.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from storage.errors import UserError
from storage.sql.predicate_sql import quote_name, write_condition
from storage.sql.predicate_tokens import refusal

MAX_CHARACTERS = 4000
MEMORY_LIMIT = "512MB"
# Bytes of rows times characters of the predicate in one go: about a second at the worst 4 ns found for one of each.
MAX_WORK = 2**28
SETTINGS = f"""
set temp_directory = ''
set memory_limit = '{MEMORY_LIMIT}'
set threads = 1
set enable_external_access = false
set lock_configuration = true
"""

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
_log = logging.getLogger(__name__)


def check_predicate(text: str, *, columns: Collection[str]) -> str:
    """Return a predicate as DuckDB SQL that is safe in brackets of another statement and yields true or false only.

    Given a mapping of column name to DuckDB type, its types are checked too. UserError names what is not allowed and
    where, and the nearest name for an unknown column.
    """
    types = tuple(columns.items()) if isinstance(columns, Mapping) else None
    return f"coalesce({_tried(_checked(text, tuple(columns), types))}, false)"


def matches(table: pa.Table | pl.DataFrame, predicates: Mapping[str, str], *, seconds: float = 10) -> dict[str, Mask]:
    """Return for each named predicate a mask over the table's rows.

    Rows on which it cannot be computed are no match, and a warning says how many they are. `seconds` is for all of them
    together. UserError names the predicate that is not allowed or still running when the time is up.
    """
    arrow = table.to_arrow() if isinstance(table, pl.DataFrame) else table
    deadline = time.monotonic() + seconds
    with _sealed().cursor() as cursor:
        cursor.register("relation", arrow.slice(0, 0))
        kinds = tuple(zip(arrow.column_names, map(str, cursor.sql("from relation").types), strict=True))
        conditions = {name: _checked(text, tuple(arrow.column_names), kinds) for name, text in predicates.items()}
        with _interrupting(cursor, deadline):
            return {
                name: _mask(cursor, arrow, predicates[name], condition=condition, deadline=deadline, seconds=seconds)
                for name, condition in conditions.items()
            }


@lru_cache(maxsize=4096)
def _checked(text: str, columns: tuple[str, ...], kinds: tuple[tuple[str, str], ...] | None) -> str:
    """Return the condition of a predicate, as it is: it may be null or fail on a row. Checked once: many ask often."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"predicate {text[:40]!r}… has {len(text)} characters; at most {MAX_CHARACTERS} are taken.")
    if not text.strip():
        raise UserError("the predicate is empty. Write `true` for all rows.")
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text) or not _is_utf8(text):
        raise refusal(text, "holds a control character or half of a character")
    condition = write_condition(text, columns)
    if kinds is not None:
        _check_types(text, condition, dict(kinds))
    return condition


def _tried(condition: str) -> str:
    """Return SQL that is true or false, and null where the condition cannot be computed."""
    return f"try(coalesce({condition}, false))"


def _check_types(text: str, condition: str, kinds: Mapping[str, str]) -> None:
    """Bind a condition to typed columns and run it on one row of plain values; UserError where a type does not fit."""
    named = {quote_name(name): kind for name, kind in kinds.items() if quote_name(name) in condition}
    values = ", ".join(f"{_plain_value(kind)} as {name}" for name, kind in named.items()) or "1"
    with _sealed().cursor() as cursor:
        try:
            outcome = cursor.sql(f"select {condition} as is_met from (select {values})")
            kind = str(outcome.types[0])
            outcome.fetchall()
        except duckdb.Error as error:
            raise refusal(text, f"fails: {first_line(error)}") from None
    if kind not in ("BOOLEAN", "NULL", '"NULL"'):
        raise refusal(text, f"gives {kind}, not true or false")


def _plain_value(kind: str) -> str:
    """Return SQL for a value of a type. A text is a letter, so that using it as a number fails here."""
    if kind.upper() in ("NULL", '"NULL"'):
        return "null"
    if kind.upper() == "VARCHAR":
        return "'a'"
    if kind.endswith("[]"):
        return f"[{_plain_value(kind[:-2])}]"
    return f"coalesce(try_cast('1' as {kind}), try_cast('2026-01-01' as {kind}))"


def _mask(
    cursor: duckdb.DuckDBPyConnection, table: pa.Table, text: str, *, condition: str, deadline: float, seconds: float
) -> Mask:
    """Return one predicate's mask; warn of the rows on which it cannot be computed."""
    most_bytes = max(1, MAX_WORK // len(text))
    parts: list[Mask] = [np.zeros(0, dtype=np.bool_)]
    n_failed, reason = 0, ""
    for rows in _slices(table, most_bytes):
        if time.monotonic() > deadline:
            raise _out_of_time(text, seconds)
        if rows.num_rows == 1 and rows.nbytes > most_bytes:
            met, why = pa.array([None], pa.bool_()), f"a row of more than {most_bytes:,} bytes"
        else:
            cursor.register("relation", rows)
            try:
                met, why = _met(cursor, condition)
            except duckdb.InterruptException:
                raise _out_of_time(text, seconds) from None
            except duckdb.OutOfMemoryException:
                raise refusal(text, f"needs more than {MEMORY_LIMIT} of memory") from None
        n_failed += met.null_count
        reason = reason or why
        parts.append(np.asarray(met.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_))
    if n_failed:
        said = refusal(text, f"cannot be computed on {n_failed:,} of {table.num_rows:,} rows ({reason})")
        _log.warning("%s They count as no match.", said)
    return np.concatenate(parts)


def _met(cursor: duckdb.DuckDBPyConnection, condition: str) -> tuple[pa.ChunkedArray, str]:
    """Return where the condition is met, null where it cannot be computed, and why it cannot."""
    try:
        rows = cursor.sql(f"select coalesce({condition}, false) as is_met from relation").to_arrow_table()
        return rows.column("is_met"), ""
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        why = first_line(error)
    rows = cursor.sql(f"select {_tried(condition)} as is_met from relation").to_arrow_table()
    return rows.column("is_met"), why


def _slices(table: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows in order, halved until a slice has no more bytes than allowed or one row."""
    if table.num_rows > 1 and table.nbytes > most_bytes:
        half = table.num_rows // 2
        yield from _slices(table.slice(0, half), most_bytes)
        yield from _slices(table.slice(half), most_bytes)
    elif table.num_rows:
        yield table


def _out_of_time(text: str, seconds: float) -> UserError:
    return refusal(text, f"was stopped: the {seconds:g} s for all predicates are up")


@lru_cache(maxsize=1)
def _sealed() -> duckdb.DuckDBPyConnection:
    """Return the process's empty in-memory database that can reach nothing and whose settings are locked.

    Kept because it takes 15 ms to make; every use is a cursor of its own, so nothing of one is seen by another.
    """
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False})  # as a setting: one cursor's
    for setting in SETTINGS.strip().splitlines():
        connection.execute(setting)
    return connection


@contextmanager
def _interrupting(cursor: duckdb.DuckDBPyConnection, deadline: float) -> Iterator[None]:
    """Interrupt the cursor from the deadline on, again and again: one that falls between two statements is lost."""
    is_done = threading.Event()

    def watch() -> None:
        if not is_done.wait(max(0.0, deadline - time.monotonic())):
            while not is_done.wait(0.05):
                cursor.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_done.set()
        watcher.join()


def first_line(error: duckdb.Error) -> str:
    """Return the first line of DuckDB's message, without the name of its error class."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.split(" Error: ", 1)[-1].rstrip(".")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
