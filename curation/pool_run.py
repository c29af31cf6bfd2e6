"""The pool run: rank all docs for each query, choose pairs, compute their features, append both together.

A query never has more pooled pairs than its share, however often the run is made, and those of one query are appended
in one transaction: what a killed run left undone, the next one does. A pair has its query's split.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from curation.attributes import FieldVocabulary
from curation.doc_terms import query_terms
from curation.features import FEATURE_SCHEMA, pair_features
from curation.ingest import pair_id_of
from curation.pool import (
    ORIGIN,
    Choice,
    Held,
    Quota,
    allot,
    choose_hard,
    choose_ranked,
    choose_rest,
    hard_candidates,
    news,
    quota,
)
from curation.pool_config import PoolConfig
from curation.pool_reading import IndexedDocs, QueryStanding, Standing, cut, read_docs, read_texts
from curation.processes import Processes, n_cores
from curation.query_frequency import UNLISTED, weight_of
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.progress import Stage, Watch
from storage.runs import Run, finished_run, start_run
from storage.store import Store

QUERIES_AT_A_TIME = 500
LOW_SHARE = 1 / 3  # of the scale: what is expected below it counts as low
_HARD_FEATURES = ("n_attribute_conflicts", "n_number_conflicts", "n_negated_present", "missing_terms")


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What is asked of a pool. `limit` bounds all pooled pairs of the store; frequencies are by query id."""

    config: PoolConfig
    per_query: int
    limit: int | None = None
    frequencies: Mapping[str, float] | None = None


@dataclass(slots=True)
class PoolReport:
    """What a pool run did. Queries are those of the sources; `n_supplied` had all that is theirs before."""

    n_docs: int
    n_queries: int
    n_supplied: int = 0
    n_beyond_limit: int = 0
    n_without_match: int = 0
    n_near_duplicates: int = 0
    n_unlisted: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    finished_before: str | None = None

    @property
    def n_pairs(self) -> int:
        return self.sources.total()

    def counts(self) -> dict[str, Any]:
        """Return the counts as they are stored with the run and printed."""
        return {
            "docs": self.n_docs,
            "queries": self.n_queries,
            "pairs": self.n_pairs,
            "by_source": dict(sorted(self.sources.items())),
            "queries_supplied_before": self.n_supplied,
            "queries_beyond_the_limit": self.n_beyond_limit,
            "queries_without_match": self.n_without_match,
            "near_duplicates_left_out": self.n_near_duplicates,
            "queries_not_in_the_frequency_file": self.n_unlisted,
        }


@dataclass(slots=True)
class _Query:
    """A query at work: what it still gets, what it has, and what is chosen for it.

    Hard negatives are chosen among the docs `looked_at`; `spare` ones stand in where those are too few.
    """

    query_id: str
    text: str
    split: str
    wanted: Quota
    standing: QueryStanding
    held: Held
    chosen: list[Choice] = field(default_factory=list)
    looked_at: list[int] = field(default_factory=list)
    spare: list[int] = field(default_factory=list)


def pool_pairs(
    store: Store, plan: PoolPlan, *, scale: Scale, account: str | None, is_dry: bool, watch: Watch
) -> PoolReport:
    """Choose and append the pairs that a plan still lacks; nothing is done twice on the same store and plan."""
    (state,) = store.read("pool_state").to_pylist()
    if not state["n_docs"] or not state["n_queries"]:
        lacking = "docs" if not state["n_docs"] else "queries"
        raise UserError(
            f"the store has no {lacking} to make pairs of. Bring them: afrel ingest FILE --map query=…,title=…"
        )
    config = {**plan.config.to_dict(), "per_query": plan.per_query, "limit": plan.limit}
    input_digest = digest([config, state, plan.frequencies])
    queries = store.frame("pool_queries")
    report = PoolReport(state["n_docs"], len(queries))
    report.finished_before = finished_run(store, "pool", input_digest)
    if report.finished_before is not None:
        return report
    standing = Standing(store.frame("pool_pairs"), scale)
    open_queries = _open_queries(queries, plan, standing, report)
    if not open_queries:
        return report
    run_kept = (
        nullcontext(Run("none"))
        if is_dry
        else start_run(store, verb="pool", config=config, input_digest=input_digest, account=account)
    )
    with Processes() as processes, ThreadPoolExecutor(n_cores()) as threads, run_kept as run:
        docs = read_docs(store, state["n_docs"], processes, watch)
        depth = max(plan.config.depth, plan.per_query)
        work = _Work(store, docs, plan.config, depth, scale, processes, threads, _vocabulary(store), report)
        marks = np.zeros(docs.index.n_terms, np.uint8)
        for first in range(0, len(open_queries), QUERIES_AT_A_TIME):
            batch = [
                _Query(
                    row["query_id"],
                    row["text"],
                    row["split"],
                    wanted,
                    found,
                    Held(docs.index, found.places, threshold=plan.config.near_duplicate, marks=marks),
                )
                for row, wanted, found in open_queries[first : first + QUERIES_AT_A_TIME]
            ]
            pairs, features = work.pool(batch)
            if not is_dry:
                stamp = {"run_id": pl.lit(run.run_id), "created_at": pl.lit(now())}
                store.append({"pairs": pairs.with_columns(**stamp), "pair_features": features.with_columns(**stamp)})
                run.counts.update(report.counts())
            watch(Stage.WRITING, first + len(batch), len(open_queries))
    return report


