"""Write the sample: `python -m samples.homeware.generate [OUT_DIR]`.

The same bytes on every run and machine: all chance comes from one seed, and nothing reads the clock.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from samples.homeware.catalogue import Doc, build_catalogue
from samples.homeware.intents import Query
from samples.homeware.kinds import FIELDS
from samples.homeware.pairing import Pair, pick_pairs
from samples.homeware.queries_chinese import CHINESE_QUERIES
from samples.homeware.queries_grocery import GROCERY_QUERIES
from samples.homeware.queries_home import HOME_QUERIES
from samples.homeware.readme import write_readme
from samples.homeware.reviewers import Adjudication, Response, adjudicate, record_responses
from samples.homeware.truth import share

SEED = 20
DATA_DIR = Path(__file__).resolve().parent.parent / "homeware-data"
# The earlier round: whole queries of every split whose grades are known before anybody reviews.
SEED_QUERIES = {"train": 47, "dev": 7, "test": 13}
SEED_NOISE_RATE = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything the files are written from."""

    queries: tuple[Query, ...]
    docs: tuple[Doc, ...]
    pairs: tuple[Pair, ...]
    seed_grades: dict[tuple[str, str], int]
    responses: tuple[Response, ...]
    adjudications: tuple[Adjudication, ...]


def build_sample(*, seed: int = SEED) -> Sample:
    """Draw the whole sample."""
    queries = [*HOME_QUERIES, *GROCERY_QUERIES, *CHINESE_QUERIES]
    Random(f"queries {seed}").shuffle(queries)
    docs = build_catalogue(queries, seed=seed)
    pairs = pick_pairs(queries, docs, seed=seed)
    responses = record_responses(pairs, seed=seed)
    return Sample(
        tuple(queries),
        docs,
        tuple(pairs),
        _grade_earlier_round(pairs, seed),
        tuple(responses),
        tuple(adjudicate(responses, seed=seed)),
    )


def _grade_earlier_round(pairs: list[Pair], seed: int) -> dict[tuple[str, str], int]:
    by_chance = sorted({(pair.split, pair.query_id) for pair in pairs}, key=lambda one: share(seed, "earlier", *one))
    left, chosen = Counter(SEED_QUERIES), set()
    for split, query_id in by_chance:
        if left[split] > 0:
            left[split] -= 1
            chosen.add(query_id)
    grades = {}
    for pair in pairs:
        if pair.query_id in chosen:
            chance = share(seed, "noise", pair.query_id, pair.doc.doc_id)
            step = 0 if chance >= SEED_NOISE_RATE else (1 if chance < SEED_NOISE_RATE / 2 else -1)
            # At an end of the scale the only neighbour is inward.
            step = -step if pair.grade + step in (-1, 4) else step
            grades[pair.query_id, pair.doc.doc_id] = pair.grade + step
    return grades


def _csv(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _doc_row(doc: Doc) -> dict[str, object]:
    row: dict[str, object] = {"doc_id": doc.doc_id, "title": doc.title, "body": doc.body}
    return row | {field: doc.written[field] for field in FIELDS if field in doc.written}


def _response_row(response: Response) -> dict[str, object]:
    row: dict[str, object] = {"query_id": response.pair.query_id, "doc_id": response.pair.doc.doc_id}
    row["reviewer"] = response.reviewer
    if response.act is None:
        row["grade"] = response.grade
    else:
        row["act"] = response.act
        if response.reason is not None:
            row["reason"] = response.reason
    return row | {"seconds": response.seconds, "sequence": response.sequence}


def render(sample: Sample) -> dict[str, str]:
    """Return the text of every file by its name."""
    pairs = sample.pairs
    docs = [_doc_row(doc) for doc in sample.docs]
    return {
        "docs.jsonl": _jsonl(docs),
        "pairs.csv": _csv(
            ("query_id", "query", "doc_id", "split"),
            [(pair.query_id, pair.query.text, pair.doc.doc_id, pair.split) for pair in pairs],
        ),
        "seed.csv": _csv(
            ("query_id", "query", "doc_id", "split", "grade"),
            [
                (pair.query_id, pair.query.text, pair.doc.doc_id, pair.split, sample.seed_grades[key])
                for pair in pairs
                if (key := (pair.query_id, pair.doc.doc_id)) in sample.seed_grades
            ],
        ),
        "responses.jsonl": _jsonl([_response_row(response) for response in sample.responses]),
        "adjudications.jsonl": _jsonl(
            [
                {"query_id": one.pair.query_id, "doc_id": one.pair.doc.doc_id, "grade": one.grade, "reason": one.reason}
                for one in sample.adjudications
            ]
        ),
        "truth.csv": _csv(
            ("query_id", "doc_id", "true_grade", "deciding_rule_id"),
            [(pair.query_id, pair.doc.doc_id, pair.grade, pair.rule_id or "") for pair in pairs],
        ),
        "README.md": write_readme(
            docs=sample.docs,
            pairs=pairs,
            seed_grades=sample.seed_grades,
            responses=sample.responses,
            adjudications=sample.adjudications,
        ),
    }


def main(arguments: list[str]) -> None:
    out_dir = Path(arguments[0]) if arguments else DATA_DIR
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, text in render(build_sample()).items():
        (out_dir / name).write_bytes(text.encode("utf-8"))
        print(out_dir / name)


if __name__ == "__main__":
    main(sys.argv[1:])
