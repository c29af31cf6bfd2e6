"""What cross-encoders take: pairs with a label, or one list of docs a query.

Column names and order are those the losses of sentence-transformers read: texts first, the label last. A doc is its
title, a line for each field, and its body.
"""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa

from curation.exports.given import Given
from storage.grades import Scale

DOC_COLUMNS = ("query", "title", "body", "fields")
PAIR = pa.schema([("query", pa.string()), ("document", pa.string()), ("label", pa.float32())])
CLASSED_PAIR = pa.schema([("query", pa.string()), ("document", pa.string()), ("label", pa.int32())])
LIST = pa.schema([("query", pa.string()), ("docs", pa.list_(pa.string())), ("labels", pa.list_(pa.int32()))])


def scored_pairs(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return pairs whose label is the grade's place on the scale, from 0 (lowest) to 1 (highest)."""
    steps = len(given.scale.values) - 1
    return _pairs(rows, (_place(given.scale) / steps).cast(pl.Float32))


def classed_pairs(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return pairs whose label is the grade's place on the scale, counted from 0, as a class."""
    return _pairs(rows, _place(given.scale))


def lists(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return one row a query: its docs and the place of each one's grade. `rows` must hold all docs of a query."""
    # the rows of a file come in the order of their hashes: a query's list is the same on any machine
    return (
        rows.select("query_id", "query", document_texts(rows), _place(given.scale).alias("label"))
        .group_by("query_id", maintain_order=True)
        .agg(pl.col("query").first(), pl.col("document").alias("docs"), pl.col("label").alias("labels"))
        .drop("query_id")
    )


def document_texts(rows: pl.DataFrame) -> pl.Series:
    """Return each doc as one text: title, `name: value` of each field, body; empty parts are left out."""
    lines = {
        text: "\n".join(f"{name}: {value}" for name, value in sorted(json.loads(text or "{}").items()))
        for text in rows["fields"].unique().to_list()
    }
    parts = rows.select(
        "title", pl.Series("fields", [lines[text] for text in rows["fields"].to_list()], dtype=pl.String), "body"
    )
    filled = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in parts.columns]
    return parts.select(pl.concat_str(filled, separator="\n", ignore_nulls=True).alias("document")).to_series()


def _pairs(rows: pl.DataFrame, label: pl.Expr) -> pl.DataFrame:
    return rows.select("query", document_texts(rows), label.alias("label"))


def _place(scale: Scale) -> pl.Expr:
    places = list(range(len(scale.values)))
    return pl.col("grade").replace_strict(list(scale.values), places, return_dtype=pl.Int32)
