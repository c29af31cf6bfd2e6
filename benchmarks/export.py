"""`afrel export` at scale: rows a second of each format, from a snapshot of made rows, and of taking two forms in.

    python benchmarks/export.py [--rows 200000] [--repeats 3] [--dir DIR] [--json FILE]

Rows have a title of about 8 words, a body of about 60, two fields, two steps; one doc in fifty holds an e-mail address,
and masking is on. A format's time is from the verified snapshot to the renamed folder: rows read, written, compressed,
put on disk; verifying is left aside, because it is done once whatever is exported. Processor seconds are told beside,
for a machine that does other work. In the same run, for comparison: a loop that reads the same rows and writes them
with `json.dumps`, line by line, nothing built of them and nothing masked. Label Studio's 208 records a second are its
own published figure (its issue 5873), not measured here. Taking in is reading and checking every row, as `afrel ingest`
does before it appends.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import store_rows  # noqa: E402
from benchmarks.latency import Report, machine, machine_line  # noqa: E402
from curation.exports.formats import ALL, LINE_FORMATS, TABLE_FORMATS, TableFormat, find_formats  # noqa: E402
from curation.exports.given import Given, given_away  # noqa: E402
from curation.exports.source import Source, open_source  # noqa: E402
from curation.exports.writing import new_folder, put_in_place, write_lines, write_tables  # noqa: E402
from curation.ingest import Known, ingest_rows, parse_map  # noqa: E402
from curation.ingest_formats import read_parts  # noqa: E402
from storage.grades import parse_scale  # noqa: E402
from storage.people.accounts import Pin, Role  # noqa: E402
from storage.people.keys import SigningKey  # noqa: E402
from storage.progress import unwatched  # noqa: E402
from storage.snapshots.cutting import TierSpec, verify_snapshot, write_snapshot  # noqa: E402

SCALE = parse_scale("0-3")
PUBLISHED = 208  # records a second
DOCS_A_QUERY = 20
STEPS = '[["attributes", "{}"], ["verdict", "fully"]]'


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=200_000)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--dir", type=Path)
    asked.add_argument("--json", type=Path)
    arguments = asked.parse_args()
    report = Report("export")
    with tempfile.TemporaryDirectory(dir=arguments.dir) as name:
        folder = Path(name)
        found = machine(folder)
        report.put("machine", **found)
        report.say(machine_line(found))
        began = time.monotonic()
        source = _cut(folder, arguments.rows)
        report.say(
            f"{arguments.rows:,} rows, verified in {time.monotonic() - began:.1f} s with making and cutting them"
        )
        _measure(report, folder, source, n_repeats=arguments.repeats)
    if arguments.json:
        report.write(arguments.json)


def _measure(report: Report, folder: Path, source: Source, *, n_repeats: int) -> None:
    n_rows = source.manifest.n_rows
    works: dict[str, Callable[[Path], Any]] = {
        one.name: partial(_export, source=source, name=one.name) for one in (*TABLE_FORMATS, *LINE_FORMATS)
    }
    works["a json.dumps loop"] = lambda place: _dump(place, source)
    works["ingest: BEIR layout, checked"] = lambda _: _take_in(folder / "beir", "beir", None)
    works["ingest: Hugging Face, checked"] = lambda _: _take_in(
        folder / "hf", "hf", "query=query,doc=document,grade=label"
    )
    _export(folder / "hf", source, "cross-encoder-class")
    _lay_out_beir(folder / "beir", source)
    # BEIR's rows are those of all its files: docs, queries, judgments
    n_queries = len(source.rows(["query_id"])["query_id"].unique())
    n_read = {"ingest: BEIR layout, checked": 2 * n_rows + n_queries}
    for name, work in works.items():
        rates, processor = [], []
        for turn in range(n_repeats):
            place = folder / f"turn{turn}"
            began, began_processor = time.monotonic(), time.process_time()
            work(place)
            n_done = n_read.get(name, n_rows)
            rates.append(n_done / (time.monotonic() - began))
            processor.append(time.process_time() - began_processor)
            shutil.rmtree(place, ignore_errors=True)
        middle = statistics.median(rates)
        seconds = statistics.median(processor)
        report.put(
            name,
            rows_per_second=middle,
            lowest=min(rates),
            highest=max(rates),
            rows_per_processor_second=n_done / seconds,
            n=n_repeats,
        )
        report.say(
            f"{name:<30} {middle:>10,.0f} rows/s ({min(rates):,.0f} to {max(rates):,.0f}), "
            f"{n_done / seconds:,.0f} a processor second, {middle / PUBLISHED:,.0f} times Label Studio's {PUBLISHED}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.put("memory", peak_mib=peak)
    report.say(f"peak memory {peak:,.0f} MiB, the making of the rows included")


def _export(place: Path, source: Source, name: str) -> None:
    """Export as the verb does, with what the store would give where a format is made of people's acts."""
    (one,) = find_formats(name) if name != ALL else ()
    given = _given(source, one)
    with new_folder(place) as building:
        if isinstance(one, TableFormat):
            write_tables(building, source, [one], given, keeps_personal=False, watch=unwatched)
        else:
            write_lines(building, source, one, given, keeps_personal=False)
        put_in_place(building, place)


