"""What a reviewer works with, free of any page: cards to answer, acts to save, a rule to look up, a comment to leave.

A card never says what others answered, nor that it is asked again for somebody else's answer: a second opinion must be
its own. Of a blind card the suggestion stays on the server until the person's answer is stored.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.completion import STEP_LABELS, Step, one_line, steps_from_json, steps_to_json
from curation.text import join_bigrams
from review_app.decisions import Response, ResponseAct, Turn, check_response, save
from storage.clock import now, to_ms
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import action_id
from storage.people.accounts import Act, Pin, require
from storage.rows import CommentRow
from storage.session import read_scale
from storage.store import Store

MOST_CARDS = 300  # of a claim: ten minutes of a fast reviewer who loses the network
MOST_ACTS = 500
MOST_COMMENT_CHARACTERS = 4000
MOST_STEP_CHARACTERS = 4000
MOST_SHARE = 5  # of what waits one person holds at most a fifth, or a few
FEW_CARDS = 40
# Causes a reviewer may be told; the others speak of what somebody else answered, or mark an audit.
_TOLD_CAUSES = ("rule_conflict", "low_confidence")
_AUDIT = "blind_audit"
_SENT_BACK = "sent_back"
_NAME_IN_USE = "this session has used this number for another candidate; nothing is stored twice"
# label and text; JSON knows no pairs
SentStep = Annotated[list[Annotated[str, Field(max_length=MOST_STEP_CHARACTERS)]], Field(min_length=2, max_length=2)]


class SentAct(BaseModel):
    """An act as a browser sends it. `at` is when the person acted, in ms since 1970 by the server's clock.

    `target` names another act of the person: `session:sequence`, or its id.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    session: str = Field(pattern=r"^[0-9a-f]{8,32}$")
    sequence: int = Field(ge=1, le=2**53)
    candidate_id: str = Field(max_length=80)
    act: str = Field(max_length=20)
    at: float = Field(ge=1e12, le=1e14)
    grade: int | None = None
    steps: list[SentStep] | None = Field(default=None, max_length=len(STEP_LABELS))
    first_wrong_step: int | None = Field(default=None, ge=1, le=len(STEP_LABELS))
    reason: str | None = Field(default=None, max_length=MOST_COMMENT_CHARACTERS)
    target: str | None = Field(default=None, max_length=160)
    seconds: float | None = Field(default=None, ge=0, le=86_400)
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a sent act: stored, or refused in words.

    `suggestion` is told once a grade is stored, with the rules' `votes` where the card was blind.
    """

    session: str
    sequence: int
    refused: str | None = None
    suggestion: Mapping[str, Any] | None = None
    votes: Sequence[Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "session": self.session,
            "sequence": self.sequence,
            "refused": self.refused,
            "suggestion": self.suggestion,
            "votes": list(self.votes),
        }


@dataclass(frozen=True, slots=True)
class Hand:
    """Cards that were claimed, and how many candidates wait in all."""

    cards: Sequence[Mapping[str, Any]]
    n_waiting: int


def claim_cards(person: Pin, store: Store, n: int, *, held: Collection[str] = (), is_blind: bool = False) -> Hand:
    """Lease up to n more candidates for a person and return their cards; `held` are on the person's screens already.

    A tab holds cards that others of the person's tabs do not: whoever asks names all of them.
    """
    require(person, Act.REVIEW)
    n_waiting = store.read("queue_length")["n"][0].as_py()
    most = min(MOST_CARDS, max(FEW_CARDS, n_waiting // MOST_SHARE))
    leased = store.claim(person.account, min(max(0, n) + len(held), most)).column("candidate_id").to_pylist()
    named = [one for one in leased if one not in held][:n]
    return Hand(read_cards(person, store, named, is_blind=is_blind), n_waiting)


def read_cards(
    person: Pin, store: Store, candidate_ids: Sequence[str], *, is_blind: bool = False
) -> list[dict[str, Any]]:
    """Return the cards of candidates, in their order; one that is not there is left out."""
    require(person, Act.REVIEW)
    if not candidate_ids:
        return []
    rows = {
        row["candidate_id"]: row for row in store.read("review_cards", candidate_ids=list(candidate_ids)).to_pylist()
    }
    votes = _votes(store, candidate_ids)
    reasons = _sent_back_to(person, store, [one for one, row in rows.items() if _SENT_BACK in _causes(row)])
    return [
        _card(rows[one], votes.get(one, []), is_blind=is_blind, sent_back=reasons.get(one))
        for one in candidate_ids
        if one in rows
    ]


def save_acts(person: Pin, store: Store, sent: Sequence[Any]) -> list[Receipt]:
    """Store what a browser sends, each act once; what cannot be stored is refused in words and the rest is stored."""
    require(person, Act.REVIEW)
    if len(sent) > MOST_ACTS:
        raise UserError(f"{len(sent)} acts came at once; send at most {MOST_ACTS}")
    acts, receipts = _checked(sent)
    scale = read_scale(store)
    asked = list({act.candidate_id for act in acts})
    proposals = {row["candidate_id"]: row for row in store.read("proposals", candidate_ids=asked).to_pylist()}
    blind = {act.candidate_id for act in acts if act.is_blind and act.act == ResponseAct.SUBMITTED}
    votes = _votes(store, sorted(blind))
    responses: list[Response] = []
    named: dict[tuple[str, int], str] = {}
    for act in acts:
        try:
            if named.setdefault((act.session, act.sequence), act.candidate_id) != act.candidate_id:
                raise UserError(_NAME_IN_USE)
            response = _response(act, person, proposals, scale)
        except UserError as error:
            receipts.append(Receipt(act.session, act.sequence, refused=str(error)))
            continue
        responses.append(response)
        if response.act is ResponseAct.SUBMITTED:
            shown = _suggestion(proposals[act.candidate_id])
            receipts.append(Receipt(act.session, act.sequence, None, shown, votes.get(act.candidate_id, ())))
        else:
            receipts.append(Receipt(act.session, act.sequence))
    if responses:
        n_new = save(store, responses, proposals={one: (row["grade"], row["steps"]) for one, row in proposals.items()})
        if n_new < len(responses):
            receipts = _without_others(person, store, acts, receipts)
    return receipts


def own_trail(person: Pin, store: Store, *, before: datetime | None = None, n: int = 100) -> list[dict[str, Any]]:
    """Return what a person did, the last first, from a moment backwards: for undo and redo across logins."""
    require(person, Act.REVIEW)
    rows = store.read(
        "own_trail", account=person.account, before=str(before or datetime.max), n=min(n, 1000)
    ).to_pylist()
    return [
        {
            **row,
            "steps": _pairs(row["steps"]),
            "effective_at": to_ms(row["effective_at"]),
        }
        for row in rows
    ]


def rule_brief(person: Pin, store: Store, rule_id: str) -> dict[str, Any]:
    """Return a rule with its counts over settled pairs (never test ones), two examples and two counter-examples."""
    require(person, Act.REVIEW)
    rows = store.read("rule_of_card", rule_id=rule_id).to_pylist()
    if not rows:
        raise UserError(f'there is no rule {rule_id!r}. List them: afrel sql "select rule_id, text from rules"')
    return {**rows[0], "examples": store.read("examples_of_card_rule", rule_id=rule_id).to_pylist()}


def read_guideline(person: Pin, store: Store, instruction_id: str | None = None) -> str:
    """Return the text of an instruction, of the latest where none is named; empty where there is none."""
    require(person, Act.REVIEW)
    rows = store.read("instructions").to_pylist()
    named = [row for row in rows if row["instruction_id"] == instruction_id]
    return str((named or rows)[-1]["text"]) if rows else ""


def comment(person: Pin, store: Store, candidate_id: str, text: str, *, session: str, sequence: int) -> str:
    """Leave a comment beside a candidate; return its id. Sent again, it counts once."""
    require(person, Act.REVIEW)
    text = text.strip()
    if not text or len(text) > MOST_COMMENT_CHARACTERS:
        raise UserError(f"a comment has 1 to {MOST_COMMENT_CHARACTERS:,} characters, this one has {len(text):,}")
    if not store.read("proposals", candidate_ids=[candidate_id]).num_rows:
        raise UserError(f"there is no candidate {candidate_id!r} to comment on")
    row = CommentRow(
        comment_id=action_id(person.account, f"{session}:comment", sequence),
        candidate_id=candidate_id,
        account=person.account,
        text=text,
        created_at=now(),
    )
    store.append({"comments": [row]})
    return row.comment_id


def _card(
    row: Mapping[str, Any], votes: Sequence[Mapping[str, Any]], *, is_blind: bool, sent_back: str | None
) -> dict[str, Any]:
    causes = _causes(row)
    is_blind = is_blind or _AUDIT in causes
    return {
        "candidate_id": row["candidate_id"],
        "pair_id": row["pair_id"],
        "query": row["query"],
        "title": row["title"],
        "body": row["body"],
        "fields": [[name, str(value)] for name, value in json.loads(row["fields"]).items()],
        "terms": row["query_terms"] or [],
        "missing": join_bigrams(row["missing_terms"] or []),
        "matched_fields": row["matched_fields"] or [],
        "conflicting_fields": row["conflicting_fields"] or [],
        "has_number_conflict": bool(row["n_number_conflicts"]),
        "has_refused": bool(row["n_negated_present"]),
        "why": [cause for cause in causes if cause in _TOLD_CAUSES],
        "sent_back": sent_back,
        "is_blind": is_blind,
        "suggestion": None if is_blind else _suggestion(row),
        # votes are evidence of the machine too, and would tell what it suggests
        "votes": [] if is_blind else list(votes),
        "instruction_id": row["instruction_id"],
    }


def _causes(row: Mapping[str, Any]) -> list[str]:
    return str(row["cause"]).split(", ")


def _sent_back_to(person: Pin, store: Store, candidate_ids: Sequence[str]) -> dict[str, str]:
    """Return what an adjudicator said who sent this person's answer back, by candidate; others are told nothing."""
    if not candidate_ids:
        return {}
    rows = store.read("sent_back_to", candidate_ids=list(candidate_ids), account=person.account).to_pylist()
    return {row["candidate_id"]: row["reason"] for row in rows}