def _open_queries(
    queries: pl.DataFrame, plan: PoolPlan, standing: Standing, report: PoolReport
) -> list[tuple[dict[str, Any], Quota, QueryStanding]]:
    """Return the queries that still get pairs, with how many and what they have."""
    rows = queries.to_dicts()
    weights = np.ones(len(rows))
    if plan.frequencies is not None:
        weights = np.array([weight_of(plan.frequencies.get(row["query_id"], UNLISTED)) for row in rows])
        report.n_unlisted = sum(row["query_id"] not in plan.frequencies for row in rows)
    held = [standing.of(row["place"]) for row in rows]
    n_held = np.array([one.by_source.total() for one in held], np.int64)
    shares = allot(weights, most=plan.per_query, limit=plan.limit)
    lacking = (shares - n_held).clip(0)
    if plan.limit is not None:  # queries that came since may not push the whole over it
        lacking = allot(lacking, most=plan.per_query, limit=max(0, min(plan.limit - int(n_held.sum()), lacking.sum())))
    report.n_beyond_limit = int(((lacking == 0) & ((shares == 0) | (n_held < shares))).sum())
    found = [
        (row, quota(has.by_source.total() + n, plan.config, has.by_source), has)
        for row, has, n in zip(rows, held, lacking.tolist(), strict=True)
        if n
    ]
    report.n_supplied = len(rows) - len(found) - report.n_beyond_limit
    return found


def _vocabulary(store: Store) -> FieldVocabulary:
    return FieldVocabulary.from_docs(json.loads(text) for text in store.read("doc_fields").column("fields").to_pylist())


@dataclass(frozen=True, slots=True)
class _Work:
    """What every batch of queries is worked on with."""

    store: Store
    docs: IndexedDocs
    config: PoolConfig
    depth: int
    scale: Scale
    processes: Processes
    threads: ThreadPoolExecutor
    vocabulary: FieldVocabulary
    report: PoolReport

    def pool(self, batch: Sequence[_Query]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Choose docs for some queries; return their pairs and the features of those."""
        rankings = self.threads.map(lambda query: self.docs.index.rank(query_terms(query.text), self.depth), batch)
        for query, ranking in zip(batch, rankings, strict=True):
            ranked = ranking.places.tolist()
            self.report.n_without_match += not ranked
            query.chosen = choose_ranked(
                ranked, query.held, query_id=query.query_id, wanted=query.wanted, strata=self.config.ranges()
            )
            n_open = query.wanted.total - len(query.chosen)
            query.looked_at = hard_candidates(ranked, query.held, n=n_open, depth=self.config.hard_depth)
            n_short = max(0, n_open - len(query.looked_at))
            query.spare = news(ranked[self.config.hard_depth :], query.held)[:n_short]
        features = self._features(batch)
        self._choose_looked_at(batch, features)
        pairs = _pair_rows(batch, self.docs.doc_ids)
        for query in batch:
            self.report.n_near_duplicates += len(query.held.near)
        self.report.sources.update(pairs["source"].to_list())
        return pairs, pairs.select("pair_id").join(features, on="pair_id", how="left", maintain_order="left")

    def _choose_looked_at(self, batch: Sequence[_Query], features: pl.DataFrame) -> None:
        by_pair = {row["pair_id"]: row for row in features.select("pair_id", *_HARD_FEATURES).iter_rows(named=True)}
        low = self.scale.lowest + LOW_SHARE * (self.scale.highest - self.scale.lowest)
        for query in batch:
            looked_at = [
                (place, by_pair[pair_id_of(query.query_id, self.docs.doc_ids[place])]) for place in query.looked_at
            ]
            query.chosen += choose_hard(
                looked_at, query.held, n=query.wanted.hard, expected=query.standing.expected, low=low
            )
            n_open = query.wanted.total - len(query.chosen)
            query.chosen += choose_rest([*query.looked_at, *query.spare], query.held, n=n_open)

    def _features(self, batch: Sequence[_Query]) -> pl.DataFrame:
        """Return the features of every pair that is chosen or looked at."""
        pairs = pl.DataFrame(
            [
                (pair_id_of(query.query_id, doc_id), doc_id, query.text)
                for query in batch
                for place in (*(choice.place for choice in query.chosen), *query.looked_at, *query.spare)
                for doc_id in (self.docs.doc_ids[place],)
            ],
            schema={"pair_id": pl.String, "doc_id": pl.String, "query": pl.String},
            orient="row",
        )
        if pairs.is_empty():
            return pl.DataFrame(schema=FEATURE_SCHEMA)
        texts = read_texts(self.store, pairs["doc_id"].unique().sort().to_list())
        return pl.concat(self.processes.map(_features_of, self._pieces(pairs, texts)))

    def _pieces(
        self, pairs: pl.DataFrame, texts: pl.DataFrame
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, FieldVocabulary]]:
        """Yield the pairs of some docs with those docs, so that a doc is read once however many queries it is for."""
        for piece in cut(texts):
            yield pairs.join(piece, on="doc_id", how="semi"), piece, self.vocabulary


def _features_of(piece: tuple[pl.DataFrame, pl.DataFrame, FieldVocabulary]) -> pl.DataFrame:
    pairs, texts, vocabulary = piece
    return pair_features(pairs.join(texts, on="doc_id", how="inner"), vocabulary)


def _pair_rows(batch: Sequence[_Query], doc_ids: Sequence[str]) -> pl.DataFrame:
    names = ("pair_id", "query_id", "doc_id", "split", "origin", "source")
    return pl.DataFrame(
        [
            (pair_id_of(query.query_id, doc_id), query.query_id, doc_id, query.split, ORIGIN, choice.source)
            for query in batch
            for choice in query.chosen
            for doc_id in (doc_ids[choice.place],)
        ],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )
