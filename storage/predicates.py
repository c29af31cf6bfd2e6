"""Predicates of strangers (tier, rule, slice, review cause): checked, then evaluated in a sealed DuckDB.

A predicate may hold only its relation's columns, literals, operators and the cheap functions of `predicate_sql`, and
what runs is written anew from the checked tree, never the text itself. A predicate is true or it is not: null, and a
value that cannot be computed, count as not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from storage.errors import UserError
from storage.predicate_sql import Renderer, quote_name

MAX_CHARACTERS = 4000
MEMORY_LIMIT = "512MB"


def check_predicate(text: str, *, columns: Collection[str]) -> str:
    """Return a predicate as DuckDB SQL that is safe in brackets of another statement and yields true or false only.

    Given a mapping of column name to DuckDB type, its types are checked too. UserError names what is not allowed and
    where, and the nearest name for an unknown column.
    """
    types = tuple(columns.items()) if isinstance(columns, Mapping) else None
    return _checked(text, tuple(columns), types)


@lru_cache(maxsize=1024)
def _checked(text: str, columns: tuple[str, ...], types: tuple[tuple[str, str], ...] | None) -> str:
    """Check once: the owner asks for the same few predicates in every transaction, and types cost a DuckDB each."""
    condition = _condition(text, columns)
    if types is not None:
        _check_types(text, condition, dict(types))
    return f"coalesce(try({condition}), false)"


def matches(
    table: pa.Table | pl.DataFrame, predicates: Mapping[str, str], *, seconds: float = 10
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return for each named predicate a mask over the table's rows; null is False.

    `seconds` is for all of them together. UserError names the predicate that is not allowed, fails on a row (an
    overflow, a text that is no number) or is still running when the time is up.
    """
    arrow = table.to_arrow() if isinstance(table, pl.DataFrame) else table
    conditions = {name: _condition(text, arrow.column_names) for name, text in predicates.items()}
    deadline = time.monotonic() + seconds
    masks = {}
    with _sealed() as connection:
        connection.register("relation", arrow)
        for name, condition in conditions.items():
            if time.monotonic() > deadline:
                raise _out_of_time(predicates[name], seconds)
            with _time_limit(connection, deadline - time.monotonic()):
                masks[name] = _mask(connection, predicates[name], condition=condition, seconds=seconds)
    return masks


def _condition(text: str, columns: Collection[str]) -> str:
    """Return the checked tree of a predicate as SQL, as it is: it may be null or fail on a row."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"predicate {text[:40]!r}… has {len(text)} characters; at most {MAX_CHARACTERS} are taken.")
    renderer = Renderer(text, columns)
    if not text.strip():
        raise UserError("the predicate is empty. Write `true` for all rows.")
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text) or not _is_utf8(text):
        raise renderer.refusal("holds a control character or half of a character")
    try:
        tree = sqlglot.parse_one(text, read="duckdb", into=exp.Condition)
    except SqlglotError as error:
        raise renderer.refusal(f"cannot be read{_where(error)}") from None
    except RecursionError:
        raise renderer.refusal("is nested too deeply") from None
    return renderer.render(tree)


def _out_of_time(text: str, seconds: float) -> UserError:
    return Renderer(text, ()).refusal(f"was stopped: the {seconds:g} s for all predicates are up")


def _check_types(text: str, condition: str, columns: Mapping[str, str]) -> None:
    """Bind a condition to typed columns and run it on one row of plain values; UserError where a type does not fit."""
    values = ", ".join(f"{_plain_value(kind)} as {quote_name(name)}" for name, kind in columns.items())
    with _sealed() as connection:
        connection.execute(f"create table relation as select {values}")
        _mask(connection, text, condition=condition, seconds=0)


def _plain_value(kind: str) -> str:
    """Return SQL for a value of a type. A text is a letter, so that using it as a number fails here."""
    folded = kind.casefold()
    if folded == "varchar":
        return "'a'"
    if folded.endswith("[]"):
        return f"[{_plain_value(kind[:-2])}]"
    if folded in {"integer", "bigint", "smallint", "tinyint", "double", "float", "hugeint", "int", "real"}:
        return f"1::{folded}"
    if folded in {"boolean", "bool"}:
        return "true"
    if folded in {"timestamp", "date"}:
        return f"{folded} '2026-01-01'"
    raise ValueError(f"no plain value of type {kind!r}")


def _mask(
    connection: duckdb.DuckDBPyConnection, text: str, *, condition: str, seconds: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    renderer = Renderer(text, ())
    try:
        result = connection.sql(f"select {condition} as is_met from relation")
        if str(result.types[0]) not in ("BOOLEAN", "NULL", '"NULL"'):
            raise renderer.refusal(f"gives {result.types[0]}, not true or false")
        column = result.to_arrow_table().column("is_met")
    except duckdb.InterruptException:
        raise _out_of_time(text, seconds) from None
    except duckdb.Error as error:
        raise renderer.refusal(f"fails: {first_line(error)}") from None
    return np.asarray(column.cast(pa.bool_()).fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


@contextmanager
def _sealed() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty in-memory database that can reach nothing and whose settings are locked."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("set temp_directory = ''")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute("set threads = 1")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection
    finally:
        connection.close()


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(max(0.0, seconds), connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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


def _where(error: SqlglotError) -> str:
    errors = getattr(error, "errors", None)
    if not errors or not errors[0].get("line"):
        return ""
    return f" near {errors[0].get('highlight')!r} (line {errors[0]['line']}, column {errors[0]['col']})"
