"""The audit of a tier, free of any page: twenty of its rows, drawn and repeatable, each called right or wrong.

A mark is an act of its auditor on a judgment (an approval of kind `audit`), stored when it is made; it names the audit
and its rows, so that an audit goes on after a break, anywhere. Test rows are never drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from curation.completion import Step, steps_from_json
from curation.intervals import Interval, wilson
from curation.tier_audit import Reason, draw_rows, reasons
from curation.tiers import Tier
from review_app.tier_stand import Stand
from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id, canonical_json, content_id, new_session
from storage.people.accounts import Act, Pin, require
from storage.store import Store

KIND = "audit"


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows drawn from a tier of `n_rows` train and dev rows, by judgment, in the order they are looked at."""

    audit_id: str
    tier: int
    name: str
    where: str
    seed: int
    n_rows: int
    judgment_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row as the auditor sees it. `steps` is None where it trains without a rationale.

    `reasons` are the alternatives of the predicate it meets now; none when it has left the tier since it was drawn.
    """

    judgment_id: str
    split: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    grade: int
    steps: tuple[Step, ...] | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How an audit stands: `n_right` of `n_marked`, with the interval of the tier's share of right rows."""

    n_right: int
    n_marked: int

    @property
    def interval(self) -> Interval | None:
        return wilson(self.n_right, self.n_marked)


@dataclass(frozen=True, slots=True)
class PastAudit:
    """An audit that somebody began, and how it stands."""

    audit: Audit
    account: str
    at: datetime
    tally: Tally


def draw_audit(person: Pin, stand: Stand, tiers: Sequence[Tier], tier: Tier, *, seed: int) -> Audit:
    """Draw rows of a tier as `tiers` would have it; UserError when it holds no train or dev row."""
    require(person, Act.APPROVE)
    is_member = (stand.tiers_of(tiers) == tier.tier) & (stand.facts["split"] != "test")
    members = stand.facts.select("judgment_id", "grade").filter(is_member.fill_null(False))
    if members.is_empty():
        raise UserError(f"tier {tier.tier} {tier.name} holds no train or dev row, so there is nothing to audit")
    ids = tuple(draw_rows(members, seed=seed)["judgment_id"].to_list())
    audit_id = content_id("au", tier.where, seed, list(ids))
    return Audit(audit_id, tier.tier, tier.name, tier.where, seed, len(members), ids)


def read_rows(person: Pin, store: Store, stand: Stand | None, audit: Audit) -> list[AuditRow]:
    """Return an audit's rows with their texts, in its order."""
    require(person, Act.APPROVE)
    known = stand.facts.filter(pl.col("judgment_id").is_in(audit.judgment_ids)) if stand is not None else None
    why: dict[str, tuple[Reason, ...]] = {}
    candidate_ids: list[str] = []
    if known is not None:
        why = dict(zip(known["judgment_id"].to_list(), reasons(known, audit.where), strict=True))
        candidate_ids = known["candidate_id"].drop_nulls().to_list()
    asked = {"judgment_ids": list(audit.judgment_ids), "candidate_ids": candidate_ids}
    rows = {row["judgment_id"]: row for row in store.read("audit_rows", **asked).to_pylist()}
    return [_row(rows[one], why.get(one, ())) for one in audit.judgment_ids if one in rows]


def mark(person: Pin, store: Store, audit: Audit, judgment_id: str, *, is_right: bool) -> None:
    """Store what the auditor says of a row; a later word on it counts."""
    require(person, Act.APPROVE)
    if judgment_id not in audit.judgment_ids:
        raise UserError(f"judgment {judgment_id!r} is not among the rows of this audit")
    held = store.read("audit_marks", account=person.account, audit_id=audit.audit_id).column("sequence").to_pylist()
    sequence = max(held, default=0) + 1
    row = {
        "approval_id": action_id(person.account, new_session(), sequence),
        "kind": KIND,
        "content_id": judgment_id,
        "decision": "right" if is_right else "wrong",
        "account": person.account,
        "reason": canonical_json(asdict(audit)),
        "sequence": sequence,
        "created_at": now(),
    }
    store.append({"approvals": [row]})


def read_marks(person: Pin, store: Store, audit: Audit) -> dict[str, bool]:
    """Return which rows of an audit the person called right (True) or wrong."""
    require(person, Act.APPROVE)
    rows = store.read("audit_marks", account=person.account, audit_id=audit.audit_id).to_pylist()
    return {row["judgment_id"]: row["decision"] == "right" for row in rows}


def tally(marks: Mapping[str, bool]) -> Tally:
    """Return how an audit stands."""
    return Tally(sum(marks.values()), len(marks))


def past_audits(person: Pin, store: Store) -> list[PastAudit]:
    """Return all audits, the latest first."""
    require(person, Act.APPROVE)
    return [
        PastAudit(_audit(row["drawn"]), row["account"], row["marked_at"], Tally(row["n_right"], row["n_marked"]))
        for row in store.read("audits").to_pylist()
    ]


def _audit(drawn: str) -> Audit:
    stated: dict[str, Any] = json.loads(drawn)
    return Audit(**{**stated, "judgment_ids": tuple(stated["judgment_ids"])})


def _row(row: Mapping[str, Any], why: tuple[Reason, ...]) -> AuditRow:
    steps = row["settled_steps"]
    if steps is None and row["proposed_grade"] == row["grade"]:
        steps = row["proposed_steps"]
    return AuditRow(
        judgment_id=row["judgment_id"],
        split=row["split"],
        query=row["query"],
        title=row["title"],
        body=row["body"],
        fields=json.loads(row["fields"]),
        grade=row["grade"],
        steps=steps_from_json(steps) if steps and steps != "[]" else None,
        reasons=why,
    )
