"""A response of Argilla as an act of its person: checked as foreign JSON, named so that a repeated pull adds nothing.

The act's session is the response, its counter the moment of the response's last change: the same answer has the same
id on every pull, and one that was edited since is a later act of the same session. It keeps Argilla's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from curation.completion import STEP_LABELS, steps_from_json
from curation.ingest import rationale_to_steps
from review_app.argilla_bridge.record import CARRIED, carried_mark, fields_of, rationale_text
from review_app.argilla_bridge.settings import CANNOT_TELL, COMMENT, FIRST_WRONG_STEP, GRADE, RATIONALE, clean
from review_app.decisions import Response, ResponseAct, Turn, check_response
from review_app.review_desk import MOST_COMMENT_CHARACTERS, MOST_STEP_CHARACTERS
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import action_id, digest
from storage.people.accounts import Act, Pin, may
from storage.rows import CommentRow

SESSION = "argilla:"
DISCARDED = "discarded in Argilla"  # where no comment says why
SENT_ALONG_FOR = timedelta(minutes=5)  # a batch that is tried again writes what it carries anew
MOST_RATIONALE_CHARACTERS = MOST_STEP_CHARACTERS * len(STEP_LABELS)


@dataclass(frozen=True, slots=True)
class Given:
    """A response as Argilla tells it, its shape checked. Times are UTC without zone."""

    response_id: str
    user_id: str
    status: str
    values: Mapping[str, str]
    inserted_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What a response comes to: an act, a comment or none, and words about what was left out."""

    response: Response
    comment: CommentRow | None = None
    left_out: str | None = None


def read_given(response: Mapping[str, Any]) -> Given:
    """Return a response as Argilla tells it; UserError for one of another shape. Only texts are answers of ours."""
    try:
        values = response.get("values") or {}
        return Given(
            response_id=str(response["id"]),
            user_id=str(response["user_id"]),
            status=str(response["status"]),
            values={name: one["value"] for name, one in values.items() if isinstance(one["value"], str)},
            inserted_at=moment(response["inserted_at"]),
            updated_at=moment(response["updated_at"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the response has another shape than Argilla 2.8 gives ({error!r})") from None


def moment(text: str) -> datetime:
    """Return a time as Argilla writes it, UTC without zone."""
    told = datetime.fromisoformat(text)
    return told if told.tzinfo is None else told.astimezone(UTC).replace(tzinfo=None)


def is_sent_along(given: Given, record: Mapping[str, Any]) -> bool:
    """Say whether a response is the one that push sent along with its record, and not an answer given in Argilla."""
    if given.updated_at - given.inserted_at > SENT_ALONG_FOR:
        return False
    marks = (record.get("metadata") or {}).get(CARRIED) or []
    values = {name: {"value": value} for name, value in given.values.items()}
    return carried_mark(given.user_id, given.status, values) in marks


def find_person(username: str | None, account: str, pins: Mapping[str, Pin], at: datetime) -> Pin:
    """Return whose answer it is; UserError for who has no account here, or one that may not review, or no more."""
    pin = pins.get(account)
    if username is None:
        raise UserError("its user is not in Argilla's workspace any more. Add the user again, or remove the response")
    if pin is None:
        raise UserError(
            f"the Argilla user {username!r} has no account here. Add one, afrel --as ADMIN account add NAME --role "
            f'reviewer, and where the names differ put "{username}" = "NAME" under [argilla.accounts] in afrel.toml'
        )
    if not may(pin.role, Act.REVIEW):
        raise UserError(
            f"account {account!r} is {pin.role}, which may not review. Give it another role: "
            f"afrel --as ADMIN account add {account} --role reviewer"
        )
    if pin.retired_at is not None and at >= moment(pin.retired_at):
        raise UserError(f"account {account!r} was retired on {pin.retired_at[:10]}, before this answer")
    return pin


def check_text(record: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Refuse a record that does not show the texts of its candidate: its answers are about something else."""
    there = record.get("fields") or {}
    shown = {name: value for name, value in there.items() if value}
    made = fields_of(row)
    changed = sorted(name for name in shown.keys() | made.keys() if shown.get(name, "") != made.get(name, ""))
    if changed:
        raise UserError(
            f"its {', '.join(changed)} was changed in Argilla, so its answers are not about this candidate. "
            "Put the text back, or delete the record in Argilla and push it anew: afrel argilla push"
        )


def hear(given: Given, row: Mapping[str, Any], account: str, scale: Scale, clock: datetime) -> Heard:
    """Return the act of a submitted or discarded response; UserError says why it cannot be one."""
    turn = Turn(
        candidate_id=row["candidate_id"],
        pair_id=row["pair_id"],
        account=account,
        session=f"{SESSION}{given.response_id}",
        sequence=_microseconds(given.updated_at),
        # nobody acts in the future: a server's clock that runs ahead is set back to ours
        acted_at=min(given.updated_at, clock),
    )
    said = clean(given.values.get(COMMENT, "")).strip()
    if len(said) > MOST_COMMENT_CHARACTERS:
        raise UserError(f"its comment has {len(said):,} characters; {MOST_COMMENT_CHARACTERS:,} are the most")
    left_out = None
    if given.status == "discarded":
        response = Response(turn, ResponseAct.DISCARDED, reason=said or DISCARDED)
    elif given.values.get(GRADE) == CANNOT_TELL:
        response = Response(turn, ResponseAct.CANNOT_TELL)
    else:
        step, left_out = _first_wrong_step(given.values.get(FIRST_WRONG_STEP), row)
        grade = _grade(given.values.get(GRADE), scale)
        steps = _steps(given.values.get(RATIONALE, ""), grade, row)
        response = Response(turn, ResponseAct.SUBMITTED, grade=grade, steps=steps, first_wrong_step=step)
    check_response(response, scale)
    return Heard(response, _comment(given, turn, said) if said else None, left_out)


def _grade(text: str | None, scale: Scale) -> int:
    if text is None or text not in map(scale.token, scale.values):
        raise UserError(f"its grade {text!r} is off the scale {list(scale.values)}")
    return int(text)


def _steps(text: str, grade: int, row: Mapping[str, Any]) -> str | None:
    """Return the rationale as it is stored. A suggestion's words that were left alone stay with its grade only."""
    text = clean(text).strip()
    if len(text) > MOST_RATIONALE_CHARACTERS:
        raise UserError(f"its rationale has {len(text):,} characters; {MOST_RATIONALE_CHARACTERS:,} are the most")
    if text == rationale_text(row["steps"]).strip():
        return str(row["steps"]) if text and grade == row["grade"] else None
    return rationale_to_steps(text)


def _first_wrong_step(label: str | None, row: Mapping[str, Any]) -> tuple[int | None, str | None]:
    if label is None:
        return None, None
    labels = [step.label for step in steps_from_json(row["steps"])]
    if label in labels:
        return labels.index(label) + 1, None
    return None, f"the suggestion has no step {label!r} that could be wrong"


def _comment(given: Given, turn: Turn, text: str) -> CommentRow:
    # by what it says: an answer that is edited leaves its comment as it is
    return CommentRow(
        comment_id=action_id(turn.account, f"{SESSION}{given.response_id}:comment", int(digest(text)[:12], 16)),
        candidate_id=turn.candidate_id,
        account=turn.account,
        text=text,
        created_at=turn.acted_at,
    )


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1)) // timedelta(microseconds=1)
