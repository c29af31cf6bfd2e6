"""What was measured of a run, as the store holds it, and pair by pair on dev. Nothing is measured here.

Of test rows only figures are told: their texts and grades are never opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from curation.completion import steps_from_json
from storage.snapshots.manifest import data_path, read_manifest
from trainers.evaluation.calibration import Bin, reliability
from trainers.evaluation.metrics import Measure
from trainers.evaluation.rule_recall import RuleRecall, rule_recalls

N_RIGHT, N_WRONG = 6, 12  # samples shown
MOST_CHARACTERS = 700  # of a text shown
COLUMNS = (
    "pair_id", "query_id", "query", "title", "body", "fields", "grade", "steps", "rule_ids", "tier", "row_hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: a run, and the baselines beside it, on a split of a snapshot. measures: by model name.

    verb: evaluate, or rollout for pass@N.
    """

    verb: str
    snapshot_id: str
    split: str
    measured_by: str
    at: datetime
    hardware: str | None
    measures: Mapping[str, Sequence[Measure]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One dev pair as the model graded it. probability: of each grade, lowest first. reasons: the expert's."""

    pair_id: str
    tier: int
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    grade: int
    predicted: int
    probabilities: tuple[float, ...]
    reasons: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return self.grade == self.predicted


@dataclass(frozen=True, slots=True)
class DevDetail:
    """A run on the dev pairs of a snapshot. grades: names by grade, lowest first.

    confusion: settled grades down, predicted across.
    """

    snapshot_id: str
    grades: Mapping[int, str]
    n: int
    n_missing: int
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[Bin, ...]
    rules: tuple[RuleRecall, ...]
    samples: tuple[Sample, ...]


def last_measured(rows: Sequence[Mapping[str, Any]]) -> tuple[Measured, ...]:
    """Return the latest measurement of each snapshot, split and verb, of rows in order of time: dev first."""
    latest: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        held = latest.setdefault((row["snapshot_id"], row["split"], row["verb"]), [])
        if held and held[0]["run_id"] != row["run_id"]:
            held.clear()
        held.append(row)
    found = []
    for (snapshot_id, split, verb), held in latest.items():
        measures: dict[str, list[Measure]] = {}
        for row in held:
            one = Measure(row["metric"], row["value"], row["low"], row["high"], row["n"])
            measures.setdefault(row["model"], []).append(one)
        found.append(
            Measured(verb, snapshot_id, split, held[0]["run_id"], held[0]["created_at"], held[0]["hardware"], measures)
        )
    order = ("dev", "test", "train")
    return tuple(sorted(found, key=lambda one: (order.index(one.split), -one.at.timestamp())))


def dev_detail(directory: Path, predictions: Sequence[Mapping[str, Any]]) -> DevDetail | None:
    """Return how a run did on a snapshot's dev pairs, None where it graded none of them.

    predictions: rows of pair_id, grade and probabilities. Pairs that were not graded are counted as missing.
    """
    by_pair = {row["pair_id"]: row for row in predictions}
    scale = read_manifest(directory).scale
    rows = _dev_rows(directory)
    graded = [row for row in rows if row["pair_id"] in by_pair and by_pair[row["pair_id"]]["grade"] in scale.values]
    if not graded:
        return None
    truth = np.array([scale.position(row["grade"]) for row in graded], dtype=np.int64)
    predicted = np.array([scale.position(by_pair[row["pair_id"]]["grade"]) for row in graded], dtype=np.int64)
    probabilities = np.array([by_pair[row["pair_id"]]["probabilities"] for row in graded], dtype=np.float64)
    confusion = np.zeros((len(scale.values),) * 2, dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    recalls = rule_recalls([row["rule_ids"] for row in graded], truth == predicted, [row["query_id"] for row in graded])
    return DevDetail(
        directory.name,
        dict(zip(scale.values, scale.names, strict=True)),
        len(graded),
        len(rows) - len(graded),
        tuple(tuple(int(n) for n in line) for line in confusion),
        tuple(reliability(truth, predicted, probabilities)),
        tuple(sorted(recalls, key=lambda one: (one.recall, -one.n, one.rule_id))),
        tuple(_sample(graded[at], by_pair) for at in chosen(truth, predicted, probabilities)),
    )


def chosen(truth: Any, predicted: Any, probabilities: Any) -> list[int]:
    """Return the places of the pairs to show: wrong ones, the farthest off and surest first, then right ones.

    truth, predicted (n,): places on the scale. Right ones are taken grade by grade in turn, the least sure first: the
    sure ones show nothing.
    """
    confidence = probabilities[np.arange(len(predicted)), predicted]
    distance = np.abs(truth - predicted)
    wrong = sorted(np.flatnonzero(distance > 0).tolist(), key=lambda at: (-distance[at], -confidence[at], at))
    by_grade = [
        sorted(np.flatnonzero((truth == grade) & (distance == 0)).tolist(), key=lambda at: (confidence[at], at))
        for grade in sorted(set(truth.tolist()))
    ]
    right = [held[turn] for turn in range(N_RIGHT) for held in by_grade if turn < len(held)]
    return wrong[:N_WRONG] + right[:N_RIGHT]


def _dev_rows(directory: Path) -> list[dict[str, Any]]:
    entries = [entry for entry in read_manifest(directory).tiers if entry.n_rows["dev"]]
    paths = [directory / data_path(entry.tier, "dev") for entry in entries]
    return [row for path in paths for row in pq.read_table(path, columns=list(COLUMNS)).to_pylist()]


def _sample(row: Mapping[str, Any], by_pair: Mapping[str, Mapping[str, Any]]) -> Sample:
    told = by_pair[row["pair_id"]]
    fields = json.loads(row["fields"] or "{}")
    return Sample(
        row["pair_id"],
        row["tier"],
        cut(row["query"]),
        cut(row["title"]),
        cut(row["body"] or ""),
        {cut(str(name)): cut(str(value)) for name, value in list(fields.items())[:20]},
        row["grade"],
        told["grade"],
        tuple(float(one) for one in told["probabilities"]),
        tuple(cut(f"{step.label}: {step.text}") for step in steps_from_json(row["steps"])),
    )


def cut(text: str) -> str:
    """Return as much of a text as a page shows, and how much more there is."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … and {len(text) - MOST_CHARACTERS:,} characters more"
