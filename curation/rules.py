"""Rules as predicates over pair features, their votes, and what the votes say about them.

A rule votes its grade where its condition holds and abstains elsewhere; an abstention is no vote, and a share over
nothing is None. The statistics are those of data programming (arXiv 1605.07723, 1711.10160).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.features import FEATURE_SCHEMA
from curation.intervals import Interval, wilson
from storage.errors import UserError
from storage.ids import content_id
from storage.sql.predicates import check_predicate, matches

ABSTAIN = -1
SECONDS, SECONDS_A_RULE = 10.0, 0.25  # by the clock, for all conditions: a long book on a busy machine is no fault
EDITED = "edited"  # origin of a rule that a person wrote as the next version of its parent; else it was mined
_TYPES: dict[pl.DataType, str] = {
    pl.Int32(): "integer",
    pl.Float64(): "double",
    pl.Boolean(): "boolean",
    pl.List(pl.String()): "varchar[]",
}
# What a condition may speak of: all features, not the pair's id, for a rule that names pairs is a memory, not a rule.
FEATURE_COLUMNS: dict[str, str] = {
    name: _TYPES[column_type] for name, column_type in FEATURE_SCHEMA.items() if name != "pair_id"
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A guideline clause: its words, the condition that makes it executable, and the grade it votes."""

    rule_id: str
    text: str
    condition: str
    grade: int


@dataclass(frozen=True, slots=True)
class RuleStatistics:
    """What a rule's votes cover. Rates are None over no pairs; `accuracy` and its interval over no judged votes."""

    n_pairs: int
    n_votes: int
    coverage_rate: float | None
    overlap_rate: float | None
    conflict_rate: float | None
    n_judged: int
    accuracy: float | None
    accuracy_interval: Interval | None


def make_rule(text: str, condition: str, grade: int) -> Rule:
    """Return a rule under its content id; UserError when it has no text or its condition is no predicate."""
    text, condition = " ".join(text.split()), condition.strip()
    if not text:
        raise UserError(f"the rule with condition {condition!r} has no text. Say in one sentence what it asks for")
    check_predicate(condition, columns=FEATURE_COLUMNS)
    return Rule(content_id("r", text, condition, grade), text, condition, grade)


def vote_matrix(rules: Sequence[Rule], features: pl.DataFrame) -> NDArray[np.int64]:
    """Return the votes, (n_pairs, n_rules): a rule's grade where its condition holds, else ABSTAIN."""
    votes = np.full((len(features), len(rules)), ABSTAIN, dtype=np.int64)
    conditions = {rule.rule_id: rule.condition for rule in rules}
    seconds = SECONDS + SECONDS_A_RULE * len(rules)
    masks = matches(features.select(list(FEATURE_COLUMNS)), conditions, seconds=seconds)
    for column, rule in enumerate(rules):
        votes[masks[rule.rule_id], column] = rule.grade
    return votes


def rule_statistics(votes: NDArray[np.int64], grades: Sequence[int | None] | None) -> list[RuleStatistics]:
    """Return the statistics of each column of `votes` (n_pairs, n_rules).

    `grades` are the settled grades of the pairs, None for an unsettled one. Overlap: another rule votes too;
    conflict: another rule votes another grade; both over all pairs. Accuracy: over judged pairs the rule votes on.
    """
    n_pairs, n_rules = votes.shape
    has_vote = votes != ABSTAIN
    n_others = has_vote.sum(axis=1, keepdims=True) - has_vote
    settled = np.array([ABSTAIN if grade is None else grade for grade in grades or [None] * n_pairs], dtype=np.int64)
    statistics = []
    for rule in range(n_rules):
        fires = has_vote[:, rule]
        conflicts = fires & (has_vote & (votes != votes[:, [rule]])).any(axis=1)
        judged = fires & (settled != ABSTAIN)
        n_judged = int(judged.sum())
        n_right = int((votes[judged, rule] == settled[judged]).sum())
        statistics.append(
            RuleStatistics(
                n_pairs=n_pairs,
                n_votes=int(fires.sum()),
                coverage_rate=_rate(int(fires.sum()), n_pairs),
                overlap_rate=_rate(int((fires & (n_others[:, rule] > 0)).sum()), n_pairs),
                conflict_rate=_rate(int(conflicts.sum()), n_pairs),
                n_judged=n_judged,
                accuracy=_rate(n_right, n_judged),
                accuracy_interval=wilson(n_right, n_judged),
            )
        )
    return statistics


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None
