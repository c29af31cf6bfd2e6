"""By which ids queries and docs leave: the source's own where each stands for one text alone, else afrel's.

A name with a blank in it would break a line of qrels, two sources may both count from 1, and an id may hold an e-mail
address; each of these gives way to afrel's id, which is the hash of the text and always sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curation.exports.masking import mask_columns


@dataclass(frozen=True, slots=True)
class Names:
    """Frames `query_id, query_name` and `doc_id, doc_name` of all that leaves; how many are the source's own."""

    queries: pl.DataFrame
    docs: pl.DataFrame
    n_own_queries: int = 0
    n_own_docs: int = 0


def own_names(rows: pl.DataFrame) -> Names:
    """Return afrel's ids as names; `rows` has query_id and doc_id."""
    no_ids = pl.DataFrame(schema=dict.fromkeys(("source", "kind", "external_id", "content_id"), pl.String))
    return external_names(rows, no_ids, keeps_personal=True)


def external_names(rows: pl.DataFrame, ids: pl.DataFrame, *, keeps_personal: bool) -> Names:
    """Return the names for rows (query_id, doc_id, source), given ids (source, kind, external_id, content_id)."""
    queries, n_queries = _named(rows, ids, kind="query", keeps_personal=keeps_personal)
    docs, n_docs = _named(rows, ids, kind="doc", keeps_personal=keeps_personal)
    return Names(queries, docs, n_queries, n_docs)


def _named(rows: pl.DataFrame, ids: pl.DataFrame, *, kind: str, keeps_personal: bool) -> tuple[pl.DataFrame, int]:
    own_id, name = f"{kind}_id", f"{kind}_name"
    held = rows.select(pl.col(own_id), "source").unique()
    usable = ids.filter((pl.col("kind") == kind) & pl.col("external_id").str.contains(r"^[^\s\p{C}]+$"))
    if not keeps_personal and len(usable):
        usable = usable.filter(mask_columns(usable, ["external_id"])[0]["external_id"] == usable["external_id"])
    # a name of the source the pair came from goes before another source's
    found = (
        held.join(usable, left_on=own_id, right_on="content_id", how="inner", suffix="_named")
        .with_columns((pl.col("source") != pl.col("source_named")).alias("is_foreign"))
        .sort("is_foreign", "external_id")
        .group_by(own_id, maintain_order=True)
        .agg(pl.col("external_id").first())
    )
    named = (
        held.select(own_id)
        .unique()
        .join(found, on=own_id, how="left")
        .with_columns(pl.coalesce("external_id", own_id).alias(name))
        .with_columns(pl.when(pl.col(name).is_duplicated()).then(pl.col(own_id)).otherwise(pl.col(name)).alias(name))
    )
    return named.select(own_id, name), int((named[name] != named[own_id]).sum())
