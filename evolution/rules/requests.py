"""Asking for one rule about one cluster of disagreements: the request, and what a reply must be.

A reply is a sentence, a predicate and a grade; the predicate is checked before anything else looks at it. Every text
of a query or doc stands escaped on a line of its own inside its block, so that an erasure can tell who was asked
about it and no text can close its block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.completion import escape_block, one_line
from curation.features import evidence_line
from curation.rules import Rule, make_rule
from evolution.calls.llm import Message, Request
from evolution.prompts import load_prompt
from evolution.rules.disagreements import Cluster
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest

ROLE, OPERATOR = "evolver", "rule_from_disagreement"
N_SHOWN = 6
MAX_LIST_CHARACTERS = 300  # of a pair's attributes in the prompt; queries and titles stand whole
MAX_RULE_CHARACTERS = 600
_SAID = {
    "human-human": "People gave grades {said}",
    "human-machine": "A machine said {said}",
    "model-judgment": "A trained model said {said}",
}


@dataclass(frozen=True, slots=True)
class RuleMaterial:
    """All a proposer is told of a cluster. `counters` are judged pairs that look alike and are graded as was said.

    `parent` is the rule in force that says another grade of most of the cluster.
    """

    cluster: Cluster
    counters: tuple[Mapping[str, Any], ...]
    parent: Rule | None
    scale: Scale

    @property
    def targets(self) -> tuple[int, ...]:
        """The grades a rule may give: the settled one, else any that people said."""
        cluster = self.cluster
        return cluster.said_grades if cluster.settled_grade is None else (cluster.settled_grade,)

    @property
    def shown(self) -> list[Mapping[str, Any]]:
        """The most typical pairs of the cluster."""
        return list(self.cluster.pairs.head(N_SHOWN).iter_rows(named=True))


class RuleReply(BaseModel):
    """The JSON a provider answers with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(min_length=1, max_length=MAX_RULE_CHARACTERS)
    condition: str | None
    grade: int


class UnusableRuleError(ValueError):
    """A reply that is no rule; the message says why, for the model to mend and the table to keep."""


def rule_schema(scale: Scale) -> dict[str, Any]:
    """Return the strict JSON schema of a reply."""
    properties: dict[str, Any] = {
        "text": {"type": "string"},
        "condition": {"type": ["string", "null"]},
        "grade": {"type": "integer", "enum": list(scale.values)},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def rule_request(
    material: RuleMaterial, *, instruction: str, model: str, parameters: Mapping[str, Any], seed: int | None
) -> Request:
    """Write the request about a cluster."""
    system, cluster = load_prompt("rule"), load_prompt("rule_cluster")
    scale = material.scale
    grades = "\n".join(f"{grade} = {scale.name(grade)}" for grade in scale.values)
    parent = material.parent
    return Request(
        role=ROLE,
        operator=OPERATOR,
        messages=(
            Message("system", system.fill(instruction=instruction, grades=grades)),
            Message(
                "user",
                cluster.fill(
                    disagreement=_disagreement(material),
                    examples=_pairs_block(material.shown),
                    counter_examples=_pairs_block(material.counters),
                    parent="none" if parent is None else f"{_line(parent.text)}\ncondition: {_line(parent.condition)}",
                ),
            ),
        ),
        schema=rule_schema(scale),
        material=material,
        model=model,
        template_digest=digest([system.digest, cluster.digest, instruction]),
        parameters=parameters,
        seed=seed,
    )


def read_rule(text: str, material: RuleMaterial) -> Rule | str:
    """Read a reply: the rule, or the words of a provider that sees none.

    `UnusableRuleError` when it is not of the schema, off the scale, or its condition no predicate.
    """
    try:
        reply = RuleReply.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnusableRuleError(
            f"not JSON: {first['msg']}"
            if first["type"] == "json_invalid"
            else f"off the schema at {where or 'the top'}: {first['msg']}"
        ) from None
    if reply.grade not in material.scale:
        raise UnusableRuleError(f"grade {reply.grade} is off the scale {list(material.scale.values)}")
    if reply.condition is None:
        return one_line(reply.text)
    try:
        return make_rule(one_line(reply.text), one_line(reply.condition), reply.grade)
    except UserError as error:
        raise UnusableRuleError(f"the condition is no predicate: {error}") from None


def check_rule(text: str, material: RuleMaterial) -> str | None:
    """Return why a reply cannot be used, None when it can."""
    try:
        read_rule(text, material)
    except UnusableRuleError as error:
        return str(error)
    return None


def said_of(text: str | None) -> tuple[str, str, int | None]:
    """Return what an unusable reply said as text, condition and grade, as far as it can be read; else empty."""
    try:
        reply = RuleReply.model_validate_json(text or "")
    except ValidationError:
        return "", "", None
    return one_line(reply.text), one_line(reply.condition or ""), reply.grade


def _disagreement(material: RuleMaterial) -> str:
    cluster, name = material.cluster, material.scale.name
    said = ", ".join(f"{grade} ({name(grade)})" for grade in cluster.said_grades)
    settled = (
        "and nobody settled them"
        if cluster.settled_grade is None
        else f"and the settled grade is {cluster.settled_grade} ({name(cluster.settled_grade)})"
    )
    about = f"for these {len(cluster.pairs)} pairs, of which {len(material.shown)} are shown"
    return f"{_SAID[cluster.source].format(said=said)} {about}, {settled}."


def _pairs_block(pairs: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(
        "\n".join(
            (
                f"query: {_line(pair['query'])}",
                f"title: {_line(pair['title'])}",
                f"asked: {_listed(pair['query_attributes'])}",
                f"stated: {_listed(pair['doc_attributes'])}",
                f"conflicting: {_listed(pair['conflicting_fields'])}",
                f"evidence: {_line(evidence_line(pair))}",
            )
        )
        for pair in pairs
    ) or "none"  # fmt: skip


def _listed(values: Sequence[str]) -> str:
    return _line(", ".join(values)[:MAX_LIST_CHARACTERS])


def _line(text: str) -> str:
    return one_line(escape_block(text)) or "-"