def _suggestion(row: Mapping[str, Any]) -> dict[str, Any]:
    steps = steps_from_json(row["steps"])
    return {
        "grade": row["grade"],
        "confidence": row.get("confidence"),
        "proposer": row.get("proposer"),
        "steps": [[step.label, step.text] for step in steps],
    }


def _votes(store: Store, candidate_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    votes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if candidate_ids:
        for vote in store.read("votes_on_candidates", candidate_ids=list(candidate_ids)).to_pylist():
            votes[vote.pop("candidate_id")].append(vote)
    return votes


def _without_others(person: Pin, store: Store, acts: Sequence[SentAct], receipts: Sequence[Receipt]) -> list[Receipt]:
    """Refuse acts whose name stands for an act on another candidate: they were not stored, and are told nothing."""
    names = {(act.session, act.sequence): action_id(person.account, act.session, act.sequence) for act in acts}
    found = store.read("candidates_of_responses", response_ids=sorted(set(names.values()))).to_pylist()
    held = {row["response_id"]: row["candidate_id"] for row in found}
    others = {
        (act.session, act.sequence) for act in acts if held.get(names[act.session, act.sequence]) != act.candidate_id
    }
    return [
        Receipt(receipt.session, receipt.sequence, receipt.refused or _NAME_IN_USE)
        if (receipt.session, receipt.sequence) in others
        else receipt
        for receipt in receipts
    ]


def _checked(sent: Sequence[Any]) -> tuple[list[SentAct], list[Receipt]]:
    acts, refused = [], []
    for one in sent:
        try:
            acts.append(SentAct.model_validate(one))
        except ValidationError as error:
            named = one if isinstance(one, dict) else {}
            where = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
            receipt = Receipt(
                str(named.get("session"))[:40], _number(named.get("sequence")), f"this act is malformed: {where}"
            )
            refused.append(receipt)
    return acts, refused


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _response(act: SentAct, person: Pin, proposals: Mapping[str, Mapping[str, Any]], scale: Scale) -> Response:
    proposed = proposals.get(act.candidate_id)
    if proposed is None:
        raise UserError(f"there is no candidate {act.candidate_id!r} any more")
    if act.act not in set(ResponseAct):
        raise UserError(f"{act.act!r} is none of the acts {', '.join(ResponseAct)}")
    if act.first_wrong_step is not None and act.first_wrong_step > len(json.loads(proposed["steps"])):
        raise UserError(f"the suggestion has no step {act.first_wrong_step}")
    # nobody acts in the future: a browser's clock that ran ahead is set back to ours
    acted_at = min(datetime.fromtimestamp(act.at / 1000, UTC).replace(tzinfo=None), now())
    turn = Turn(
        candidate_id=act.candidate_id,
        pair_id=proposed["pair_id"],
        account=person.account,
        session=act.session,
        sequence=act.sequence,
        acted_at=acted_at,
        seconds=act.seconds,
    )
    response = Response(
        turn,
        ResponseAct(act.act),
        grade=act.grade,
        steps=stored_steps(act.steps),
        first_wrong_step=act.first_wrong_step,
        reason=act.reason,
        target_id=_target_id(person.account, act.target),
    )
    check_response(response, scale)
    return response


def _target_id(account: str, target: str | None) -> str | None:
    if target is None or ":" not in target:
        return target
    session, _, sequence = target.rpartition(":")
    if not sequence.isdecimal():
        raise UserError(f"{target!r} names no act: it takes `session:sequence`")
    return action_id(account, session, int(sequence))


def stored_steps(steps: Sequence[Sequence[str]] | None) -> str | None:
    """Return the stored form of a rationale; UserError for steps that a completion could not carry."""
    if steps is None:
        return None
    written = [Step(label, one_line(text)) for label, text in steps]
    written = [step for step in written if step.text]
    places = [STEP_LABELS.index(step.label) if step.label in STEP_LABELS else -1 for step in written]
    if places != sorted(set(places)) or -1 in places:
        raise UserError(f"a rationale has the steps {', '.join(STEP_LABELS)}, each at most once and in this order")
    return steps_to_json(written) if written else None


def _pairs(steps: str | None) -> list[list[str]] | None:
    return [[step.label, step.text] for step in steps_from_json(steps)] if steps else None
