"""What is kept of every proposed rule, taken or turned away: a row of `rule_proposals` with counts and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curation.rules import Rule
from evolution.rules.counts import RuleCount
from evolution.rules.folds import HeldOut
from storage.ids import content_id

JUDGMENTS = "judgments"  # source of a rule mined from judgments; the others are kinds of disagreement


@dataclass(frozen=True, slots=True)
class RuleProposal:
    """A proposed rule. `rule` is None when its condition is no predicate: then nothing could be counted.

    `said` is (text, condition, grade) as proposed. `example_ids` and `counter_ids` name the pairs it was made from or
    is held against.
    """

    source: str
    proposer: str
    said: tuple[str, str, int | None]
    rule: Rule | None
    is_kept: bool
    reason: str
    parent_id: str | None = None
    count: RuleCount | None = None
    held_out: HeldOut | None = None
    example_ids: tuple[str, ...] = ()
    counter_ids: tuple[str, ...] = ()
    llm_call_id: str | None = None

    def row(self, *, run_id: str, at: datetime) -> dict[str, Any]:
        """Return the row of `rule_proposals`."""
        text, condition, grade = self.said
        count, held = self.count, self.held_out
        content = (run_id, self.source, text, condition, grade, self.llm_call_id, list(self.example_ids))
        return {
            "rule_proposal_id": content_id("rp", *content),
            "rule_id": self.rule.rule_id if self.rule is not None and self.is_kept else None,
            "parent_id": self.parent_id,
            "source": self.source,
            "proposer": self.proposer,
            "text": text,
            "condition": condition,
            "grade": grade,
            "is_kept": self.is_kept,
            "reason": self.reason,
            "n_judged": count.n_judged if count else None,
            "n_votes": count.n_votes if count else None,
            "n_right": count.n_right if count else None,
            "n_held_out": held.n_votes if held else None,
            "n_held_out_right": held.n_right if held else None,
            "is_confirmed": held.is_confirmed if held else None,
            "n_conflicts": count.n_conflicts if count else None,
            "example_pair_ids": list(self.example_ids),
            "counter_pair_ids": list(self.counter_ids),
            "llm_call_id": self.llm_call_id,
            "run_id": run_id,
            "created_at": at,
        }

    def rule_row(self, *, run_id: str, at: datetime) -> dict[str, Any]:
        """Return the row of `rules` of a kept proposal."""
        assert self.rule is not None and self.is_kept
        return {
            "rule_id": self.rule.rule_id,
            "text": self.rule.text,
            "condition": self.rule.condition,
            "grade": self.rule.grade,
            "parent_id": self.parent_id,
            "origin": "mined",
            "run_id": run_id,
            "created_at": at,
        }


def proposal_tables(proposals: Sequence[RuleProposal], *, run_id: str, at: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a run's proposals: the kept ones as rules, all as proposals, each once."""
    rules = [one.rule_row(run_id=run_id, at=at) for one in proposals if one.is_kept]
    rows = [one.row(run_id=run_id, at=at) for one in proposals]
    return {
        "rules": list({row["rule_id"]: row for row in rules}.values()),
        "rule_proposals": list({row["rule_proposal_id"]: row for row in rows}.values()),
    }
