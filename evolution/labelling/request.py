"""Labelling one pair: the request a provider gets, and the completion its reply stands for.

The reply's schema puts the grade first, as the completion does, and cites rules by their number in the request, so
that no model has to copy an id. Only approved rules that vote on the pair are listed, hence only they can be cited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.completion import Completion, Step, escape_block, implied_grade, one_line, render
from evolution.calls.llm import Message, Request
from evolution.labelling.grading import Proposal
from evolution.labelling.rationale import VotingRule
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

ROLE, OPERATOR = "label", "label"
MAX_LISTED_RULES = 12
MAX_BODY_CHARACTERS = 1500


@dataclass(frozen=True, slots=True)
class LabelMaterial:
    """All that is known of a pair to be labelled. `proposal` is the lexical grader's; a model does not see it."""

    pair_id: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    features: Mapping[str, Any]
    evidence: str
    rules: tuple[VotingRule, ...]
    scale: Scale
    proposal: Proposal | None = None


class LabelReply(BaseModel):
    """The JSON a provider answers with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    grade: int
    intent: str = Field(min_length=1)
    document: str = Field(min_length=1)
    category: str | None
    attributes: str = Field(min_length=1)
    rules: list[int]
    verdict: str = Field(min_length=1)
    confidence: float = Field(ge=0.0, le=1.0)


@cache
def label_schema(scale: Scale) -> Mapping[str, Any]:
    """Return the strict JSON schema of a reply: the grade first, every key required, nothing else allowed."""
    text = {"type": "string"}
    properties: dict[str, Any] = {
        "grade": {"type": "integer", "enum": list(scale.values)},
        "intent": text,
        "document": text,
        "category": {"type": ["string", "null"]},
        "attributes": text,
        "rules": {"type": "array", "items": {"type": "integer"}},
        "verdict": text,
        "confidence": {"type": "number"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class LabelForm:
    """The prompt of one run: an instruction on a scale, for one model."""

    instruction: str
    scale: Scale
    model: str
    parameters: Mapping[str, Any]
    seed: int | None = None

    def request(self, material: LabelMaterial) -> Request:
        """Write the request for a pair."""
        system, pair = load_prompt("label"), load_prompt("label_pair")
        grades = "\n".join(f"{grade} = {self.scale.name(grade)}" for grade in self.scale.values)
        return Request(
            role=ROLE,
            operator=OPERATOR,
            messages=(
                Message("system", system.fill(instruction=self.instruction, grades=grades)),
                Message(
                    "user",
                    pair.fill(
                        query=_block(material.query),
                        document=_doc_block(material),
                        evidence=_block(material.evidence),
                        rules=_rules_block(material.rules, self.scale),
                    ),
                ),
            ),
            schema=label_schema(self.scale),
            material=material,
            model=self.model,
            template_digest=digest([system.digest, pair.digest, self.instruction]),
            parameters=self.parameters,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """A reply read: the completion it stands for and how sure the provider was."""

    completion: Completion
    confidence: float


class UnusableReplyError(ValueError):
    """A reply that is no label; the message says why, for the model to mend and the table to keep."""


def read_label(text: str, material: LabelMaterial) -> Labelled:
    """Read a reply; `UnusableReplyError` when it is not of the schema, or its grade or a rule is not on offer."""
    scale = material.scale
    try:
        reply = LabelReply.model_validate_json(text)
    except ValidationError as error:
        raise UnusableReplyError(_other_pair(text, material) or _first_mistake(error)) from None
    if reply.grade not in scale:
        raise UnusableReplyError(f"off the scale: grade {reply.grade} is not one of {list(scale.values)}")
    unlisted = [number for number in reply.rules if not 1 <= number <= min(len(material.rules), MAX_LISTED_RULES)]
    if unlisted:
        raise UnusableReplyError(f"unlisted rules: {unlisted} are not among the {len(material.rules)} listed")
    cited = " ".join(f"[{material.rules[number - 1].rule_id}]" for number in dict.fromkeys(reply.rules))
    written = {
        "intent": reply.intent,
        "document": reply.document,
        "category": reply.category,
        "attributes": reply.attributes,
        "verdict": reply.verdict,
    }
    # Brackets could cite a rule that did not vote; only the listed numbers cite.
    steps = {label: one_line((words or "").replace("[", "(").replace("]", ")")) for label, words in written.items()}
    steps["rules"] = cited
    order = ("intent", "document", "category", "attributes", "rules", "verdict")
    completion = Completion(reply.grade, tuple(Step(label, steps[label]) for label in order if steps[label]))
    if implied_grade(completion, scale) is None:
        named = Step("verdict", f"{scale.name(reply.grade)}: {steps['verdict']}".rstrip(": "))
        completion = Completion(reply.grade, (*(s for s in completion.steps if s.label != "verdict"), named))
    render(completion, scale)  # a reply that passed the checks must be writable; anything else is our mistake
    return Labelled(completion, reply.confidence)


def check_label(text: str, material: LabelMaterial) -> str | None:
    """Return why a reply is no label, None when it is one."""
    try:
        read_label(text, material)
    except UnusableReplyError as error:
        return str(error)
    return None


def _other_pair(text: str, material: LabelMaterial) -> str | None:
    """Return the reason for a reply that says it is about another pair; the schema asks for no id."""
    try:
        named = json.loads(text).get("pair_id")
    except (ValueError, AttributeError):
        return None
    if named is None or named == material.pair_id:
        return None
    return f"about another pair: {str(named)[:40]}"


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return f"not JSON: {first['msg']}"
    return f"off the schema at {where or 'the top'}: {first['msg']}"


def _block(text: str) -> str:
    return one_line(escape_block(text)) or "-"


def _doc_block(material: LabelMaterial) -> str:
    lines = [f"title: {_block(material.title)}"]
    lines += [f"{_block(name)}: {_block(value)}" for name, value in sorted(material.fields.items())]
    if material.body:
        lines.append(f"body: {_block(material.body[:MAX_BODY_CHARACTERS])}")
    return "\n".join(lines)


def _rules_block(rules: Sequence[VotingRule], scale: Scale) -> str:
    listed = rules[:MAX_LISTED_RULES]
    lines = [f"{number}. {_block(rule.text)} ({scale.name(rule.grade)})" for number, rule in enumerate(listed, 1)]
    return "\n".join(lines) or "none applies"


def reply_json(proposal: Proposal, steps: Sequence[Step], cited: Sequence[int]) -> str:
    """Write a reply as a provider would: for the lexical one, which has the steps already."""
    said = {step.label: step.text for step in steps}
    return json.dumps(
        {
            "grade": proposal.grade,
            "intent": said["intent"],
            "document": said["document"],
            "category": said.get("category"),
            "attributes": said["attributes"],
            "rules": list(cited),
            "verdict": said["verdict"],
            "confidence": proposal.confidence,
        },
        ensure_ascii=False,
    )
