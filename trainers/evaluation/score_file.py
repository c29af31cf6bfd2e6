"""`afrel score`: pairs in a file become grade probabilities and a TREC run, with no store and no snapshot.

A file is CSV, JSONL or Parquet with the columns query and title; query_id, doc_id and body are used where they are
there, and so are columns named like the doc fields the model was trained with. Every other column is left alone: a
grade in the file must not reach the prompt. A line that cannot be scored stops the command and is named.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.ingest import parse_map
from curation.prompt_parts import PromptParts
from storage import durable
from storage.errors import UserError
from storage.ids import content_id
from trainers.models.ranker import Ranker
from trainers.models.scoring import expected_grades, most_probable

REQUIRED = ("query", "title")
KNOWN = (*REQUIRED, "body", "query_id", "doc_id")
EXTRA_CELLS = "\0"  # the key of what stands beyond a CSV line's columns
_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class FilePair:
    """One line of the file. `line` counts as an editor does; for Parquet it is the row, from 1."""

    line: int
    query_id: str
    doc_id: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]


def read_pairs(path: Path, *, field_names: Collection[str], mapped: str | None = None) -> list[FilePair]:
    """Read the pairs of a file; UserError names the line and the value of what is wrong.

    `mapped` names columns as ingest does (`query=q,title=name,field.brand=maker`); unless given, columns go by name.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(f"{path} is none of {', '.join(_SUFFIXES)}. Convert it: afrel score --run R pairs.csv")
    try:
        records = _read_records(path)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}. Give a UTF-8 CSV or JSONL, or a Parquet file") from error
    if not records:
        raise UserError(f"{path} has no rows. Give a file with the columns query and title")
    if mapped is not None:
        records = _renamed(records, mapped)
    else:
        kept = {*KNOWN, *field_names, EXTRA_CELLS}
        records = [(line, {n: v for n, v in record.items() if n in kept}) for line, record in records]
    pairs = [_read_pair(path, line, record) for line, record in records]
    seen: dict[tuple[str, str], int] = {}
    for pair in pairs:
        first = seen.setdefault((pair.query_id, pair.doc_id), pair.line)
        if first != pair.line:
            raise UserError(
                f"{path} line {pair.line}: query {pair.query_id!r} with doc {pair.doc_id!r} stands on line {first} too."
                " Remove one; a TREC run ranks a doc once"
            )
    return pairs


def score_pairs(ranker: Ranker, pairs: Sequence[FilePair], *, path: Path) -> NDArray[np.float64]:
    """Return grade probabilities (n, K). Evidence is computed as in curation when the model was trained with it."""
    evidence = ranker.evidence.lines(_pairs_frame(pairs)) if ranker.has_evidence else [""] * len(pairs)
    parts = [
        PromptParts(pair.query, pair.title, pair.body, pair.fields, line)
        for pair, line in zip(pairs, evidence, strict=True)
    ]
    return ranker.score(parts, names=[f"{path} line {pair.line}" for pair in pairs])


def write_scores(
    out: Path, ranker: Ranker, pairs: Sequence[FilePair], probabilities: NDArray[np.float64]
) -> list[Path]:
    """Write scores.csv, scores.parquet and run.trec into a folder; return their paths."""
    expected = expected_grades(probabilities, ranker.scale)
    grades = [ranker.scale.values[place] for place in most_probable(probabilities).tolist()]
    columns: dict[str, Any] = {
        "query_id": [pair.query_id for pair in pairs],
        "doc_id": [pair.doc_id for pair in pairs],
        "query": [pair.query for pair in pairs],
        "title": [pair.title for pair in pairs],
        "grade": grades,
        "expected_grade": expected,
    }
    for place, grade in enumerate(ranker.scale.values):
        columns[f"probability_{grade}"] = probabilities[:, place]
    frame = pl.DataFrame(columns)
    out.mkdir(parents=True, exist_ok=True)
    durable.replace(out / "scores.csv", frame.write_csv(), folder=out)
    frame.write_parquet(out / "scores.parquet")
    durable.replace(out / "run.trec", trec_run(pairs, expected, tag=ranker.run_id), folder=out)
    return [out / "scores.csv", out / "scores.parquet", out / "run.trec"]


