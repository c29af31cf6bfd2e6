"""`afrel pool`: where pairs come from that no source brought."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storage.config_schema import Schema, schema_option
from storage.errors import UserError
from storage.progress import Stage
from storage.progress_bar import watched
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from curation.pool_run import PoolReport

WORDS = {Stage.READING: "docs read", Stage.BUILDING: "building the index", Stage.WRITING: "queries pooled"}


def _pool_schema() -> Schema:
    from curation.table_schemas import pool_schema

    return pool_schema()


def pool(
    ctx: typer.Context,
    per_query: Annotated[
        int | None, typer.Option(metavar="N", help="Pooled pairs a query has at most; [pool] says how they are parted.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Pooled pairs there are at most in all, those of before included.")
    ] = None,
    frequency: Annotated[
        Path | None, typer.Option(help="CSV of query,frequency: common queries get more of the limit.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Choose and count; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    _schema: Annotated[bool, schema_option("[pool] in afrel.toml", _pool_schema)] = False,
) -> None:
    """Pair every query with docs of the store: the best by BM25, a draw from below, hard negatives.

    Example: afrel -w shop pool --per-query 20
    """
    from curation.pool_config import checked_pool
    from curation.pool_run import PoolPlan, pool_pairs
    from curation.query_frequency import read_frequencies
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    for name, n in (("--per-query", per_query), ("--limit", limit)):
        if n is not None and n < 1:
            raise UserError(f"{name} {n} is below 1. Give a number from 1 on, or leave it out")
    config = checked_pool(session.workspace.config.get("pool", {}))
    plan = PoolPlan(
        config,
        config.per_query if per_query is None else per_query,
        limit,
        None if frequency is None else read_frequencies(frequency),
    )
    with session.store() as store, watched(WORDS) as watch:
        report = pool_pairs(store, plan, scale=read_scale(store), account=session.account, is_dry=dry_run, watch=watch)
    _print(report, is_dry=dry_run, as_json=as_json)


def _print(report: PoolReport, *, is_dry: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**report.counts(), "finished_before": report.finished_before}, ensure_ascii=False))
        return
    if report.finished_before is not None:
        print(f"nothing to do: {report.finished_before} pooled the same queries and docs. For more: raise --per-query")
        return
    if report.n_supplied + report.n_beyond_limit == report.n_queries:
        print(
            f"nothing to do: {report.n_supplied} queries have their pooled pairs. For more: raise --per-query, --limit"
        )
        return
    dry = " (dry run: nothing written)" if is_dry else ""
    print(f"{report.n_pairs} pairs of {report.n_queries} queries and {report.n_docs} docs{dry}")
    for source, n in sorted(report.sources.items()):
        print(f"  {n:>8} {source}")
    left = {
        "queries that match no doc": report.n_without_match,
        "queries that had theirs before": report.n_supplied,
        "queries beyond the limit": report.n_beyond_limit,
        "queries not in the frequency file, taken as asked once": report.n_unlisted,
        "near-duplicate docs left out": report.n_near_duplicates,
    }
    for what, n in left.items():
        if n:
            print(f"{n} {what}", file=sys.stderr)
    if not is_dry:
        print("next: afrel label", file=sys.stderr)
