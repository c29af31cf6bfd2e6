"""Searches judged train pairs for what tells grades apart, in words: for the model-free forms of edits.

The search and its bounds are those of rule mining; what it finds is a sentence of the instruction here and no rule, so
it is not held against the gate of rules but against what labelling under it is worth.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from curation.features import FEATURE_SCHEMA
from evolution.rules.atoms import read_atoms
from evolution.rules.disagreements import Cluster
from evolution.rules.lexical import LexicalRules
from evolution.rules.mining import rule_text
from evolution.rules.requests import RuleMaterial, rule_request
from evolution.rules.search import Found, Judged, find_heads
from storage.grades import Scale

MAX_PAIRS = 3000  # searched: of more, the first by pair id, which is a fixed draw
MIN_ACCURACY, MIN_VOTES = 0.6, 3


@dataclass(frozen=True)
class TrainSearch:
    """Judged train pairs, with features and grade, ready to be searched."""

    train: pl.DataFrame
    scale: Scale

    def constraint_for(self, cluster: Cluster) -> str | None:
        """Return a sentence that holds surely for a part of the cluster, with the cluster's judged grade; None."""
        if not self._judged.table.atoms:
            return None
        proposer = LexicalRules(self._judged, self._pairs["pair_id"].to_list(), {})
        material = RuleMaterial(cluster, (), None, self.scale)
        reply = proposer.complete(rule_request(material, instruction="", model="", parameters={}, seed=None))
        said = json.loads(reply.text or "{}")
        return str(said["text"]) if said.get("condition") else None

    def boundary_lines(self, lower: int, upper: int, wrong: Collection[str]) -> list[str]:
        """Return sentences that tell two grades apart among their pairs; those about pairs graded wrongly first."""
        rows = np.flatnonzero(self._pairs["grade"].is_in([lower, upper]).to_numpy())
        if not self._judged.table.atoms or len(np.unique(self._judged.truth[rows])) < 2:
            return []
        judged = self._judged.among(rows)
        is_wrong = self._pairs["pair_id"].is_in(list(wrong)).to_numpy()[rows]
        found: list[tuple[int, float, str]] = []
        for grade, other in ((lower, upper), (upper, lower)):
            for one in _simple(find_heads(judged, grade, min_accuracy=MIN_ACCURACY, min_votes=MIN_VOTES)):
                n_wrong = int((is_wrong & judged.table.cover(one.atoms) & (judged.truth == grade)).sum())
                where = rule_text(judged, grade, one.atoms).rpartition(", the grade is ")[0].removeprefix("Where ")
                line = (
                    f"Between {self._named(lower)} and {self._named(upper)}: where {where}, it is {grade}, not {other}."
                )
                found.append((n_wrong, one.bound, line))
        found.sort(key=lambda one: (-one[0], -one[1], one[2]))
        return [line for _, _, line in found]

    @cached_property
    def _pairs(self) -> pl.DataFrame:
        return self.train.sort("pair_id").head(MAX_PAIRS)

    @cached_property
    def _judged(self) -> Judged:
        groups = np.unique(self._pairs["root_query_id"].to_numpy(), return_inverse=True)[1]
        table = read_atoms(self._pairs.select(list(FEATURE_SCHEMA)), groups)
        return Judged(table, self._pairs["grade"].to_numpy(), groups, self.scale)

    def _named(self, grade: int) -> str:
        return f"{grade} ({self.scale.name(grade)})"


def _simple(found: Sequence[Found]) -> list[Found]:
    """Return those of at most two comparisons: longer ones are no sentence a person keeps in mind."""
    return [one for one in found if len(one.atoms) <= 2][:20]
