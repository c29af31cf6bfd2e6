"""What is known of the pairs to be labelled, gathered a slice at a time: a long run holds no more than a short one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.features import FEATURE_SCHEMA, evidence_line
from curation.rules import ABSTAIN, Rule, vote_matrix
from evolution.labelling.grading import Grader, fit_grader
from evolution.labelling.rationale import VotingRule
from evolution.labelling.request import LabelMaterial
from evolution.prompts import load_prompt
from storage.clock import now
from storage.grades import Scale
from storage.ids import content_id
from storage.store import Store

SLICE = 2000


@dataclass(frozen=True, slots=True)
class InstructionInForce:
    """The instruction that is labelled under."""

    text: str
    is_stored: bool

    @property
    def instruction_id(self) -> str:
        return content_id("i", self.text)

    def row(self, run_id: str) -> dict[str, Any]:
        """Return it as a row of `instructions`."""
        return {
            "instruction_id": self.instruction_id,
            "text": self.text,
            "parent_id": None,
            "operator": "built-in",
            "generation": 0,
            "run_id": run_id,
            "created_at": now(),
        }


def instruction_in_force(store: Store) -> InstructionInForce:
    """Return the approved instruction of the latest generation, else the workspace's first, else the built-in one."""
    rows = store.read("instruction_in_force").to_pylist()
    if rows:
        return InstructionInForce(rows[0]["text"], True)
    return InstructionInForce(load_prompt("instruction").text, False)


def fit_on_train(store: Store, rules: Sequence[Rule], scale: Scale) -> Grader:
    """Fit the lexical grader, which also weighs the rules, on judged train pairs only."""
    judged = store.frame("train_features", judgments="all")
    features = judged.select(list(FEATURE_SCHEMA))
    return fit_grader(
        features,
        judged["grade"].to_list(),
        vote_matrix(rules, features) != ABSTAIN,
        [rule.grade for rule in rules],
        queries=judged["root_query_id"].to_list(),
        scale=scale,
    )


def materials(
    pairs: pl.DataFrame, features: pl.DataFrame, rules: Sequence[Rule], grader: Grader, *, with_proposals: bool
) -> Iterator[LabelMaterial]:
    """Yield the material of each pair, in order; with the lexical grader's proposal where asked for."""
    for part in pairs.iter_slices(SLICE):
        known = part.select("pair_id").join(features, on="pair_id", how="left", maintain_order="left")
        votes = vote_matrix(rules, known.select(list(FEATURE_SCHEMA))) != ABSTAIN
        proposals = grader.propose(known, votes) if with_proposals else [None] * len(part)
        rows = zip(part.iter_rows(named=True), known.iter_rows(named=True), strict=True)
        for i, (pair, row) in enumerate(rows):
            yield LabelMaterial(
                pair_id=pair["pair_id"],
                query=pair["query"],
                title=pair["title"],
                body=pair["body"],
                fields={name: str(value) for name, value in json.loads(pair["fields"] or "{}").items()},
                features=row,
                evidence=evidence_line(row),
                rules=_voting(rules, votes[i], grader),
                scale=grader.scale,
                proposal=proposals[i],
            )


def _voting(rules: Sequence[Rule], votes: Any, grader: Grader) -> tuple[VotingRule, ...]:
    """Return the rules that vote on a pair, the weightiest first."""
    scale = grader.scale
    voting = [
        VotingRule(
            rules[k].rule_id, rules[k].text, rules[k].grade, float(grader.meanings[k, scale.position(rules[k].grade)])
        )
        for k in votes.nonzero()[0]
    ]
    return tuple(sorted(voting, key=lambda rule: (-rule.weight, rule.rule_id)))