def trec_run(pairs: Sequence[FilePair], scores: NDArray[np.float64], *, tag: str) -> str:
    """Return the lines `query_id Q0 doc_id rank score tag`, best doc of a query first; ties go by doc id."""
    places = sorted(range(len(pairs)), key=lambda at: (pairs[at].query_id, -scores[at], pairs[at].doc_id))
    lines = []
    rank, last = 0, None
    for at in places:
        pair = pairs[at]
        rank = rank + 1 if pair.query_id == last else 1
        last = pair.query_id
        lines.append(f"{pair.query_id} Q0 {pair.doc_id} {rank} {scores[at]:.6f} {tag}\n")
    return "".join(lines)


def _read_records(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        return list(enumerate(pq.read_table(path).to_pylist(), start=1))
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind == ".csv":
            reader = csv.DictReader(file, strict=True, restkey=EXTRA_CELLS)
            return [(reader.line_num, record) for record in reader]
        records: list[tuple[int, Mapping[str, Any]]] = []
        for line, text in enumerate(file, start=1):
            if text.strip():
                record = json.loads(text)
                if not isinstance(record, dict):
                    raise ValueError(f"line {line} is no JSON object: {text.strip()[:60]}")
                records.append((line, record))
        return records


def _read_pair(path: Path, line: int, record: Mapping[str, Any]) -> FilePair:
    extra = record.get(EXTRA_CELLS)
    if extra:
        raise UserError(f"{path} line {line}: more cells than columns: {extra!r}. Quote cells that hold commas")
    texts = {name: "" if value is None else str(value).strip() for name, value in record.items()}
    for name in REQUIRED:
        if not texts.get(name):
            raise UserError(
                f"{path} line {line}: {name} is {record.get(name)!r}. Each line needs a query and a title; "
                f"columns here: {', '.join(map(str, record))}"
            )
    fields = {name: value for name, value in texts.items() if name not in KNOWN and value}
    query_id = texts.get("query_id") or content_id("q", texts["query"])
    doc_id = texts.get("doc_id") or content_id("d", texts["title"], texts.get("body", ""), fields)
    for name, value in (("query_id", query_id), ("doc_id", doc_id)):
        if any(character.isspace() for character in value):
            raise UserError(f"{path} line {line}: {name} {value!r} holds a space, which a TREC run cannot. Rename it")
    return FilePair(line, query_id, doc_id, texts["query"], texts["title"], texts.get("body", ""), fields)


def _renamed(records: Sequence[tuple[int, Mapping[str, Any]]], mapped: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return records with the mapped columns under the names of their roles, and no others."""
    columns = parse_map(mapped, {name for _, record in records for name in record} - {EXTRA_CELLS})
    names = {column: "title" if role == "doc" else role for role, column in columns.roles.items()}
    renamed: list[tuple[int, Mapping[str, Any]]] = []
    for line, record in records:
        fields = {name: record.get(column) for name, column in columns.fields.items()}
        roles = {role: record.get(column) for column, role in names.items() if role in KNOWN}
        extra = {EXTRA_CELLS: record[EXTRA_CELLS]} if EXTRA_CELLS in record else {}
        renamed.append((line, {**fields, **roles, **extra}))
    return renamed


def _pairs_frame(pairs: Sequence[FilePair]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pair_id": [str(at) for at in range(len(pairs))],
            "query": [pair.query for pair in pairs],
            "title": [pair.title for pair in pairs],
            "body": [pair.body for pair in pairs],
            "fields": [json.dumps(dict(pair.fields), ensure_ascii=False) for pair in pairs],
        }
    )
