"""People's word on rules and instructions: approve or reject, as acts that may be taken back by a later one.

The id of an act is made of who decides what on top of which earlier decision. A second click, a second tab or a retry
that has not seen the first act makes the same id, and the store counts it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.rule_votes import cast_votes
from curation.rules import EDITED, Rule
from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id
from storage.runs import start_run
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says of rules or instructions: `decision` is approve or reject."""

    kind: str
    decision: str
    account: str
    reason: str | None = None

    @property
    def status(self) -> str:
        """The status that follows."""
        return {"approve": "approved", "reject": "rejected"}[self.decision]


def undecided(book: pl.DataFrame, content_ids: Sequence[str], decision: Decision) -> list[str]:
    """Return those of the ids whose status is not yet what the decision makes it; UserError names unknown ids.

    `book` has a column `<kind>_id` and one `status`.
    """
    key = f"{decision.kind}_id"
    status = dict(book.select(key, "status").iter_rows())
    unknown = [one for one in content_ids if one not in status]
    if unknown:
        raise UserError(
            f"no {decision.kind} {', '.join(unknown)}. See what there is: afrel approve --kind {decision.kind} --list"
        )
    return [one for one in dict.fromkeys(content_ids) if status[one] != decision.status]


def decide(store: Store, content_ids: Sequence[str], decision: Decision) -> int:
    """Append one act for each id; return how many were new."""
    config = {"kind": decision.kind, "decision": decision.decision, "n": len(content_ids)}
    before = last_decisions(store, decision.kind)
    with start_run(store, verb="approve", config=config, account=decision.account) as run:
        if decision.kind == "rule" and decision.decision == "approve":
            for rule in _cut_short(store, content_ids):
                cast_votes(store, rule, run.run_id)
        rows = approval_rows(content_ids, decision, before=before, run_id=run.run_id)
        n_new = store.append({"approvals": rows}).get("approvals", 0)
        run.counts.update(approvals=n_new)
    return n_new


def last_decisions(store: Store, kind: str) -> dict[str, str]:
    """Return for everything of a kind that was decided the id of the decision that stands."""
    return {row["content_id"]: row["approval_id"] for row in store.read("last_decisions", kind=kind).to_pylist()}


def approval_rows(
    content_ids: Sequence[str], decision: Decision, *, before: Mapping[str, str], run_id: str
) -> list[dict[str, Any]]:
    """Return one act for each id as rows; `before` names the decision that stood when the person decided."""
    return [
        {
            "approval_id": action_id(
                decision.account, f"{decision.kind} {content} {decision.decision} after {before.get(content, '')}", 1
            ),
            "kind": decision.kind,
            "content_id": content,
            "decision": decision.decision,
            "account": decision.account,
            "reason": decision.reason,
            "sequence": sequence,
            "run_id": run_id,
            "created_at": now(),
        }
        for sequence, content in enumerate(content_ids, 1)
    ]


def _cut_short(store: Store, rule_ids: Sequence[str]) -> list[Rule]:
    """Return those of the rules that may lack votes: a version written by hand is decided once it has voted."""
    return [
        Rule(row["rule_id"], row["text"], row["condition"], row["grade"])
        for row in store.read("rules").to_pylist()
        if row["rule_id"] in rule_ids and row["origin"] == EDITED and row["status"] == "proposed"
    ]
