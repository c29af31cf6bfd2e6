"""What people decide, free of any page: answers, undo, consensus, adjudication. Each act is one appended row.

An answer carries an id made by its client from account, session and counter, so a retried or replayed answer counts
once. The suggestion's rationale never travels with another grade.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from curation.adjudication import Answer, Rationale, consensus, travelling_steps
from curation.completion import Step, steps_from_json, steps_to_json
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import action_id, content_id
from storage.rows import JudgmentRow, PreferenceRow, ResponseRow
from storage.store import Store


class ResponseAct(StrEnum):
    SUBMITTED = "submitted"
    DISCARDED = "discarded"
    CANNOT_TELL = "cannot_tell"
    LATER = "later"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Response:
    """One act of one reviewer on one candidate. `steps` is the stored form, None when nobody wrote a rationale."""

    candidate_id: str
    pair_id: str
    account: str
    act: ResponseAct
    session: str
    sequence: int
    grade: int | None = None
    steps: str | None = None
    reason: str | None = None
    target_id: str | None = None
    seconds: float | None = None
    is_replayed: bool = False
    # when the person acted, not when the row arrived: late answers must not overrule later ones
    acted_at: datetime = field(default_factory=now)

    @property
    def response_id(self) -> str:
        return action_id(self.account, self.session, self.sequence)


def read_candidate(store: Store, candidate_id: str) -> dict[str, Any]:
    """Return a candidate as a reviewer sees it; UserError when there is none."""
    rows = store.read("candidate", candidate_id=candidate_id).to_pylist()
    if not rows:
        raise UserError(f"there is no candidate {candidate_id!r}. See the next one: afrel --as ACCOUNT respond")
    return dict(rows[0])


def check_response(response: Response, scale: Scale) -> None:
    """Refuse an answer that says too little, too much, or a grade off the scale."""
    if response.act is ResponseAct.SUBMITTED and response.grade not in scale:
        raise UserError(f"grade {response.grade} is off the scale {list(scale.values)}. Give one of them: --grade N")
    if response.act is not ResponseAct.SUBMITTED and response.grade is not None:
        raise UserError(f"an act {response.act.value!r} carries no grade. Leave --grade out")
    if response.act is ResponseAct.DISCARDED and not response.reason:
        raise UserError("a discarded candidate needs a reason. Give one: --discard REASON")


def submit(
    store: Store,
    responses: Sequence[Response],
    *,
    proposals: Mapping[str, tuple[int, str]],
    run_id: str | None = None,
) -> int:
    """Append answers; return how many were new. An edit of the suggestion becomes a preference in the same commit.

    `proposals` gives each candidate's proposed grade and stored steps.
    """
    edits = [preference_row(r, *proposals[r.candidate_id]) for r in responses]
    rows = [
        ResponseRow(
            response_id=r.response_id,
            candidate_id=r.candidate_id,
            pair_id=r.pair_id,
            account=r.account,
            act=r.act.value,
            grade=r.grade,
            steps=r.steps,
            reason=r.reason,
            target_id=r.target_id,
            seconds=r.seconds,
            is_replayed=r.is_replayed,
            session=r.session,
            sequence=r.sequence,
            run_id=run_id,
            created_at=r.acted_at,
        )
        for r in responses
    ]
    preferences = [edit for edit in edits if edit is not None]
    return store.append({"responses": rows, "preferences": preferences}).get("responses", 0)


def preference_row(response: Response, proposed_grade: int, proposed_steps: str) -> PreferenceRow | None:
    """Return the expert's edit chosen over the original, None when the answer accepts the suggestion as it is."""
    if response.act is not ResponseAct.SUBMITTED:
        return None
    same_grade = response.grade == proposed_grade
    if same_grade and response.steps in (None, proposed_steps):
        return None
    chosen = {"grade": response.grade, "steps": json.loads(response.steps) if response.steps else None}
    rejected = {"grade": proposed_grade, "steps": json.loads(proposed_steps)}
    return PreferenceRow(
        preference_id=content_id("pf", response.response_id),
        pair_id=response.pair_id,
        chosen=json.dumps(chosen, ensure_ascii=False),
        rejected=json.dumps(rejected, ensure_ascii=False),
        response_id=response.response_id,
        created_at=now(),
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """A pair with all the answers it needs and no judgment yet."""

    candidate_id: str
    pair_id: str
    query_ref: str | None
    doc_ref: str | None
    n_required: int
    proposed: Rationale
    answers: tuple[Answer, ...]
    written: tuple[Rationale, ...]
    has_replayed: bool

    def steps_for(self, grade: int) -> str | None:
        """Return the stored steps that may go with a grade, None when there are none."""
        steps: tuple[Step, ...] | None = travelling_steps(grade, self.proposed, written=self.written)
        return steps_to_json(steps) if steps else None


def read_answered(store: Store, *, candidate_id: str | None = None) -> list[Answered]:
    """Return every pair that has its answers and no judgment; also a settled one whose candidate is named."""
    rows = store.read("answers_to_settle", candidate_id=candidate_id or "").to_pylist()
    answered = []
    for _, group in groupby(rows, key=lambda row: row["candidate_id"]):
        members = list({row["response_id"]: row for row in group}.values())
        first = members[0]
        answered.append(
            Answered(
                candidate_id=first["candidate_id"],
                pair_id=first["pair_id"],
                query_ref=first["query_ref"],
                doc_ref=first["doc_ref"],
                n_required=first["n_required"],
                proposed=Rationale(first["proposed_grade"], steps_from_json(first["proposed_steps"])),
                answers=tuple(Answer(m["response_id"], m["account"], m["act"], m["grade"]) for m in members),
                written=tuple(
                    Rationale(m["grade"], steps_from_json(m["steps"]))
                    for m in members
                    if m["grade"] is not None and m["steps"]
                ),
                has_replayed=any(m["is_replayed"] for m in members),
            )
        )
    return answered


def settle_by_consensus(answered: Iterable[Answered], *, run_id: str) -> list[JudgmentRow]:
    """Return the judgments that people's answers already carry; pairs without consensus give none."""
    judgments = []
    for pair in answered:
        agreed = consensus(pair.answers, n_required=pair.n_required)
        if agreed is None:
            continue
        judgments.append(
            JudgmentRow(
                judgment_id=content_id("j", "consensus", pair.pair_id, list(agreed.response_ids)),
                pair_id=pair.pair_id,
                grade=agreed.grade,
                origin="consensus",
                candidate_id=pair.candidate_id,
                response_ids=agreed.response_ids,
                steps=pair.steps_for(agreed.grade),
                is_replayed=pair.has_replayed,
                run_id=run_id,
                created_at=now(),
            )
        )
    return judgments


@dataclass(frozen=True, slots=True)
class Decision:
    """What an adjudicator says of a disputed pair. `judgment_id` is the act's id."""

    pair: Answered
    grade: int
    account: str
    reason: str | None
    is_replayed: bool
    judgment_id: str


def adjudicated_row(decision: Decision, *, run_id: str) -> JudgmentRow:
    """Return the judgment a decision makes; the suggestion's rationale stays only with its own grade."""
    return JudgmentRow(
        judgment_id=decision.judgment_id,
        pair_id=decision.pair.pair_id,
        grade=decision.grade,
        origin="adjudicated",
        candidate_id=decision.pair.candidate_id,
        account=decision.account,
        response_ids=sorted(answer.response_id for answer in decision.pair.answers),
        steps=decision.pair.steps_for(decision.grade),
        reason=decision.reason,
        is_replayed=decision.is_replayed,
        run_id=run_id,
        created_at=now(),
    )
