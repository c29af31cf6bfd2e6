"""`afrel ingest`: one file of queries, docs, pairs or judgments into the store."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from curation.ingest import Ingested, Known, ingest_rows, parse_grade_map, parse_map
from curation.ingest_files import QRELS_COLUMNS, Reject, read_file
from storage.clock import now
from storage.errors import UserError
from storage.ids import content_id, digest
from storage.runs import Run, finished_run, start_run
from storage.session import Session, read_scale
from storage.store import Store

PAIRS_AT_A_TIME = 200_000  # whose texts are in memory at once
QRELS_MAP = "query_id=query_id,doc_id=doc_id,grade=grade"


def ingest(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL, CSV, TSV, Parquet or TREC qrels, told by its extension.")],
    columns: Annotated[
        str | None, typer.Option("--map", help="ROLE=COLUMN,…; roles: query, query_id, doc, title, grade, field.NAME …")
    ] = None,
    grades: Annotated[str, typer.Option(help="Source grades not on the scale: VALUE=GRADE,…, e.g. 4=3,3=2")] = "",
    source: Annotated[str | None, typer.Option(help="What to call this source; the file's name unless given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and count; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Read a source. What cannot be taken is set aside with line and reason, never dropped.

    Example: afrel -w shop ingest pairs.csv --map query=query,title=title,grade=label,field.brand=brand
    """
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    source = source or file.stem
    rows = read_file(file)
    if columns is None:
        if not set(QRELS_COLUMNS) <= set(rows.frame.columns):
            raise UserError(f"{file} needs --map. Its columns: {', '.join(rows.frame.columns[1:])}")
        columns = QRELS_MAP
    mapping = parse_map(columns, rows.frame.columns)
    input_digest = digest([hashlib.sha256(file.read_bytes()).hexdigest(), source, columns, grades])
    with session.store(sees_test=True) as store:  # the source brings test grades, and contradictions must be found
        scale = read_scale(store)
        done = finished_run(store, "ingest", input_digest)
        if done and not _had_unknown_ids(store, done):
            if as_json:
                print(json.dumps({"nothing_to_do": True, "ingested_by": done}))
            else:
                print(f"nothing to do: {file} was ingested as {source!r} by {done}")
            return
        grade_map = parse_grade_map(grades, scale)
        read = ingest_rows(
            rows.frame, mapping, scale=scale, grade_map=grade_map, source=source, known=_known(store, source)
        )
        read.rejects += rows.rejects
        read.n_rows += len(rows.rejects)
        if not dry_run:
            config = {"file": str(file), "map": columns, "grades": grades, "source": source}
            with start_run(
                store, verb="ingest", config=config, input_digest=input_digest, account=session.account
            ) as run:
                new = _append(store, read, source, run, input_digest)
                run.counts.update(new, rejects=dict(Counter(r.reason for r in read.rejects)))
                n_features = add_features(store, run)
                run.counts["pair_features"] = n_features
    _report(read, file, dry_run=dry_run, as_json=as_json)


def _had_unknown_ids(store: Store, run_id: str) -> bool:
    """Say whether a run set rows aside that may be taken now, because their queries or docs came later."""
    (row,) = store.read("run", run_id=run_id).to_pylist()
    rejects = json.loads(row["counts"] or "{}").get("rejects", {})
    return bool({"unknown_query_id", "unknown_doc_id"} & set(rejects))


def _known(store: Store, source: str) -> Known:
    """Return what the store knows; an id of this source goes before the same id of another."""
    ids: dict[tuple[str, bool], dict[str, str]] = {
        (kind, own): {} for kind in ("query", "doc") for own in (True, False)
    }
    for row in store.read("external_ids", source=source).to_pylist():
        ids[row["kind"], row["is_own"]][row["external_id"]] = row["content_id"]
    splits = {row["query_id"]: row["split"] for row in store.read("query_splits").to_pylist()}
    # the grade goes into the comparison only; it is never shown to the caller of ingest for a test pair
    grades = {row["pair_id"]: row["grade"] for row in store.read("import_grades").to_pylist()}
    return Known(
        query_ids=ids["query", True],
        doc_ids=ids["doc", True],
        other_query_ids=ids["query", False],
        other_doc_ids=ids["doc", False],
        splits=splits,
        grades=grades,
    )


