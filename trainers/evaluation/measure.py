"""How good a trained run is on a snapshot's dev or test rows, beside the baselines, as numbers and as rows to store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.prompt_parts import prompt_parts
from storage.grades import Scale
from storage.ids import content_id
from storage.snapshots.manifest import read_manifest
from trainers.evaluation.baselines import majority_grade, proposed_grades
from trainers.evaluation.explanations import drawn_places, explanation_measures, likeliest_completions
from trainers.evaluation.first_token import first_token_times, hardware, latency_measures
from trainers.evaluation.metrics import Measure, measure
from trainers.evaluation.rule_recall import RuleRecall, rule_recalls
from trainers.models.ranker import fitted_prompts, load_ranker, require_scale
from trainers.models.scoring import most_probable
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run on one split. probabilities (n, K) runs parallel to `pair_ids`; `measures` is by model name.

    hardware: on which the first token was timed.
    """

    run_id: str
    snapshot_id: str
    split: str
    scale: Scale
    pair_ids: tuple[str, ...]
    probabilities: NDArray[np.float64]
    measures: Mapping[str, Sequence[Measure]]
    rule_recalls: tuple[RuleRecall, ...]
    hardware: str


def evaluate_run(
    run: RunDirectory,
    snapshot: Path,
    *,
    split: str,
    proposals: Mapping[str, int],
    n_explanations: int,
    device: str = "auto",
    tell: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Evaluation:
    """Score a split of a verified snapshot with a finished run and measure it beside the baselines.

    `proposals` are the model-free labeller's grades by pair. The run must have been trained on this snapshot's scale;
    rows of all tiers are scored, also of those it was not trained on. `n_explanations` pairs are asked for a whole
    completion, which `tell` counts.
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
    prompts = fitted_prompts(rows, ranker)  # each of them fits, or scoring had said which does not
    asked = drawn_places(len(prompts), n_explanations)
    told = likeliest_completions(
        ranker, [prompts[at] for at in asked], max_tokens=run.read()["config"]["max_completion_tokens"], tell=tell
    )
    measures: dict[str, Sequence[Measure]] = {
        "run": [
            *measure(truth, predicted, query_ids, grades=grades, probabilities=probabilities),
            *(explanation_measures(told, [query_ids[at] for at in asked], ranker) if asked else []),
            *latency_measures(first_token_times(ranker, prompts)),
        ]
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
        rule_recalls(rows["rule_ids"], truth == predicted, query_ids), hardware(ranker.model.device.type),
    )  # fmt: skip


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
                "rule_id": one.rule_id,
                "recall": one.recall,
                "n": one.n,
                **shared,
            }
            for one in evaluation.rule_recalls
        ],
    }


def _places(grades: Sequence[int], scale: Scale) -> NDArray[np.int64]:
    return np.array([scale.position(grade) for grade in grades], dtype=np.int64)
