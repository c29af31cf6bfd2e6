"""One-pass step verdicts (arXiv 2506.15498): each step of a rationale aligned to a reference, in a single reply.

For each step the judge returns an explanation, the lines of the reference it aligned the step to, an error type and a
verdict of 1 or -1. The error types are ours. The judge gives no grade, so it can settle none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curation.completion import Step, one_line, unescape_block
from evolution.calls.asking import Served
from evolution.calls.llm import Message, Request
from evolution.judges.prompt_blocks import block, doc_block, grade_lines, query_block, steps_block
from evolution.judges.references import Reference
from evolution.judges.replies import once_each, read_json
from evolution.labelling.request import MAX_BODY_CHARACTERS, UnusableReplyError
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

ROLE, OPERATOR = "judge_steps", "steps"  # a work of its own: its calls are longer than ratings
ERRORS = ("none", "contradicts_reference", "not_in_texts", "wrong_rule", "wrong_grade", "beside_the_point")
MAX_EXPLANATION = 400


@dataclass(frozen=True, slots=True)
class StepMaterial:
    """A candidate's rationale and what it is held against."""

    candidate_id: str
    pair_id: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    grade: int
    steps: tuple[Step, ...]
    reference: Reference


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """What a judge says of one step, counted from 1; `aligned_to` names lines of the reference."""

    step: int
    verdict: int
    error_type: str
    aligned_to: tuple[str, ...]
    explanation: str


class VerdictReply(BaseModel):
    """A judge's word on one step."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int
    explanation: str = Field(min_length=1)
    references: list[int]
    error: str
    verdict: Literal[-1, 1]


class StepsReply(BaseModel):
    """The JSON a judge answers with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    steps: list[VerdictReply]


def steps_schema() -> dict[str, Any]:
    """Return the strict JSON schema of a reply."""
    properties = {
        "step": {"type": "integer"},
        "explanation": {"type": "string"},
        "references": {"type": "array", "items": {"type": "integer"}},
        "error": {"type": "string", "enum": list(ERRORS)},
        "verdict": {"type": "integer", "enum": [-1, 1]},
    }
    verdict = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": verdict}},
        "required": ["steps"],
        "additionalProperties": False,
    }


def steps_request(material: StepMaterial, *, scale: Scale, served: Served) -> Request:
    """Write the request for the verdicts on a rationale."""
    system = load_prompt("judge_steps")
    blocks = [
        query_block(material.query),
        doc_block(material.title, material.body, material.fields, max_body_characters=MAX_BODY_CHARACTERS),
        block("reference", material.reference.written()),
        block("labelled", f"grade: {material.grade} ({scale.name(material.grade)})"),
        steps_block(material.steps),
    ]
    return Request(
        role=ROLE,
        operator=OPERATOR,
        messages=(Message("system", system.fill(grades=grade_lines(scale))), Message("user", "\n".join(blocks))),
        schema=steps_schema(),
        material=material,
        model=served.model,
        template_digest=digest([system.digest]),
        parameters=served.parameters,
        seed=served.seed,
    )


def read_steps(text: str, material: StepMaterial) -> tuple[StepVerdict, ...]:
    """Read a reply; `UnusableReplyError` unless every step has one verdict that fits its error and its references."""
    replies = read_json(StepsReply, text, material.pair_id).steps
    once_each([reply.step for reply in replies], len(material.steps), what="step")
    lines = material.reference.lines
    verdicts = []
    for reply in sorted(replies, key=lambda one: one.step):
        if reply.error not in ERRORS:
            raise UnusableReplyError(f"unknown error: {reply.error[:40]!r} of step {reply.step}")
        if (reply.verdict == 1) != (reply.error == "none"):
            raise UnusableReplyError(f"verdict against error: step {reply.step} is {reply.verdict} and {reply.error}")
        unlisted = [number for number in reply.references if not 1 <= number <= len(lines)]
        if unlisted:
            raise UnusableReplyError(f"unlisted references: {unlisted} are not among the {len(lines)} lines")
        names = tuple(dict.fromkeys(lines[number - 1].name for number in reply.references))
        # a model copies the entities it was shown
        said = one_line(unescape_block(reply.explanation))[:MAX_EXPLANATION]
        verdicts.append(StepVerdict(reply.step, reply.verdict, reply.error, names, said))
    return tuple(verdicts)


def check_steps(text: str, material: StepMaterial) -> str | None:
    """Return why a reply is no set of verdicts, None when it is one."""
    try:
        read_steps(text, material)
    except UnusableReplyError as error:
        return str(error)
    return None
