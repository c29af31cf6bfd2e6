"""The evidence on mutations: is the verifier right, what does it confirm, and does what it confirms help a model.

    AFREL_DATA=/path/to/judgements python benchmarks/mutation_quality.py [--out build/bench-mutations] [--train]

Without AFREL_DATA only the bundled sample is measured. `--train` trains 3 arms × 3 seeds of a tiny model on each
collection (some 30 minutes of 2 cores). Writes report.md beside the workspaces.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.mutations import checks, training  # noqa: E402
from benchmarks.mutations.truth import read_query  # noqa: E402
from evolution.mutations.verifier import Verifier  # noqa: E402
from samples.homeware.generate import build_sample  # noqa: E402

SEEDS = (0, 1, 2)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-mutations")
    parser.add_argument("--train", action="store_true", help="Also train models with and without mutations.")
    parser.add_argument("--pairs", type=int, default=3000, help="Train pairs of the real collection to work on.")
    parser.add_argument("--visits", type=int, default=training.VISITS, help="Rows a model sees in training.")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--train-on", default="sample,qbqtc", help="With --train: on which of the two.")
    options = parser.parse_args()
    out: Path = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    parts = ["# Mutations"]
    on_sample, verifier = checks.sample_mutations(0)
    parts += ["## The bundled sample", _verifier(verifier), checks.table(checks.rows(on_sample)), _reading()]
    seeds = range(options.seeds)
    trained_on = options.train_on.split(",") if options.train else []
    if "sample" in trained_on:
        done = training.train_arms(
            sample_rows(), on_sample, out / "sample", scale="0-3", seeds=seeds, visits=options.visits
        )
        parts.append(training.table(done))
    if "AFREL_DATA" in os.environ:
        folder = Path(os.environ["AFREL_DATA"])
        on_search, verifier = checks.search_mutations(folder, 0, n_pairs=options.pairs)
        parts += ["## qbqtc", _verifier(verifier), checks.table(checks.rows(on_search))]
        if "qbqtc" in trained_on:
            rows = search_rows(folder, n_pairs=options.pairs)
            done = training.train_arms(rows, on_search, out / "qbqtc", scale="0-2", seeds=seeds, visits=options.visits)
            parts.append(training.table(done))
    else:
        print("AFREL_DATA is not set, so real judgements are left out", file=sys.stderr)
    text = "\n\n".join(parts)
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def sample_rows() -> list[dict[str, Any]]:
    """Return the sample's judged train pairs under the seed's grades, and its dev pairs under the true ones."""
    sample = build_sample()
    rows = []
    for pair in sample.pairs:
        grade = sample.seed_grades.get((pair.query_id, pair.doc.doc_id))
        if pair.split == "dev":
            grade = pair.grade
        if grade is not None and pair.split != "test":
            fields = {f"field_{name}": value for name, value in pair.doc.written.items()}
            texts = {"query": pair.query.text, "title": pair.doc.title, "body": pair.doc.body}
            rows.append({**texts, "grade": grade, "split": pair.split, **fields})
    return rows


def search_rows(folder: Path, *, n_pairs: int) -> list[dict[str, Any]]:
    """Return the train pairs that were worked on and all dev pairs."""
    dev = pl.read_parquet(folder / "qbqtc" / "pairs.parquet").filter(pl.col("split") == "dev")
    both = [
        *checks.search_pairs(folder, n_pairs=n_pairs),
        *dev.unique(("query", "title"), maintain_order=True).to_dicts(),
    ]
    return [
        {"query": row["query"], "title": row["title"], "body": "", "grade": int(row["label"]), "split": row["split"]}
        for row in both
    ]


def _verifier(verifier: Verifier) -> str:
    assert verifier.accuracy is not None and verifier.explained is not None
    return (
        f"Verifier: {verifier.n_judged} train judgments, out-of-fold accuracy {verifier.accuracy:.2f}, "
        f"explains {verifier.explained:.0%} of the grades."
    )


def _reading() -> str:
    """Say how well the reader of intents knows the sample's own queries, whose intents are known."""
    queries = build_sample().queries
    right: Counter[str] = Counter()
    for query in queries:
        found = read_query(query.text, query.kind)
        right["kind"] += found.kind == query.kind
        right["wants"] += found.wants == query.wants
        right["refuses"] += found.refuses == query.refuses
    shares = ", ".join(f"{name} {n}/{len(queries)}" for name, n in right.items())
    return f"The reader of intents, held against the {len(queries)} intents that are known: {shares}."


if __name__ == "__main__":
    main()
