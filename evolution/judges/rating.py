"""A judge's plain act: the grade of one pair, from its texts alone, by the instruction in force.

The judge sees no suggestion, no rule and no computed evidence, so what it says is its own.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from evolution.calls.asking import Served
from evolution.calls.llm import Message, Request
from evolution.judges.perturbations import Shown
from evolution.judges.prompt_blocks import doc_block, grade_lines, query_block
from evolution.judges.replies import read_json
from evolution.labelling.request import UnusableReplyError
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

ROLE, OPERATOR = "judge", "grade"
MAX_SHOWN_CHARACTERS = 4000  # of a body: more than any change makes of it


class RatingReply(BaseModel):
    """The JSON a judge answers with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    grade: int
    reason: str


def rating_schema(scale: Scale) -> dict[str, Any]:
    """Return the strict JSON schema of a reply: the grade first."""
    properties = {"grade": {"type": "integer", "enum": list(scale.values)}, "reason": {"type": "string"}}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def rating_request(shown: Shown, *, instruction: str, scale: Scale, served: Served) -> Request:
    """Write the request for the grade of a pair as it is shown."""
    system = load_prompt("judge_grade")
    blocks = [
        query_block(shown.query),
        doc_block(shown.title, shown.body, shown.fields, max_body_characters=MAX_SHOWN_CHARACTERS),
    ]
    if shown.is_reversed:
        blocks.reverse()
    grades = grade_lines(scale, is_reversed=shown.is_reversed)
    return Request(
        role=ROLE,
        operator=OPERATOR,
        messages=(
            Message("system", system.fill(instruction=instruction, grades=grades)),
            Message("user", "\n".join(blocks)),
        ),
        schema=rating_schema(scale),
        material=shown,
        model=served.model,
        template_digest=digest([system.digest, instruction]),
        parameters=served.parameters,
        seed=served.seed,
    )


def read_rating(text: str, *, pair_id: str, scale: Scale) -> int:
    """Return the grade of a reply; `UnusableReplyError` when it is none."""
    reply = read_json(RatingReply, text, pair_id)
    if reply.grade not in scale:
        raise UnusableReplyError(f"off the scale: grade {reply.grade} is not one of {list(scale.values)}")
    return reply.grade


def check_rating(text: str, *, pair_id: str, scale: Scale) -> str | None:
    """Return why a reply is no rating, None when it is one."""
    try:
        read_rating(text, pair_id=pair_id, scale=scale)
    except UnusableReplyError as error:
        return str(error)
    return None
