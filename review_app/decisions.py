"""What a reviewer does with a candidate, free of any page: grade, discard, cannot tell, later, undo, redo.

Each is one appended act with an id made by its client from account, session and counter, so that a retried or replayed
act counts once. Acts may arrive in any order and still come to one state: docs/decisions/0008-acts.md has the rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import action_id, content_id
from storage.rows import PreferenceRow, ResponseRow
from storage.store import Store


class ResponseAct(StrEnum):
    SUBMITTED = "submitted"
    DISCARDED = "discarded"
    CANNOT_TELL = "cannot_tell"
    LATER = "later"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Turn:
    """Who acts on which candidate, in which session and when; a counter is used once in its session."""

    candidate_id: str
    pair_id: str
    account: str
    session: str
    sequence: int
    # when the person acted, not when the row arrived: late answers must not overrule later ones
    acted_at: datetime = field(default_factory=now)
    seconds: float | None = None
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One act. `steps` is None where nobody wrote a rationale; `target_id` is the act it takes back or gives again.

    `first_wrong_step` counts the suggestion's steps from 1.
    """

    turn: Turn
    act: ResponseAct
    grade: int | None = None
    steps: str | None = None
    first_wrong_step: int | None = None
    reason: str | None = None
    target_id: str | None = None

    @property
    def response_id(self) -> str:
        return action_id(self.turn.account, self.turn.session, self.turn.sequence)

    def to_row(self, run_id: str | None) -> ResponseRow:
        """Return the row that is stored."""
        turn = self.turn
        return ResponseRow(
            response_id=self.response_id,
            candidate_id=turn.candidate_id,
            pair_id=turn.pair_id,
            account=turn.account,
            act=self.act.value,
            grade=self.grade,
            steps=self.steps,
            first_wrong_step=self.first_wrong_step,
            reason=self.reason,
            target_id=self.target_id,
            seconds=turn.seconds,
            is_replayed=turn.is_replayed,
            session=turn.session,
            sequence=turn.sequence,
            run_id=run_id,
            created_at=turn.acted_at,
        )


@dataclass(frozen=True, slots=True)
class HeldAct:
    """An act of the account on the pair as the store holds it."""

    response_id: str
    act: ResponseAct
    grade: int | None
    steps: str | None
    reason: str | None
    target_id: str | None
    effective_at: datetime
    is_withdrawn: bool
    is_sent_back: bool


@dataclass(frozen=True, slots=True)
class History:
    """Everything one account did on one pair, first act first."""

    acts: tuple[HeldAct, ...]

    def stamp(self, clock: datetime) -> datetime:
        """Return the time of an act by somebody who has seen this history: after all of it, whatever the clock."""
        seen = [act.effective_at + timedelta(microseconds=1) for act in self.acts]
        return max([clock, *seen])

    @property
    def standing(self) -> HeldAct | None:
        """The answer that stands, None when there is none, or when the last was sent back."""
        answer = self._last_in_force(ResponseAct.LATER)
        return None if answer is None or answer.is_sent_back else answer

    @property
    def to_undo(self) -> HeldAct | None:
        """What the next undo takes back: the last act that is not withdrawn, `later` among them."""
        return self._last_in_force()

    @property
    def to_redo(self) -> HeldAct | None:
        """What the next redo gives again: what was undone last, until it is given again or something else is said."""
        held = {act.response_id: act for act in self.acts if act.act is not ResponseAct.WITHDRAWN}
        given_again = {act.target_id for act in held.values()}
        undone: list[str] = []
        seen: set[str] = set()
        for act in self.acts:
            target_id = act.target_id if act.target_id in held else None
            if act.act is ResponseAct.WITHDRAWN:
                # two tabs may undo the same act; the first of them counts
                if target_id is not None and target_id not in seen | given_again:
                    undone.append(target_id)
                seen.add(target_id or "")
            elif target_id is None:
                undone.clear()
        return held[undone[-1]] if undone else None

    def _last_in_force(self, *besides: ResponseAct) -> HeldAct | None:
        left_out = {ResponseAct.WITHDRAWN, *besides}
        return next((a for a in reversed(self.acts) if not a.is_withdrawn and a.act not in left_out), None)


