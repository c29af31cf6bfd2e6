"""A query's result, and its three texts: JSON for machines, CSV for spreadsheets, a table for a terminal.

Values come from strangers' data: a spreadsheet must not run them and a terminal must not obey them.
"""

from __future__ import annotations

import base64
import csv
import datetime
import decimal
import io
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

MAX_CELL_CHARACTERS = 60
EXPLAINED = ("explain_key", "explain_value")
# A cell that starts so is a formula in one spreadsheet or another; blanks before it do not help.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query gave. `columns` are distinct; `types` are DuckDB's; `is_truncated`: there were more rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    table: pa.Table
    is_truncated: bool


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with `_2`, `_3`, … after repeated ones, so that none hides another."""
    given, taken = set(names), set[str]()
    n_seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        n_seen[name] += 1
        candidate = name if n_seen[name] == 1 else f"{name}_{n_seen[name]}"
        while candidate in taken or (n_seen[name] > 1 and candidate in given):
            n_seen[name] += 1
            candidate = f"{name}_{n_seen[name]}"
        taken.add(candidate)
        distinct.append(candidate)
    return tuple(distinct)


def printable(text: str) -> str:
    """Return text with every control character but the line break shown as �, so that a terminal obeys none."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def to_json(result: QueryResult) -> str:
    """Return one JSON array of objects, a row a line. Dates are ISO, bytes base64, NaN and infinities null."""
    lines = [
        json.dumps(dict(zip(result.columns, row, strict=True)), ensure_ascii=False, allow_nan=False)
        for row in _rows(result)
    ]
    return "[" + ",\n".join(lines) + "]\n"


def to_csv(result: QueryResult) -> str:
    """Return CSV, lines ended by a line feed as shells want them.

    A text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    lines = [_csv_line([_defused(name) for name in result.columns])]
    lines += [_csv_line([_csv_cell(value) for value in row]) for row in _rows(result)]
    return "".join(lines)


def _csv_line(cells: list[Any]) -> str:
    """Write one line. The writer is told of both line ends, so that it quotes a cell with either of them."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def to_text(result: QueryResult) -> str:
    """Return an aligned table with the number of rows under it. Long cells are cut, control characters shown as �."""
    if result.columns == EXPLAINED:
        return "\n".join(printable(str(value)) for _, value in _rows(result))
    rows = [[_text_cell(value) for value in row] for row in _rows(result)]
    head = [_text_cell(name) for name in result.columns]
    widths = [max(_width(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [head, ["─" * width for width in widths], *rows]
    written = ["  ".join(_padded(cell, width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    n_rows = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    more = ", and there are more" if result.is_truncated else ""
    return "\n".join(line.rstrip() for line in written) + f"\n({n_rows}{more})\n"


def _rows(result: QueryResult) -> Iterator[tuple[Any, ...]]:
    columns = [[_plain(value) for value in _values(column)] for column in result.table.columns]
    return zip(*columns, strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; as text those that Python has no value for: the year 290000, a nanosecond."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError, KeyError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.MapScalar):
        return [(_value(entry["key"]), _value(entry["value"])) for entry in scalar.values]
    if isinstance(scalar, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
        return [_value(part) for part in scalar.values]
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(part) for name, part in scalar.items()}
    try:
        return scalar.as_py()
    except (OverflowError, ValueError, KeyError):
        return _moment(scalar)


def _moment(scalar: pa.Scalar) -> str:
    """Return a date or timestamp in ISO form, whatever its year; DuckDB's infinities are the farthest ones."""
    is_date = pa.types.is_date32(scalar.type)
    farthest = 2 ** (31 if is_date else 63) - 1
    if abs(scalar.value) == farthest:
        return "infinity" if scalar.value > 0 else "-infinity"
    zone = "+00:00" if not is_date and scalar.type.tz else ""
    return f"{np.datetime64(scalar.value, 'D' if is_date else scalar.type.unit)}{zone}"


def _plain(value: Any) -> Any:  # noqa: PLR0911 one line a type
    """Return a value as JSON knows it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_plain(part) for part in value]
    return str(value)


def _csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _defused(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _defused(text: str) -> str:
    return f"'{text}" if text.lstrip(" \u00a0\ufeff\u200b").startswith(_FORMULA_STARTS) else text


def _text_cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = printable(text).replace("\n", "⏎")
    return text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"


def _width(text: str) -> int:
    """Return the columns a text takes in a terminal: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
