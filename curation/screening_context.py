"""What every screen is given and what it answers: the candidates' columns, what they are held against, failures.

A screen is a pure function from unscreened candidates to failures, each with a reason and what it matched. It never
drops a row, reads no file and no store, and never sees a settled grade of dev or test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from curation.completion import Step
from curation.pair_likeness import Likeness
from curation.screening_config import ScreeningConfig
from storage.grades import Scale

CANDIDATE_COLUMNS = (
    "candidate_id", "pair_id", "query_id", "doc_id", "query", "title", "body", "fields", "split", "grade", "steps",
    "rule_ids",
)  # fmt: skip
FAILURE_SCHEMA: dict[str, pl.DataType] = {
    "candidate_id": pl.String(),
    "screen": pl.String(),
    "score": pl.Float64(),
    "matched_id": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a screen says of one candidate. `score` is its measure, None where it has none."""

    candidate_id: str
    reason: str
    score: float | None = None
    matched_id: str | None = None


@dataclass(frozen=True)
class ScreeningContext:
    """What candidates are held against.

    `likeness` says which queries and docs are nearly the same. `standing` are the pairs that hold their place: those
    of candidates that passed before and those settled in train (pair_id, query_id, doc_id, grade, standing_id, earliest
    first); `held_back` the dev and test queries (query_id, query); `snapshots` names for a pair the snapshot it is in.
    `votes` are (rule_id, pair_id) of every vote on the candidates' pairs; `rule_statuses` maps every rule to proposed,
    approved or rejected; `instructions` maps ids to texts; `other_rationales` are of candidates that passed before
    (candidate_id, pair_id, steps). `kin` are pairs of which one was made of the other on purpose, either way round.
    """

    scale: Scale
    config: ScreeningConfig
    likeness: Likeness
    rule_statuses: Mapping[str, str]
    votes: frozenset[tuple[str, str]] = frozenset()
    held_back: Mapping[str, str] = field(default_factory=dict)
    standing: pl.DataFrame | None = None
    snapshots: Mapping[str, str] = field(default_factory=dict)
    kin: frozenset[tuple[str, str]] = frozenset()
    instructions: Mapping[str, str] = field(default_factory=dict)
    other_rationales: pl.DataFrame | None = None

    @cached_property
    def approved_rule_ids(self) -> frozenset[str]:
        return frozenset(rule_id for rule_id, status in self.rule_statuses.items() if status == "approved")


def failures(screen: str, found: Iterable[Finding]) -> pl.DataFrame:
    """Return findings as rows of a screen."""
    rows = [(one.candidate_id, screen, one.score, one.matched_id, one.reason) for one in found]
    return pl.DataFrame(rows, schema=FAILURE_SCHEMA, orient="row")


def read_steps(text: str | None) -> tuple[Step, ...] | None:
    """Read stored steps that may be anything; None when they are no list of [label, text]."""
    try:
        pairs = json.loads(text or "[]")
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(pairs, list):
        return None
    steps = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            return None
        steps.append(Step(pair[0], pair[1]))
    return tuple(steps)


def rationale(steps: Sequence[Step] | None) -> str:
    """Return the words of steps, one step a line, without what steps are called; nothing where they cannot be read."""
    return "\n".join(step.text for step in steps or ())
