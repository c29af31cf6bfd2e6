"""The model-free proposer of rules: searches the train judgments around a cluster for what tells its grade apart.

It looks inside the rule in force that the cluster contradicts, where there is one, and so sharpens that rule; else
among all judged pairs. The search and its bounds are those of mining; a proposal must cover a part of the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolution.calls.llm import Reply, Request, Usage
from evolution.rules.folds import condition_of
from evolution.rules.mining import rule_text
from evolution.rules.requests import RuleMaterial
from evolution.rules.search import Found, Judged, find_heads

PROVIDER = "lexical"
MIN_CONTESTED = 20  # judged pairs of the rule contradicted; of fewer the whole is searched
MIN_CLUSTER_RATE = 0.25  # share of the cluster a proposal must cover
MIN_ACCURACY, MIN_VOTES = 0.6, 3


@dataclass(frozen=True, slots=True)
class _Proposal:
    found: Found
    grade: int
    n_covered: int
    worth: float


class LexicalRules:
    """Answers rule requests from judged pairs. `votes` are the pairs (rows of `judged`) each rule in force votes on."""

    provider = PROVIDER

    def __init__(self, judged: Judged, pair_ids: Sequence[str], votes: dict[str, NDArray[np.bool_]]) -> None:
        self._judged, self._votes = judged, votes
        self._rows = {pair_id: row for row, pair_id in enumerate(pair_ids)}
        self._searched: dict[tuple[str | None, int], list[Found]] = {}

    def complete(self, request: Request) -> Reply:
        """Answer with the surest conjunction that covers a part of the cluster, or that there is none."""
        material = request.material
        if not isinstance(material, RuleMaterial):
            raise ValueError(f"the lexical provider has no answer to {request.role} without a cluster")
        parent, contested = self._contested(material)
        rows = np.array([self._rows[one] for one in material.cluster.pair_ids if one in self._rows], np.intp)
        proposals = [
            self._best(grade, parent, contested, rows) for grade in material.targets if grade in material.scale
        ]
        best = max((p for p in proposals if p is not None), key=lambda p: p.worth, default=None)
        if best is None:
            said = "no conjunction of features is surely right and covers a quarter of the cluster"
            return _reply(said, None, material.targets[0])
        text = rule_text(self._judged, best.grade, best.found.atoms)
        condition = condition_of(self._judged.table, best.found.atoms)
        if parent is not None and material.parent is not None:
            within = material.parent.text.removeprefix("Where ").rpartition(", the grade is ")[0]
            text = text.replace("Where ", f"Where {within} and also ", 1) if within else text
            condition = f"({material.parent.condition}) and {condition}"
        return _reply(text, condition, best.grade)

    def _contested(self, material: RuleMaterial) -> tuple[str | None, NDArray[np.bool_]]:
        """Return the rule to look inside, if any, and the judged pairs to look among."""
        everywhere = np.ones(self._judged.truth.size, np.bool_)
        if material.parent is None:
            return None, everywhere
        inside = self._votes[material.parent.rule_id]
        return (material.parent.rule_id, inside) if inside.sum() >= MIN_CONTESTED else (None, everywhere)

    def _best(
        self, grade: int, parent: str | None, contested: NDArray[np.bool_], rows: NDArray[np.intp]
    ) -> _Proposal | None:
        if (parent, grade) not in self._searched:
            inside = self._judged.among(np.flatnonzero(contested))
            self._searched[parent, grade] = find_heads(inside, grade, min_accuracy=MIN_ACCURACY, min_votes=MIN_VOTES)
        base = float((self._judged.truth[contested] == grade).mean())
        best: _Proposal | None = None
        rows = rows[contested[rows]]
        for found in self._searched[parent, grade]:
            n_covered = int(self._judged.table.cover(found.atoms)[rows].sum())
            worth = n_covered * (found.bound - base)
            if n_covered >= max(2, MIN_CLUSTER_RATE * rows.size) and (best is None or worth > best.worth):
                best = _Proposal(found, grade, n_covered, worth)
        return best


def _reply(text: str, condition: str | None, grade: int) -> Reply:
    said = json.dumps({"text": text, "condition": condition, "grade": grade}, ensure_ascii=False)
    return Reply(said, Usage(), 0.0)