def read_candidate(store: Store, candidate_id: str) -> dict[str, Any]:
    """Return a candidate as a reviewer sees it; UserError when there is none."""
    rows = store.read("candidate", candidate_id=candidate_id).to_pylist()
    if not rows:
        raise UserError(f"there is no candidate {candidate_id!r}. See the next one: afrel --as ACCOUNT respond")
    return dict(rows[0])


def read_history(store: Store, pair_id: str, account: str) -> History:
    """Return what an account did on a pair."""
    rows = store.read("own_acts", pair_id=pair_id, account=account).to_pylist()
    return History(tuple(HeldAct(**{**row, "act": ResponseAct(row["act"])}) for row in rows))


def submit(turn: Turn, grade: int | None, *, steps: str | None = None) -> Response:
    """Give a grade, for the first time or instead of an earlier answer."""
    return Response(turn, ResponseAct.SUBMITTED, grade=grade, steps=steps)


def discard(turn: Turn, reason: str) -> Response:
    """Say that the pair is not worth a grade."""
    return Response(turn, ResponseAct.DISCARDED, reason=reason)


def cannot_tell(turn: Turn) -> Response:
    """Say that the grade cannot be told."""
    return Response(turn, ResponseAct.CANNOT_TELL)


def put_off(turn: Turn) -> Response:
    """Leave the candidate for later; an earlier answer stays."""
    return Response(turn, ResponseAct.LATER)


def undo(turn: Turn, act: HeldAct) -> Response:
    """Take back an act of the same account on the same pair."""
    return Response(turn, ResponseAct.WITHDRAWN, target_id=act.response_id)


def redo(turn: Turn, act: HeldAct) -> Response:
    """Give an undone act again, as an act of its own."""
    return Response(turn, act.act, grade=act.grade, steps=act.steps, reason=act.reason, target_id=act.response_id)


def check_response(response: Response, scale: Scale) -> None:
    """Refuse an act that says too little, too much, or a grade off the scale."""
    act = response.act
    if act is ResponseAct.SUBMITTED and response.grade not in scale:
        raise UserError(f"grade {response.grade} is off the scale {list(scale.values)}. Give one of them: --grade N")
    if act is not ResponseAct.SUBMITTED and response.grade is not None:
        raise UserError(f"an act {act.value!r} carries no grade. Leave --grade out")
    if act is not ResponseAct.SUBMITTED and response.steps is not None:
        raise UserError(f"an act {act.value!r} carries no rationale. Leave --rationale out")
    if act is ResponseAct.DISCARDED and not response.reason:
        raise UserError("a discarded candidate needs a reason. Give one: --discard REASON")
    if act is ResponseAct.WITHDRAWN and response.target_id is None:
        raise UserError("an act 'withdrawn' must name the act it takes back. Take back your last one: --undo")


def save(
    store: Store,
    responses: Sequence[Response],
    *,
    proposals: Mapping[str, tuple[int, str]],
    run_id: str | None = None,
) -> int:
    """Append acts; return how many were new. An edit of the suggestion becomes a preference in the same commit.

    `proposals` gives each graded candidate's proposed grade and stored steps.
    """
    graded = [r for r in responses if r.act is ResponseAct.SUBMITTED]
    edits = [preference_row(r, *proposals[r.turn.candidate_id]) for r in graded]
    rows = [r.to_row(run_id) for r in responses]
    preferences = [edit for edit in edits if edit is not None]
    return store.append({"responses": rows, "preferences": preferences}).get("responses", 0)


def preference_row(response: Response, proposed_grade: int, proposed_steps: str) -> PreferenceRow | None:
    """Return the expert's edit chosen over the original, None when a grade accepts the suggestion as it is."""
    same_grade = response.grade == proposed_grade
    if same_grade and response.steps in (None, proposed_steps):
        return None
    chosen = {"grade": response.grade, "steps": json.loads(response.steps) if response.steps else None}
    rejected = {"grade": proposed_grade, "steps": json.loads(proposed_steps)}
    return PreferenceRow(
        preference_id=content_id("pf", response.response_id),
        pair_id=response.turn.pair_id,
        chosen=json.dumps(chosen, ensure_ascii=False),
        rejected=json.dumps(rejected, ensure_ascii=False),
        response_id=response.response_id,
        created_at=now(),
    )
