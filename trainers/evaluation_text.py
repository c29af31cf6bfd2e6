"""How an evaluation reads on a terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from storage.store import Store
from trainers.evaluation import Evaluation
from trainers.metrics import Measure


def print_stored(store: Store, run_id: str, snapshot_id: str, split: str, evaluated_by: str, *, as_json: bool) -> None:
    """Say that there is nothing to do; as JSON, with the measures that are stored."""
    if not as_json:
        print(f"nothing to do: {evaluated_by} measured {run_id} on {split} of {snapshot_id}; see: evaluate … --json")
        return
    rows = store.read("evaluations", train_run_id=run_id, snapshot_id=snapshot_id, split=split).to_pylist()
    measures: dict[str, list[Any]] = {}
    for row in rows:
        if row["run_id"] == evaluated_by:
            kept = {name: row[name] for name in ("metric", "value", "low", "high", "n")}
            measures.setdefault(row["model"], []).append(kept)
    print(
        json.dumps(
            {"nothing_to_do": True, "run_id": run_id, "snapshot_id": snapshot_id, "split": split, "measures": measures}
        )
    )


def print_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Print each metric of each model with its interval and n."""
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
    models = list(evaluation.measures)
    print(f"{'':<20}" + "".join(f"{model:<30}" for model in models))
    by_model = {model: {one.metric: one for one in measures} for model, measures in evaluation.measures.items()}
    for metric in by_model["run"]:
        print(f"{metric:<20}" + "".join(f"{_cell(by_model[model].get(metric)):<30}" for model in models).rstrip())
    for one in evaluation.rule_recalls:
        print(f"recall [{one.rule_id}]  {one.recall:.3f}  n={one.n}")


def _cell(one: Measure | None) -> str:
    if one is None:
        return ""
    if one.value is None:
        return f"undefined n={one.n}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}] n={one.n}"
