"""`afrel ingest`: queries, docs, pairs or judgments out of files into the store, a part at a time."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from curation.ingest import Ingested, Known, ingest_rows, parse_grade_map, parse_map
from curation.ingest_files import Reject
from curation.ingest_formats import Part, read_parts
from storage.clock import now
from storage.grades import Scale
from storage.ids import content_id, digest
from storage.runs import Run, finished_run, start_run
from storage.session import Session, read_scale
from storage.store import Store

PAIRS_AT_A_TIME = 200_000  # whose texts are in memory at once


def ingest(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL, CSV, TSV, Parquet or TREC qrels, told by its extension.")],
    columns: Annotated[
        str | None, typer.Option("--map", help="ROLE=COLUMN,…; roles: query, query_id, doc, title, grade, field.NAME …")
    ] = None,
    grades: Annotated[str, typer.Option(help="Source grades not on the scale: VALUE=GRADE,…, e.g. 4=3,3=2")] = "",
    source: Annotated[str | None, typer.Option(help="What to call this source; the file's name unless given.")] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="quepid (CSV), qrels, beir (a folder) or hf (a dataset on disk); else a file."),
    ] = None,
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
    with session.store(sees_test=True) as store:  # the source brings test grades, and contradictions must be found
        scale = read_scale(store)
        asked = Asked(source, grades, parse_grade_map(grades, scale), scale, session.account)
        unwritten: list[Ingested] = []  # what a dry run read of earlier parts: later ones name it
        for part in read_parts(file, format_name, columns=columns):
            read = ingest_part(store, part, asked, unwritten=unwritten, dry_run=dry_run)
            if read is None:
                _tell_idle(store, part, asked, as_json=as_json)
            else:
                _report(read, part.path, dry_run=dry_run, as_json=as_json)
                unwritten += [read] if dry_run else []


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, whichever part is read."""

    source: str
    grades: str
    grade_map: Mapping[str, int]
    scale: Scale
    account: str | None

    def digest_of(self, part: Part) -> str:
        """Return what names this reading of a part: ingested once under it, there is nothing to do."""
        return digest([part.digest, self.source, part.columns, self.grades])


def ingest_part(
    store: Store, part: Part, asked: Asked, *, unwritten: Sequence[Ingested], dry_run: bool
) -> Ingested | None:
    """Read and append one part; None when it was ingested before and nothing of it can be taken now."""
    input_digest = asked.digest_of(part)
    done = finished_run(store, "ingest", input_digest)
    if done and not _had_unknown_ids(store, done):
        return None
    read = ingest_rows(
        part.rows.frame,
        parse_map(part.columns, part.rows.frame.columns),
        scale=asked.scale,
        grade_map=asked.grade_map,
        source=asked.source,
        known=_known(store, asked.source, unwritten),
    )
    read.rejects += part.rows.rejects
    read.n_rows += len(part.rows.rejects)
    if dry_run:
        return read
    config = {"file": str(part.path), "map": part.columns, "grades": asked.grades, "source": asked.source}
    with start_run(store, verb="ingest", config=config, input_digest=input_digest, account=asked.account) as run:
        new = _append(store, read, asked.source, run, input_digest)
        run.counts.update(new, rejects=dict(Counter(r.reason for r in read.rejects)))
        n_features = add_features(store, run)
        run.counts["pair_features"] = n_features
    return read


def _tell_idle(store: Store, part: Part, asked: Asked, *, as_json: bool) -> None:
    done = finished_run(store, "ingest", asked.digest_of(part))
    if as_json:
        print(json.dumps({"nothing_to_do": True, "ingested_by": done}))
    else:
        print(f"nothing to do: {part.path} was ingested as {asked.source!r} by {done}")


def _had_unknown_ids(store: Store, run_id: str) -> bool:
    """Say whether a run set rows aside that may be taken now, because their queries or docs came later."""
    (row,) = store.read("run", run_id=run_id).to_pylist()
    rejects = json.loads(row["counts"] or "{}").get("rejects", {})
    return bool({"unknown_query_id", "unknown_doc_id"} & set(rejects))


def _known(store: Store, source: str, unwritten: Sequence[Ingested]) -> Known:
    """Return what the store knows, and what a dry run read; an id of this source goes before the same id of another."""
    ids: dict[tuple[str, bool], dict[str, str]] = {
        (kind, own): {} for kind in ("query", "doc") for own in (True, False)
    }
    for row in store.read("external_ids", source=source).to_pylist():
        ids[row["kind"], row["is_own"]][row["external_id"]] = row["content_id"]
    splits = {row["query_id"]: row["split"] for row in store.read("query_splits").to_pylist()}
    for read in unwritten:
        splits |= {query_id: query["split"] for query_id, query in read.queries.items()}
        for named in read.external_ids.values():
            ids[named["kind"], True][named["external_id"]] = named["content_id"]
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