def _append(store: Store, read: Ingested, source: str, run: Run, input_digest: str) -> dict[str, int]:
    at = now()
    stamp: dict[str, Any] = {"run_id": run.run_id, "created_at": at}
    sourced = {"source": source, **stamp}
    return store.append(
        {
            "queries": [{**row, "root_query_id": row["query_id"], **sourced} for row in read.queries.values()],
            "docs": [{**row, **sourced} for row in read.docs.values()],
            "external_ids": [{**row, **sourced} for row in read.external_ids.values()],
            "pairs": [{**row, "origin": "import", **sourced} for row in read.pairs.values()],
            "judgments": [
                {
                    **row,
                    "origin": f"import:{source}",
                    "account": None,
                    "response_ids": [],
                    "is_replayed": False,
                    **stamp,
                }
                for row in read.judgments.values()
            ],
            "ingest_rejects": reject_rows(read.rejects, source, run.run_id, at, input_digest=input_digest),
        }
    )


def reject_rows(
    rejects: Sequence[Reject], source: str, run_id: str, at: datetime, *, input_digest: str
) -> list[dict[str, Any]]:
    """Return the stored form of rejects; the same file read again, as after a kill, gives the same ids."""
    return [
        {
            "ingest_reject_id": content_id("ir", input_digest, reject.line, reject.reason, reject.value),
            "source": source,
            "line": reject.line,
            "reason": reject.reason,
            "value": reject.value,
            "record": reject.record,
            "run_id": run_id,
            "created_at": at,
        }
        for reject in rejects
    ]


def add_features(store: Store, run: Run) -> int:
    """Compute the features of every pair that has none; return how many."""
    import polars as pl

    from curation.attributes import FieldVocabulary
    from curation.features import pair_features

    vocabulary: FieldVocabulary | None = None
    n_added = 0
    while len(pairs := store.frame("pairs_without_features", n=PAIRS_AT_A_TIME)):
        if vocabulary is None:
            fields = (json.loads(text) for text in store.read("doc_fields").column("fields").to_pylist())
            vocabulary = FieldVocabulary.from_docs(fields)
        features = pair_features(pairs, vocabulary).with_columns(
            pl.lit(run.run_id).alias("run_id"), pl.lit(now()).alias("created_at")
        )
        n_added += store.append({"pair_features": features}).get("pair_features", 0)
    return n_added


def _report(read: Ingested, file: Path, *, dry_run: bool, as_json: bool) -> None:
    reasons = Counter(reject.reason for reject in read.rejects)
    counts = {
        "rows": read.n_rows,
        "queries": len(read.queries),
        "docs": len(read.docs),
        "pairs": len(read.pairs),
        "judgments": len(read.judgments),
        "without_grade": read.n_ungraded,
        "repeated": read.n_repeated,
        "rejected": dict(sorted(reasons.items())),
    }
    if as_json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    found = ", ".join(
        f"{counts[what]} {what.replace('_', ' ')}" for what in ("queries", "docs", "pairs", "judgments", "repeated")
    )
    print(f"{file}: {read.n_rows} rows: {found}{' (dry run: nothing written)' if dry_run else ''}")
    for reason, n in sorted(reasons.items()):
        first = next(reject for reject in read.rejects if reject.reason == reason)
        shown = f", value {first.value!r}" if first.value else ""
        print(f"set aside: {n} {reason} (first: line {first.line}{shown})", file=sys.stderr)
    if reasons and not dry_run:
        print('see them: afrel sql "select line, reason from ingest_rejects"', file=sys.stderr)
