"""What a pool reads from the store: the docs as an index, the queries, and which docs each query has already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from curation.bm25 import Bm25Index, IndexBuilder, Places
from curation.doc_terms import count_terms
from curation.processes import Processes
from storage.grades import Scale
from storage.progress import Stage, Watch
from storage.store import Store

DOCS_AT_A_TIME = 50_000
PIECE_BYTES = 2 << 20  # of text that one process works on
IDS_AT_A_TIME = 20_000


@dataclass(frozen=True, slots=True)
class IndexedDocs:
    """The docs of the store: an index of them, and the ids of its places."""

    index: Bm25Index
    doc_ids: list[str]


def read_docs(store: Store, n_docs: int, processes: Processes, watch: Watch) -> IndexedDocs:
    """Index the first n docs of the store."""
    ids: list[str] = []

    def pieces() -> Iterator[pl.DataFrame]:
        for first in range(0, n_docs, DOCS_AT_A_TIME):
            page = store.frame("pool_docs", first=first, last=min(first + DOCS_AT_A_TIME, n_docs))
            ids.extend(page["doc_id"].to_list())  # a column would keep its page's texts in memory
            yield from cut(page.drop("doc_id"))

    builder = IndexBuilder()
    n_read = 0
    for counted in processes.map(count_terms, pieces()):
        builder.add(counted)
        n_read += len(counted.lengths)
        watch(Stage.READING, n_read, n_docs)
    if n_read != n_docs:
        raise RuntimeError(f"the store has {n_docs} docs and gave {n_read}")
    watch(Stage.BUILDING, 0, n_docs)
    index = builder.build()
    watch(Stage.BUILDING, n_docs, n_docs)
    return IndexedDocs(index, ids)


def cut(docs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield docs (title, body, fields) in pieces of about PIECE_BYTES, in their order; one longer doc is one piece."""
    n_bytes = docs.select(
        pl.sum_horizontal(pl.col("title", "body", "fields").str.len_bytes().cast(pl.Int64)).cum_sum()
    ).to_series()
    numbers = (n_bytes.to_numpy() - 1).clip(0) // PIECE_BYTES
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for first, last in pairwise([*starts.tolist(), len(docs)]):
        yield docs[first:last]


def read_texts(store: Store, doc_ids: list[str]) -> pl.DataFrame:
    """Return doc_id, title, body and fields of docs."""
    return pl.concat(
        [
            store.frame("doc_texts", ids=doc_ids[first : first + IDS_AT_A_TIME])
            for first in range(0, max(1, len(doc_ids)), IDS_AT_A_TIME)
        ]
    )


@dataclass(frozen=True, slots=True)
class QueryStanding:
    """What a query has: its docs by place, how many pairs of each pool choice, and grades a model expects of docs."""

    places: Places
    by_source: Counter[str]
    expected: dict[int, float]


class Standing:
    """Which docs each query has already."""

    def __init__(self, pairs: pl.DataFrame, scale: Scale) -> None:
        """Take the rows of the read `pool_pairs`."""
        self._queries = pairs["query_place"].to_numpy()
        self._docs = pairs["doc_place"].to_numpy().astype(np.int64)
        self._rows = pairs
        self._grades = np.array(scale.values, np.float64)

    def of(self, query_place: int) -> QueryStanding:
        """Return what the query at a place has."""
        first, last = np.searchsorted(self._queries, [query_place, query_place + 1]).tolist()
        rows = self._rows[first:last]
        places = self._docs[first:last]
        predicted = zip(places.tolist(), rows["probabilities"].to_list(), strict=True)
        return QueryStanding(
            places,
            Counter(rows["source"].drop_nulls().to_list()),
            {place: float(self._grades @ chances) for place, chances in predicted if chances is not None},
        )