def _given(source: Source, one: Any) -> Given:
    given = given_away(source)
    if isinstance(one, TableFormat) and one.acts is not None:
        rows = source.rows(["pair_id", "grade", "steps"])
        parts = [pl.lit('{"grade": '), pl.col("grade").cast(str), pl.lit(', "steps": '), "steps", pl.lit("}")]
        chosen = pl.concat_str(parts)
        rejected = chosen.str.replace("fully", "not at all", literal=True)
        given.preferences = rows.select("pair_id", chosen.alias("chosen"), rejected.alias("rejected"))
        given.step_marks = rows.select(
            pl.col("pair_id").alias("candidate_id"),
            "pair_id",
            pl.col("grade").alias("proposed_grade"),
            pl.col("steps").alias("proposed_steps"),
            pl.lit(2, pl.Int32).alias("first_wrong_step"),
            pl.lit(value=False).alias("is_taken"),
        )
    return given


def _dump(place: Path, source: Source) -> None:
    """Write every row as it is with `json.dumps`."""
    columns = ("query", "title", "body", "fields", "grade", "steps")
    place.mkdir()
    with (place / "rows.jsonl").open("w", encoding="utf-8") as out:
        for entry, split in source.parts():
            for group in source.groups(entry.tier, split, columns):
                for row in group.iter_rows(named=True):
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _lay_out_beir(place: Path, source: Source) -> None:
    """Make the layout of BEIR of a qrels export."""
    _export(place, source, "qrels")
    (place / "qrels").mkdir()
    for split in ("train", "dev"):
        judged = pl.read_csv(
            place / f"{split}.qrels", separator=" ", has_header=False, new_columns=["q", "i", "d", "g"]
        )
        named = judged.select(pl.col("q").alias("query-id"), pl.col("d").alias("corpus-id"), pl.col("g").alias("score"))
        named.write_csv(place / "qrels" / f"{split}.tsv", separator="\t")


def _take_in(path: Path, name: str, columns: str | None) -> None:
    """Read and check a source part by part, as `afrel ingest` does before anything is appended."""
    queries: dict[str, str] = {}
    docs: dict[str, str] = {}
    splits: dict[str, str] = {}
    for part in read_parts(path, name, columns=columns):
        read = ingest_rows(
            part.rows.frame,
            parse_map(part.columns, part.rows.frame.columns),
            scale=SCALE,
            grade_map={},
            source="made",
            known=Known(query_ids=queries, doc_ids=docs, splits=splits),
        )
        if read.rejects:
            raise SystemExit(f"{part.path}: {len(read.rejects)} rejects, such as {read.rejects[0]}")
        splits |= {query_id: row["split"] for query_id, row in read.queries.items()}
        for row in read.external_ids.values():
            (queries if row["kind"] == "query" else docs)[row["external_id"]] = row["content_id"]


def _cut(folder: Path, n_rows: int) -> Source:
    """Make rows, cut and sign nothing, verify."""
    private = Ed25519PrivateKey.generate()
    cutter = SigningKey("cleo", private.public_key().public_bytes_raw().hex(), private)
    pins = {"cleo": Pin("cleo", Role.CURATOR, cutter.public_key, "person-1")}
    rows = _rows(n_rows)
    manifest = write_snapshot(
        folder / "snapshots",
        rows,
        [TierSpec(1, "clear", "true"), TierSpec(2, "ruled", "true")],
        scale=SCALE,
        rule_book=[],
        lineage=rows.select(["pair_id"]),
        provenance={"code_version": "bench"},
        cutter=cutter,
        pseudonym="person-1",
    )
    directory = folder / "snapshots" / manifest.snapshot_id
    verification = verify_snapshot(directory, pins, reads_test=False)
    return open_source(directory, verification, tier=None, splits=("train", "dev"), pins=pins)


def _rows(n: int) -> pa.Table:
    numbers = np.arange(n, dtype=np.uint64)
    queries = numbers // DOCS_A_QUERY
    texts = store_rows.Texts(3)
    bodies = pl.Series("body", texts.draw(n, 60))
    mail = pl.Series(numbers % 50 == 0)
    frame = pl.DataFrame(
        {
            "tier": pl.Series(1 + numbers % 2, dtype=pl.Int32),
            "split": pl.Series(np.where(queries % 10 == 0, "dev", "train").tolist()),
            "pair_id": pl.Series(store_rows.ids("p", numbers)),
            "query_id": pl.Series(store_rows.ids("q", queries)),
            "doc_id": pl.Series(store_rows.ids("d", numbers)),
            "query": pl.Series(texts.draw(n // DOCS_A_QUERY + 1, 3)).gather(queries)
            + " "
            + pl.Series(queries).cast(str),
            "title": pl.Series(texts.draw(n, 8)) + " " + pl.Series(numbers).cast(str),
            "body": bodies,
            "fields": pl.Series(texts.json(n, 2, '{"brand": "', '", "size": "200 cm"}')),
            "grade": pl.Series(numbers % 4, dtype=pl.Int32),
            "steps": pl.Series(texts.json(n, 10, STEPS.split("{}", maxsplit=1)[0], STEPS.split("{}")[1])),
        }
    ).with_columns(
        pl.when(mail).then(pl.col("body") + " ask ann@shop.example").otherwise(pl.col("body")).alias("body"),
        pl.lit([], pl.List(pl.String)).alias("rule_ids"),
        pl.lit("consensus").alias("judgment_origin"),
        pl.lit("made").alias("source"),
        pl.lit(None, pl.String).alias("operator"),
        pl.lit("terms half; brand match").alias("evidence"),
    )
    return frame.to_arrow()


if __name__ == "__main__":
    main()
