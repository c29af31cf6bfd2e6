"""pass@N over pairs: how often one of N answers is right, from how many of each pair's samples were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from curation.pass_rates import pass_at
from storage.clock import now
from storage.ids import content_id
from trainers.evaluation.metrics import Measure, mean_measure


def pass_curve(n_right: Mapping[str, int], query_of: Mapping[str, str], *, n_samples: int) -> list[Measure]:
    """Return pass@1, @2, @4 … up to @n_samples: the mean over pairs, with a bootstrap interval over queries.

    n_right: of each pair's `n_samples` samples.
    """
    pair_ids = sorted(n_right)
    curve = []
    for n in sizes(n_samples):
        rates = [pass_at(n, n_samples=n_samples, n_right=n_right[pair_id]) for pair_id in pair_ids]
        known = [rate for rate in rates if rate is not None]  # all are: n is n_samples at most
        curve.append(mean_measure(f"pass@{n}", known, [query_of[pair_id] for pair_id in pair_ids]))
    return curve


def curve_rows(curve: Sequence[Measure], config: Mapping[str, Any], *, run_id: str) -> list[dict[str, Any]]:
    """Return the curve as rows of table evaluations; `config` is the sampling run's, `run_id` its id."""
    snapshot_id, split = config["snapshot"], config["split"]
    return [
        {
            "evaluation_id": content_id("ev", run_id, snapshot_id, split, "run", one.metric),
            "train_run_id": config["run"],
            "snapshot_id": snapshot_id,
            "split": split,
            "model": "run",
            **asdict(one),
            "run_id": run_id,
            "created_at": now(),
        }
        for one in curve
    ]


def sizes(n_samples: int) -> Sequence[int]:
    """Return the powers of two up to a number of samples, and that number."""
    powers = [2**place for place in range(n_samples.bit_length()) if 2**place <= n_samples]
    return powers if powers[-1] == n_samples else [*powers, n_samples]
