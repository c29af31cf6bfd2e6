"""How an evaluation reads on a terminal and as JSON, fresh or from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from storage.store import Store
from trainers.evaluation.metrics import Measure

if TYPE_CHECKING:
    from trainers.evaluation.measure import Evaluation

MODELS = ("run", "majority", "lexical")  # the order of columns
ORDER = (
    "accuracy", "macro_f1", "qwk", "f1_grade", "ndcg", "badcase", "auc", "adjacent", "non_adjacent", "ece",
    "discriminative", "unparsed", "first_token",
)  # fmt: skip


def print_stored(store: Store, run_id: str, snapshot_id: str, split: str, evaluated_by: str, *, as_json: bool) -> None:
    """Say that there is nothing to do, and print the measures that are stored."""
    measures: dict[str, list[Measure]] = {}
    for row in store.read("evaluations", train_run_id=run_id, snapshot_id=snapshot_id, split=split).to_pylist():
        if row["run_id"] == evaluated_by:
            one = Measure(row["metric"], row["value"], row["low"], row["high"], row["n"])
            measures.setdefault(row["model"], []).append(one)
    if as_json:
        print(
            json.dumps(
                {
                    "nothing_to_do": True, "run_id": run_id, "snapshot_id": snapshot_id, "split": split,
                    "measures": {name: [asdict(one) for one in held] for name, held in measures.items()},
                }
            )
        )  # fmt: skip
        return
    print(f"nothing to do: {evaluated_by} measured {run_id} on {split} of {snapshot_id}")
    _print_table(measures)


def print_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Print each metric of each model with its interval and n; recalls of rules as JSON only, for they are many."""
    if as_json:
        print(
            json.dumps(
                {
                    "run_id": evaluation.run_id, "snapshot_id": evaluation.snapshot_id, "split": evaluation.split,
                    "measures": {name: [asdict(one) for one in ms] for name, ms in evaluation.measures.items()},
                    "rule_recalls": [asdict(one) for one in evaluation.rule_recalls],
                }
            )
        )  # fmt: skip
        return
    print(f"{evaluation.run_id} on {len(evaluation.pair_ids)} {evaluation.split} pairs of {evaluation.snapshot_id}")
    _print_table(evaluation.measures)
    print(f"first token: one pair a request, on {evaluation.hardware}")
    if evaluation.rule_recalls:
        print(f"recall of {len(evaluation.rule_recalls)} cited rules: in rule_recalls, or evaluate --json")


def _print_table(measures: Mapping[str, Sequence[Measure]]) -> None:
    models = sorted(measures, key=lambda model: (model not in MODELS, MODELS.index(model) if model in MODELS else 0))
    by_model = {model: {one.metric: one for one in measures[model]} for model in models}
    metrics = sorted({metric for held in by_model.values() for metric in held}, key=place_of)
    print(f"{'':<29}{'n':>6}  " + "".join(f"{model:<26}" for model in by_model).rstrip())
    for metric in metrics:
        ns = {held[metric].n for held in by_model.values() if metric in held}
        shown = str(ns.pop()) if len(ns) == 1 else "varies"
        cells = "".join(f"{_cell(held.get(metric)):<26}" for held in by_model.values())
        print(f"{metric:<29}{shown:>6}  {cells}".rstrip())


def place_of(metric: str) -> tuple[int, str]:
    """Return where a metric stands: the headline figures first, then grade by grade, rankings, errors."""
    for place, start in enumerate(ORDER):
        if metric.startswith(start):
            return place, metric
    return len(ORDER), metric


def _cell(one: Measure | None) -> str:
    if one is None:
        return ""
    if one.value is None:
        return "undefined"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
