"""Rows that are written one by one, as frozen dataclasses: a field that is missing or misspelt is a type error.

Each mirrors a table of `migrations/`; a test holds the two equal. The first field is the id. None means absent, never
zero. Rows that come by the thousand (features, votes, candidates, predictions) travel as frames instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of `table`."""

    table: ClassVar[str]

    def to_mapping(self) -> dict[str, Any]:
        """Return column -> value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow(Row):
    """One execution of a verb; `config` and `counts` are JSON, `process` is as `storage.liveness` writes it."""

    table: ClassVar[str] = "runs"
    run_id: str
    verb: str
    status: str
    input_digest: str | None = None
    config: str
    counts: str | None = None
    code_version: str
    account: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    process: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow(Row):
    """A verb as a process of its own; `fields` is JSON, `process` its runner, a negative `exit_status` a signal."""

    table: ClassVar[str] = "jobs"
    job_id: str
    verb: str
    fields: str
    status: str
    account: str | None = None
    run_id: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
    started_at: datetime | None = None
    process: str | None = None
    exit_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow(Row):
    """An account as pinned from now on; a later row of the account wins."""

    table: ClassVar[str] = "accounts"
    account_event_id: str
    account: str
    role: str
    public_key: str
    pseudonym: str
    by_account: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRow(Row):
    """One grade of the scale."""

    table: ClassVar[str] = "grades"
    grade_id: str
    grade: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRow(Row):
    """A query; a mutated one names the root it comes from and has its split."""

    table: ClassVar[str] = "queries"
    query_id: str
    text: str
    root_query_id: str
    split: str
    source: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DocRow(Row):
    """A doc; `fields` is a JSON object of texts."""

    table: ClassVar[str] = "docs"
    doc_id: str
    title: str
    body: str
    fields: str
    source: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIdRow(Row):
    """What a source calls a query or doc."""

    table: ClassVar[str] = "external_ids"
    external_id_id: str
    source: str
    kind: str
    external_id: str
    content_id: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow(Row):
    """A query with a doc; `origin` is import, mutation or pool."""

    table: ClassVar[str] = "pairs"
    pair_id: str
    query_id: str
    doc_id: str
    split: str
    origin: str
    source: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRejectRow(Row):
    """A record of a source that was not taken."""

    table: ClassVar[str] = "ingest_rejects"
    ingest_reject_id: str
    source: str
    line: int
    reason: str
    value: str | None = None
    record: str | None = None
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionRow(Row):
    """A version of the labelling guideline."""

    table: ClassVar[str] = "instructions"
    instruction_id: str
    text: str
    parent_id: str | None = None
    operator: str
    generation: int
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningRow(Row):
    """What a screen said of a candidate."""

    table: ClassVar[str] = "screenings"
    screening_id: str
    candidate_id: str
    screen: str
    is_passed: bool
    score: float | None = None
    matched_id: str | None = None
    reason: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRow(Row):
    """One act of one reviewer on one candidate."""

    table: ClassVar[str] = "responses"
    response_id: str
    candidate_id: str
    pair_id: str
    account: str
    act: str
    grade: int | None = None
    steps: str | None = None
    first_wrong_step: int | None = None
    reason: str | None = None
    target_id: str | None = None
    seconds: float | None = None
    is_replayed: bool
    session: str
    sequence: int
    run_id: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRow(Row):
    """What a person wrote beside a candidate."""

    table: ClassVar[str] = "comments"
    comment_id: str
    candidate_id: str
    account: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBackRow(Row):
    """Answers on a pair that stand no more: `n_required` people are asked again, and told the reason."""

    table: ClassVar[str] = "send_backs"
    send_back_id: str
    candidate_id: str
    pair_id: str
    account: str
    response_ids: Sequence[str]
    n_required: int
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgmentRow(Row):
    """A settled grade; a consensus names the responses it rests on."""

    table: ClassVar[str] = "judgments"
    judgment_id: str
    pair_id: str
    grade: int
    origin: str
    candidate_id: str | None = None
    account: str | None = None
    response_ids: Sequence[str]
    steps: str | None = None
    reason: str | None = None
    is_replayed: bool
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRow(Row):
    """An expert edit, or with a `proposer` a machine's, chosen over the suggestion; both as JSON {grade, steps}."""

    table: ClassVar[str] = "preferences"
    preference_id: str
    pair_id: str
    chosen: str
    rejected: str
    response_id: str | None = None
    run_id: str | None = None
    created_at: datetime
    candidate_id: str | None = None
    proposer: str | None = None
    llm_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow(Row):
    """A snapshot in the register."""

    table: ClassVar[str] = "snapshots"
    snapshot_id: str
    manifest_digest: str
    account: str
    n_rows: int
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTierRow(Row):
    """A tier of a snapshot in the register."""

    table: ClassVar[str] = "tiers"
    snapshot_tier_id: str
    snapshot_id: str
    tier: int
    name: str
    predicate: str
    digest: str
    n_rows: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRow(Row):
    """A signature of a tier in the register."""

    table: ClassVar[str] = "signatures"
    signature_id: str
    snapshot_id: str
    tier: int
    account: str
    signature: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRow(Row):
    """A revocation; no tier means the whole snapshot."""

    table: ClassVar[str] = "revocations"
    revocation_id: str
    snapshot_id: str
    tier: int | None = None
    account: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCauseRow(Row):
    """A cause for a second look; a later row of the cause wins."""

    table: ClassVar[str] = "review_causes"
    review_cause_id: str
    cause: str
    predicate: str
    n_required: int
    created_at: datetime
