"""Evolution as rows: each edit with its reason, each version that was tried, each score with its interval.

Ids are made of the run's input, so what an interrupted run had written is not written again by the one that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.intervals import wilson
from evolution.instructions.ground import Ground
from evolution.instructions.scores import UNLABELLED, Gain, Ints, Mask, Measured, measure, objective
from evolution.instructions.situation import Version
from storage.clock import now
from storage.ids import content_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one edit. `version` None: it never became a text that could be tried."""

    operator: str
    attempt: int
    parent: Version
    other: Version | None
    version: Version | None
    is_accepted: bool
    reason: str
    change: str = ""
    gain: Gain | None = None
    pair_ids: tuple[str, ...] = ()
    llm_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of a run carries: the digest of its input, who labelled, who wrote, the run."""

    input_digest: str
    labeller: str
    proposer: str
    run_id: str


def outcome_tables(one: Outcome, stamp: Stamp) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an edit: of `instruction_edits`, and of `instructions` where there is a version."""
    rise = one.gain
    edit = {
        "instruction_edit_id": content_id(
            "ie", stamp.input_digest, one.operator, one.parent.instruction_id, one.attempt
        ),
        "instruction_id": one.version.instruction_id if one.version else None,
        "parent_id": one.parent.instruction_id,
        "other_parent_id": one.other.instruction_id if one.other else None,
        "operator": one.operator,
        "attempt": one.attempt,
        "generation": one.parent.generation + 1,
        "proposer": stamp.proposer,
        "labeller": stamp.labeller,
        "is_accepted": one.is_accepted,
        "reason": one.reason,
        "change": one.change,
        "gain": rise.value if rise else None,
        "gain_low": rise.low if rise else None,
        "gain_high": rise.high if rise else None,
        "example_pair_ids": list(one.pair_ids),
        "llm_call_id": one.llm_call_id,
        "run_id": stamp.run_id,
        "created_at": now(),
    }
    versions = [version_row(one.version, one.operator, one.parent, stamp.run_id)] if one.version else []
    return {"instructions": versions, "instruction_edits": [edit]}


def version_row(version: Version, operator: str, parent: Version | None, run_id: str) -> dict[str, Any]:
    """Return a version as a row of `instructions`."""
    return {
        "instruction_id": version.instruction_id,
        "text": version.text,
        "parent_id": parent.instruction_id if parent else None,
        "operator": operator,
        "generation": version.generation,
        "run_id": run_id,
        "created_at": now(),
    }


def score_rows(version: Version, said: Ints, ground: Ground, stamp: Stamp) -> list[dict[str, Any]]:
    """Return the scores of a version on each split it was labelled on; pairs it quotes count in none.

    Beside macro-F1, kappa and accuracy the objective, all of the pairs drawn; and for each slice its recall, the share
    that is right, of all scored pairs.
    """
    open_rows = ground.unquoted(version.text)
    rows: list[dict[str, Any]] = []
    for split, inside in (("train", ~ground.is_dev), ("dev", ground.is_dev)):
        chosen = open_rows & inside & (said != UNLABELLED)
        drawn = chosen & ground.is_drawn
        n = int(drawn.sum())
        if not n:
            continue
        measured = measure(ground.truth, said, drawn)
        measured["objective"] = Measured(objective(ground.truth, said, drawn, len(version.text)), None, None, n)
        measured |= _recalls(said, chosen, ground)
        rows += [_score_row(version, split, name, one, stamp) for name, one in measured.items()]
    return rows


def _recalls(said: Ints, chosen: Mask, ground: Ground) -> Mapping[str, Measured]:
    found = {}
    for one in ground.slices:
        inside = one.rows & chosen
        n, n_right = int(inside.sum()), int((inside & (said == ground.truth.places)).sum())
        interval = wilson(n_right, n)
        if interval is not None:
            found[f"recall {one.name}"] = Measured(n_right / n, interval.low, interval.high, n)
    return found


def _score_row(version: Version, split: str, metric: str, one: Measured, stamp: Stamp) -> dict[str, Any]:
    def known(value: float | None) -> float | None:
        return None if value is None or np.isnan(value) else value

    return {
        "instruction_score_id": content_id("is", stamp.input_digest, version.instruction_id, split, metric),
        "instruction_id": version.instruction_id,
        "split": split,
        "metric": metric,
        "value": known(one.value),
        "n": one.n,
        "run_id": stamp.run_id,
        "created_at": now(),
        "low": known(one.low),
        "high": known(one.high),
    }
