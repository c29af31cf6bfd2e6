"""The rows of a snapshot: their columns, their hashes, and the digests built on those.

A row's hash is the digest of the canonical JSON of all its other columns, so it is the same on any machine, whatever
wrote the file. Digests are over sorted hashes: the order of rows means nothing. Hashing works by the column, because
a Python object for each value costs four times as much.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from storage.ids import canonical_json

SPLITS = ("train", "dev", "test")
ROW_SCHEMA = pa.schema(
    [
        pa.field("row_hash", pa.string(), nullable=False),
        pa.field("tier", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("body", pa.string(), nullable=False),
        pa.field("fields", pa.string(), nullable=False),
        pa.field("grade", pa.int32(), nullable=False),
        pa.field("steps", pa.string()),
        pa.field("rule_ids", pa.list_(pa.string()), nullable=False),
        pa.field("judgment_origin", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("operator", pa.string()),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
CONTENT_SCHEMA = ROW_SCHEMA.remove(0)
_POLARS_TYPES: dict[pa.DataType, Any] = {
    pa.string(): pl.String,
    pa.int32(): pl.Int32,
    pa.list_(pa.string()): pl.List(pl.String),
}

# What tells rows apart; without any.
NO_KEYS = pl.DataFrame(schema={"tier": pl.Int32, "split": pl.String, "pair_id": pl.String, "row_hash": pl.String})

# How JSON writes the characters that it escapes: those that texts are full of, and the rest, which are rare.
_ESCAPES = {char: text for char in map(chr, range(128)) if (text := encode_basestring(char)[1:-1]) != char}
_COMMON = {char: _ESCAPES.pop(char) for char in '\\"\n'}


def conform(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return rows with exactly the content columns, in order and type; ValueError when one is missing or null."""
    names = batch.schema.names
    missing = [name for name in CONTENT_SCHEMA.names if name not in names]
    extra = [name for name in names if name not in CONTENT_SCHEMA.names]
    if missing or extra:
        raise ValueError(f"snapshot rows lack the columns {missing} and have {extra} beside theirs")
    null = [field.name for field in CONTENT_SCHEMA if not field.nullable and batch.column(field.name).null_count]
    if null:
        raise ValueError(f"snapshot rows have nulls in {null}")
    types = {field.name: _POLARS_TYPES[field.type] for field in CONTENT_SCHEMA}
    return pl.DataFrame(batch).select(CONTENT_SCHEMA.names).cast(types)


def hash_rows(rows: pl.DataFrame) -> pl.Series:
    """Return the hash of each row: `ids.digest` of its content columns. Other columns are left aside.

    The JSON texts of all rows are made at once, so give some ten thousand rows at a time.
    """
    texts = rows.select(pl.concat_str(*_json_parts())).to_series().to_arrow()
    content = _content(texts)
    if np.frombuffer(content, np.uint8).min(initial=32) < 32:
        texts = pl.Series(texts).str.replace_many(list(_ESCAPES), list(_ESCAPES.values())).to_arrow()
        content = _content(texts)
    ends = np.frombuffer(texts.buffers()[1], np.int64)[: len(texts) + 1].tolist()
    sha256 = hashlib.sha256
    hashes = [sha256(content[start:end]).hexdigest() for start, end in pairwise(ends)]
    return pl.Series("row_hash", hashes, pl.String)


def rows_digest(row_hashes: pl.Series) -> str:
    """Return the digest of a tier: of its sorted row hashes."""
    return hashlib.sha256(_hashes_json(row_hashes)).hexdigest()


def rows_id(row_hashes: pl.Series, *, tiers: Iterable[list[Any]], scale: dict[str, Any], rule_book: list[Any]) -> str:
    """Return the id of a snapshot: of its rows, tier predicates, scale and rule book, and of nothing else.

    Each of `tiers` is its number, its predicate and, where its rows were balanced, how.

    It is `ids.digest` of those four by name; the text of millions of hashes is made apart.
    """
    content = {
        "rule_book": canonical_json(rule_book).encode(),
        "rows": _hashes_json(row_hashes),
        "scale": canonical_json(scale).encode(),
        "tiers": canonical_json(list(tiers)).encode(),
    }
    sha256 = hashlib.sha256()
    for place, (name, text) in enumerate(sorted(content.items())):
        sha256.update(f'{"," if place else "{"}"{name}":'.encode())
        sha256.update(text)
    sha256.update(b"}")
    return f"snap_{sha256.hexdigest()[:12]}"


def to_json(value: Any) -> str:
    """Return the one text a snapshot's JSON files hold for a value: readable, sorted, ending in a line break."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _json_parts() -> list[pl.Expr]:
    """Return what the JSON of a row is put together from, control characters but the line break left as they are.

    Names, quotes and commas between two columns are one literal, because each part is a copy of all rows.
    """
    parts: list[pl.Expr] = []
    between = "{"
    for name in sorted(CONTENT_SCHEMA.names):
        column, field = pl.col(name), CONTENT_SCHEMA.field(name)
        between += encode_basestring(name) + ":"
        if pa.types.is_integer(field.type):
            before, value, after = "", column.cast(pl.String), ""
        elif not pa.types.is_string(field.type):
            before, value, after = "[", column.list.eval(_quoted(pl.element())).list.join(","), "]"
        elif field.nullable:
            before, value, after = "", _quoted(column), ""
        else:
            before, value, after = '"', _escaped(column), '"'
        parts += [pl.lit(between + before), value]
        between = after + ","
    return [*parts, pl.lit(between[:-1] + "}")]


def _escaped(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(list(_COMMON), list(_COMMON.values()))


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.format('"{}"', _escaped(text)).fill_null("null")


def _content(texts: pa.LargeStringArray) -> memoryview:
    """Return all texts as one stretch of bytes."""
    buffer = texts.buffers()[2]
    return memoryview(b"" if buffer is None else buffer)


def _hashes_json(row_hashes: pl.Series) -> bytes:
    """Return the canonical JSON of sorted hashes, which need no escaping."""
    return f'["{row_hashes.sort().str.join(chr(34) + "," + chr(34)).item()}"]'.encode() if len(row_hashes) else b"[]"
