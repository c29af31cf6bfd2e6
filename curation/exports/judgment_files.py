"""Judgments as search engineers keep them: TREC qrels with their topics and docs, and Quepid's CSV.

A qrels line is `query 0 doc grade`; its ids are in `queries.jsonl` and `corpus.jsonl` beside it (`_id` and texts, as
BEIR has them), so that the judgments mean something away from the store.
"""

from __future__ import annotations

import polars as pl

from curation.exports.given import Given

QRELS_COLUMNS = ("query_name", "iteration", "doc_name", "grade")
QUEPID_COLUMNS = ("query", "docid", "rating")


def qrels_lines(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the four columns of qrels."""
    return _named(rows, given).with_columns(pl.lit(0).alias("iteration")).select(QRELS_COLUMNS)


def quepid_lines(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the three columns of Quepid's ratings."""
    return _named(rows, given).select("query", pl.col("doc_name").alias("docid"), pl.col("grade").alias("rating"))


def topic_lines(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the queries of rows, each once: `_id`, `text`."""
    topics = rows.select("query_id", "query").unique("query_id", maintain_order=True)
    named = topics.join(given.names.queries, on="query_id", maintain_order="left")
    return named.select(pl.col("query_name").alias("_id"), pl.col("query").alias("text"))


def doc_lines(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the docs of rows, each once: `_id`, `title`, `text`, and `fields`, a JSON object."""
    docs = rows.select("doc_id", "title", "body", "fields").unique("doc_id", maintain_order=True)
    named = docs.join(given.names.docs, on="doc_id", maintain_order="left")
    return named.select(pl.col("doc_name").alias("_id"), "title", pl.col("body").alias("text"), "fields")


def _named(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return rows with the names of query and doc; no row is lost, for every one that leaves has names."""
    named = rows.join(given.names.queries, on="query_id", maintain_order="left")
    return named.join(given.names.docs, on="doc_id", maintain_order="left")
