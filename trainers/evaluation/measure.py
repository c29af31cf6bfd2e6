"""How good a trained run is on a snapshot's dev or test rows, beside the baselines, as numbers and as rows to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from curation.prompt_parts import prompt_parts
from storage.grades import Scale
from storage.ids import content_id
from storage.snapshots.manifest import read_manifest
from trainers.evaluation.baselines import majority_grade, proposed_grades
from trainers.evaluation.metrics import Measure, measure
from trainers.models.ranker import load_ranker, require_scale
from trainers.models.scoring import most_probable
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory


@dataclass(frozen=True, slots=True)
class RuleRecall:
    """The share of right grades among the pairs whose rationale cites a rule."""

    rule_id: str
    recall: float
    n: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run on one split. probabilities (n, K) runs parallel to `pair_ids`; `measures` is by model name."""

    run_id: str
    snapshot_id: str
    split: str
    scale: Scale
    pair_ids: tuple[str, ...]
    probabilities: NDArray[np.float64]
    measures: Mapping[str, Sequence[Measure]]
    rule_recalls: tuple[RuleRecall, ...]


def evaluate_run(
    run: RunDirectory, snapshot: Path, *, split: str, proposals: Mapping[str, int], device: str = "auto"
) -> Evaluation:
    """Score a split of a verified snapshot with a finished run and measure it beside the baselines.

    `proposals` are the model-free labeller's grades by pair. The run must have been trained on this snapshot's scale;
    rows of all tiers are scored, also of those it was not trained on.
    """
    manifest = read_manifest(snapshot)
    ranker = load_ranker(run, device=device)
    require_scale(ranker, manifest)
    rows = load(snapshot, splits=[split])[split]
    probabilities = ranker.score(
        [prompt_parts(row, has_evidence=ranker.has_evidence) for row in rows], names=rows["row_hash"]
    )
    truth = _places(rows["grade"], manifest.scale)
    predicted = most_probable(probabilities)
    query_ids = list(rows["query_id"])
    grades = manifest.scale.values
    measures: dict[str, Sequence[Measure]] = {
        "run": measure(truth, predicted, query_ids, grades=grades, probabilities=probabilities)
    }
    commonest = majority_grade(list(load(snapshot, splits=["train"])["train"]["grade"]))
    always = np.full(len(truth), manifest.scale.position(commonest))
    measures["majority"] = measure(truth, always, query_ids, grades=grades)
    places, proposed = proposed_grades(list(rows["pair_id"]), proposals)
    if places:
        measures["lexical"] = measure(
            truth[places], _places(proposed, manifest.scale), [query_ids[at] for at in places], grades=grades
        )
    return Evaluation(
        run.run_id, manifest.snapshot_id, split, manifest.scale, tuple(rows["pair_id"]), probabilities, measures,
        rule_recalls(rows, truth == predicted),
    )  # fmt: skip


def rule_recalls(rows: Dataset, is_right: NDArray[np.bool_]) -> tuple[RuleRecall, ...]:
    """Return, for each rule cited by a row, the share of its rows that were graded right."""
    hits: dict[str, list[bool]] = {}
    for rule_ids, right in zip(rows["rule_ids"], is_right, strict=True):
        for rule_id in set(rule_ids):
            hits.setdefault(rule_id, []).append(bool(right))
    return tuple(
        RuleRecall(rule_id, sum(rights) / len(rights), len(rights)) for rule_id, rights in sorted(hits.items())
    )


def evaluation_rows(evaluation: Evaluation, *, run_id: str, at: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of tables predictions, evaluations and rule_recalls; `run_id` is the evaluating run."""
    shared = {"train_run_id": evaluation.run_id, "run_id": run_id, "created_at": at}
    places = most_probable(evaluation.probabilities).tolist()
    key = (run_id, evaluation.snapshot_id, evaluation.split)  # a later evaluation, with other baselines, adds rows
    return {
        "predictions": [
            {
                # by snapshot: the prompt carries its evidence, which another rule book words otherwise
                "prediction_id": content_id("pr", evaluation.run_id, evaluation.snapshot_id, pair_id),
                "pair_id": pair_id,
                "grade": evaluation.scale.values[place],
                "probabilities": probabilities,
                **shared,
            }
            for pair_id, place, probabilities in zip(
                evaluation.pair_ids, places, evaluation.probabilities.tolist(), strict=True
            )
        ],
        "evaluations": [
            {
                "evaluation_id": content_id("ev", *key, model, one.metric),
                "snapshot_id": evaluation.snapshot_id,
                "split": evaluation.split,
                "model": model,
                **asdict(one),
                **shared,
            }
            for model, measures in evaluation.measures.items()
            for one in measures
        ],
        "rule_recalls": [
            {
                "rule_recall_id": content_id("rr", *key, one.rule_id),
                "split": evaluation.split,
                "step": None,
                **asdict(one),
                **shared,
            }
            for one in evaluation.rule_recalls
        ],
    }


def _places(grades: Sequence[int], scale: Scale) -> NDArray[np.int64]:
    return np.array([scale.position(grade) for grade in grades], dtype=np.int64)
