"""Read a source file into one frame of text columns, with line numbers; a line that cannot be read is set aside.

Formats by extension: .jsonl/.ndjson, .csv/.tsv, .parquet, .qrels/.trec (`query_id iteration doc_id grade`).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from storage.errors import UserError

LINE = "\0line"  # a column no file can have
QRELS_COLUMNS = ("query_id", "iteration", "doc_id", "grade")
MAX_FIELD_CHARACTERS = 64 << 20
MAX_SHOWN_CHARACTERS = 10_000
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record set aside: where it stood (1-based line or row), why, the value at fault, the record as text."""

    line: int
    reason: str
    value: str | None
    record: str | None


@dataclass(frozen=True, slots=True)
class SourceRows:
    """Rows of a file: text columns plus `line`; and what could not be read."""

    frame: pl.DataFrame
    rejects: tuple[Reject, ...]


def read_file(path: Path) -> SourceRows:
    """Read a file by its extension; UserError when it is missing, empty or of no known kind."""
    readers = {
        ".jsonl": _read_jsonl,
        ".ndjson": _read_jsonl,
        ".csv": read_csv,
        ".tsv": read_csv,
        ".parquet": _read_parquet,
        ".qrels": read_qrels,
        ".trec": read_qrels,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"{path} has no known extension; afrel reads {', '.join(sorted(readers))}. Convert or rename it"
        )
    if not path.is_file():
        raise UserError(f"there is no file {path}. Check the path: afrel ingest FILE --map …")
    rows = reader(path)
    if rows.frame.is_empty() and not rows.rejects:
        raise UserError(f"{path} holds no rows. Check that it is the file you meant")
    return rows


def _read_jsonl(path: Path) -> SourceRows:
    records: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for number, text in _lines(path, rejects):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            rejects.append(Reject(number, "not_json", str(error)[:200], text[:MAX_SHOWN_CHARACTERS]))
            continue
        if not isinstance(record, dict):
            rejects.append(Reject(number, "not_an_object", type(record).__name__, text))
            continue
        # a line that is UTF-8 has a lone surrogate only where an escape writes one
        if "\\u" in text and not _is_clean(json.dumps(record, ensure_ascii=False)):
            rejects.append(Reject(number, "bad_encoding", "lone surrogate", text))
            continue
        records.append({LINE: number, **{str(name): _as_text(value) for name, value in record.items()}})
    return SourceRows(_frame(records), tuple(rejects))


def read_csv(path: Path) -> SourceRows:
    """Read a file of cells parted by commas, or by tabs where its extension is .tsv; UserError when it is none."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        _check_header(path, header)
        return _csv_rows(reader, header or [])
    except csv.Error as error:
        raise UserError(
            f"{path} is not well-formed CSV by line {reader.line_num}: {error}; perhaps a quote is never closed. "
            "Nothing was ingested. Mend the line, or export the file again"
        ) from error


def _check_header(path: Path, header: list[str] | None) -> None:
    if not header:
        raise UserError(f"{path} has no header line. Its first line must name the columns")
    if not _is_clean("".join(header)) or "\0" in "".join(header):
        raise UserError(f"{path} is not UTF-8 text. Convert it: iconv -f UTF-16 -t UTF-8")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise UserError(f"{path} names the columns {repeated} more than once. Rename all but one")


def _csv_rows(reader: Any, header: list[str]) -> SourceRows:
    records: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    line = reader.line_num + 1
    for cells in reader:
        record = " | ".join(cells)
        if not _is_clean(record):
            rejects.append(Reject(line, "bad_encoding", None, _shown(record)))
        elif len(cells) != len(header):
            if cells:
                rejects.append(Reject(line, "wrong_number_of_cells", f"{len(cells)}, not {len(header)}", record))
        else:
            records.append({LINE: line, **dict(zip(header, cells, strict=True))})
        line = reader.line_num + 1
    return SourceRows(_frame(records, header), tuple(rejects))


def read_qrels(path: Path) -> SourceRows:
    """Read lines of four cells parted by blanks: query, iteration, doc, grade."""
    records: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for number, text in _lines(path, rejects):
        cells = text.split()
        if len(cells) == len(QRELS_COLUMNS):
            records.append({LINE: number, **dict(zip(QRELS_COLUMNS, cells, strict=True))})
        else:
            rejects.append(Reject(number, "wrong_number_of_cells", f"{len(cells)}, not {len(QRELS_COLUMNS)}", text))
    return SourceRows(_frame(records, QRELS_COLUMNS), tuple(rejects))


def _read_parquet(path: Path) -> SourceRows:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    return SourceRows(text_columns(frame), ())


def text_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame's columns as text with the number of each row; lists and structs play no role and are left out."""
    text = [
        (pl.col(name) if dtype == pl.String else pl.col(name).cast(pl.String, strict=False)).alias(name)
        for name, dtype in frame.schema.items()
        if not dtype.is_nested()
    ]
    return frame.select(text).with_row_index(LINE, offset=1)


def _lines(path: Path, rejects: list[Reject]) -> Iterator[tuple[int, str]]:
    """Yield (number, text) of every line that is not blank; a line that is not UTF-8 is set aside."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                rejects.append(Reject(number, "bad_encoding", error.reason, raw.decode("utf-8", "replace").strip()))
                continue
            if text.strip():
                yield number, text


def _frame(records: list[dict[str, Any]], columns: tuple[str, ...] | list[str] = ()) -> pl.DataFrame:
    names = list(dict.fromkeys([*columns, *(name for record in records for name in record if name != LINE)]))
    data = {LINE: [record[LINE] for record in records]}
    data |= {name: [record.get(name) for record in records] for name in names}
    return pl.DataFrame(data, schema={LINE: pl.UInt32, **dict.fromkeys(names, pl.String)})


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _is_clean(text: str) -> bool:
    return _SURROGATE.search(text) is None


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
