"""Audit and refine (arXiv 2509.12476): each step of a weak rationale audited, then the whole written anew.

The grade stays: a refined rationale with another grade is refused. It is read as a label is, so it cites only approved
rules that vote on the pair, by their numbers in the request, and no text of its own can cite one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from curation.completion import Completion, Step, one_line, unescape_block
from evolution.calls.asking import Served
from evolution.calls.llm import Message, Request
from evolution.judges.prompt_blocks import block, doc_block, grade_lines, line, query_block, steps_block
from evolution.judges.replies import once_each, read_json
from evolution.labelling.request import (
    MAX_BODY_CHARACTERS,
    MAX_LISTED_RULES,
    LabelMaterial,
    LabelReply,
    UnusableReplyError,
    label_schema,
    read_label,
)
from evolution.prompts import load_prompt
from storage.ids import digest

ROLE, OPERATOR = "critic", "refine"
MAX_WHY = 400


@dataclass(frozen=True, slots=True)
class RefineMaterial:
    """A weak rationale, what was said against it, and what a label of its pair may rest on."""

    candidate_id: str
    grade: int
    steps: tuple[Step, ...]
    complaints: tuple[str, ...]
    label: LabelMaterial


@dataclass(frozen=True, slots=True)
class Audited:
    """The critic's word on one step, counted from 1."""

    step: int
    is_right: bool
    why: str


@dataclass(frozen=True, slots=True)
class Refined:
    """An audit, and the rationale written anew; None where the audit finds every step right."""

    audit: tuple[Audited, ...]
    completion: Completion | None


class AuditReply(BaseModel):
    """A critic's word on one step."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int
    is_right: bool
    why: str = Field(min_length=1)


class RefineReply(BaseModel):
    """The JSON a critic answers with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    audit: list[AuditReply]
    rationale: LabelReply


def refine_schema(material: RefineMaterial) -> dict[str, Any]:
    """Return the strict JSON schema of a reply."""
    properties = {"step": {"type": "integer"}, "is_right": {"type": "boolean"}, "why": {"type": "string"}}
    audited = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "audit": {"type": "array", "items": audited},
            "rationale": dict(label_schema(material.label.scale)),
        },
        "required": ["audit", "rationale"],
        "additionalProperties": False,
    }


def refine_request(material: RefineMaterial, *, instruction: str, served: Served) -> Request:
    """Write the request for a weak rationale."""
    system, label = load_prompt("judge_refine"), material.label
    scale = label.scale
    listed = label.rules[:MAX_LISTED_RULES]
    rules = [f"{number}. {line(rule.text)} ({line(scale.name(rule.grade))})" for number, rule in enumerate(listed, 1)]
    blocks = [
        query_block(label.query),
        doc_block(label.title, label.body, label.fields, max_body_characters=MAX_BODY_CHARACTERS),
        block("evidence", line(label.evidence)),
        block("rules", "\n".join(rules) or "none applies"),
        block("labelled", f"grade: {material.grade} ({line(scale.name(material.grade))})"),
        steps_block(material.steps),
        block("found_weak", "\n".join(material.complaints) or "-"),
    ]
    return Request(
        role=ROLE,
        operator=OPERATOR,
        messages=(
            Message("system", system.fill(instruction=instruction, grades=grade_lines(scale))),
            Message("user", "\n".join(blocks)),
        ),
        schema=refine_schema(material),
        material=material,
        model=served.model,
        template_digest=digest([system.digest, instruction]),
        parameters=served.parameters,
        seed=served.seed,
    )


def read_refined(text: str, material: RefineMaterial) -> Refined:
    """Read a reply; `UnusableReplyError` for another grade, a rule that is not listed, or nothing mended."""
    reply = read_json(RefineReply, text, material.label.pair_id)
    once_each([one.step for one in reply.audit], len(material.steps), what="step")
    audit = tuple(
        # a model copies the entities it was shown
        Audited(one.step, one.is_right, one_line(unescape_block(one.why))[:MAX_WHY])
        for one in sorted(reply.audit, key=lambda one: one.step)
    )
    if reply.rationale.grade not in material.label.scale:
        raise UnusableReplyError(
            f"off the scale: grade {reply.rationale.grade} is not one of {list(material.label.scale.values)}"
        )
    if reply.rationale.grade != material.grade:
        raise UnusableReplyError(f"another grade: {reply.rationale.grade}, and the grade stands at {material.grade}")
    if all(one.is_right for one in audit):
        return Refined(audit, None)
    completion = read_label(reply.rationale.model_dump_json(), material.label).completion
    if completion.steps == material.steps:
        raise UnusableReplyError("unchanged: the rationale says what it said, and the audit finds a step wrong")
    return Refined(audit, completion)


def check_refined(text: str, material: RefineMaterial) -> str | None:
    """Return why a reply is no refined rationale, None when it is one."""
    try:
        read_refined(text, material)
    except UnusableReplyError as error:
        return str(error)
    return None


def complaint_lines(wrong_steps: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what judges said against a rationale, a line a step."""
    return tuple(f"step {one['step']}: {line(one['explanation'] or '')}" for one in wrong_steps)
