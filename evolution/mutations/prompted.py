"""The same operators by a language model: a request for one rewriting, and the reply read back.

A prompt shows only what the model-free form may see, so that the verifier keeps evidence of its own: query and fields
for a query, title and body for a doc. All of it stands escaped in blocks; a reply is taken as text, whatever it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from curation.completion import escape_block, one_line, unescape_block
from evolution.calls.llm import Message, Request
from evolution.mutations.effects import Effect, fall, low_bound, say_effect
from evolution.mutations.operator import MAX_QUERY_CHARACTERS, Operator, Rewriting, Side
from evolution.mutations.operators import MutatedPair, Original, apply_rewriting
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

ROLE = "mutate"
MAX_SHOWN_BODY = 4000  # characters: a longer doc is not sent, for the reply must hold all of it
MAX_CHANGE = 200
_AIMS = {
    Effect.KEEP: "A document answers the rewritten query exactly as well as the old one.",
    Effect.LOWER: "The document answers the rewritten query clearly worse than the old one.",
    Effect.RAISE: "The document answers the rewritten query clearly better than the old one.",
    Effect.AT_MOST: "The document answers no better than before.",
    Effect.AT_LEAST: "The document answers no worse than before.",
}
_DOC_AIMS = {
    Effect.KEEP: "The rewritten document answers any query about its subject exactly as well as the old one.",
    Effect.AT_MOST: "The rewritten document answers no query better than the old one.",
}


class MutateReply(BaseModel):
    """The JSON a model answers with. `applies` false: the operator has nothing to do here."""

    model_config = ConfigDict(extra="forbid", strict=True)

    applies: bool
    rewritten: str
    change: str


def mutate_schema() -> dict[str, Any]:
    """Return the strict JSON schema of a reply."""
    properties = {"applies": {"type": "boolean"}, "rewritten": {"type": "string"}, "change": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class PromptedForm:
    """How one run asks a model to rewrite pairs."""

    scale: Scale
    model: str
    parameters: Mapping[str, Any]
    seed: int | None = None

    def effect(self, operator: Operator, original: Original) -> tuple[Effect, int | None] | None:
        """Return the effect to ask for, with its bound: the operator's first; None for one below the lowest grade."""
        first = operator.effects[0]
        if first is not Effect.LOWER:
            return first, None
        if original.grade == self.scale.lowest:
            return None
        bound = low_bound(self.scale) if operator.name in ("category_shift", "negation") else None
        return fall(original.grade, self.scale, bound=bound)

    def request(self, operator: Operator, original: Original) -> Request | None:
        """Write the request; None where there is nothing to ask: no effect to have, no text, too much of it."""
        asked = self.effect(operator, original)
        is_query = operator.side is Side.QUERY
        has_text = original.query.strip() if is_query else original.body.strip()
        limit = MAX_QUERY_CHARACTERS if is_query else MAX_SHOWN_BODY
        if asked is None or not has_text or len(has_text) > limit:
            return None
        system, task = load_prompt("mutate"), load_prompt(operator.prompt_name)
        side = load_prompt("mutate_query_side" if is_query else "mutate_doc_side")
        aims = _AIMS if is_query else _DOC_AIMS
        if is_query:
            shown = side.fill(query=_block(original.query), fields=_fields_block(original.fields))
        else:
            shown = side.fill(title=_block(original.title), body=_block(original.body))
        said = f"{aims[asked[0]]} ({say_effect(*asked)})"
        return Request(
            role=ROLE,
            operator=operator.name,
            messages=(Message("system", system.fill(task=task.text, aim=said)), Message("user", shown)),
            schema=mutate_schema(),
            material=original.pair_id,
            model=self.model,
            template_digest=digest([system.digest, task.digest, side.digest, said]),
            parameters=self.parameters,
            seed=self.seed,
        )

    def read(self, operator: Operator, original: Original, text: str) -> MutatedPair | None:
        """Read a checked reply; None where the model says the operator does not apply, or changed nothing."""
        reply, asked = MutateReply.model_validate_json(text), self.effect(operator, original)
        if not reply.applies or asked is None:
            return None
        # a model copies the entities it was shown
        change = one_line(unescape_block(reply.change))[:MAX_CHANGE] or "-"
        done = Rewriting(unescape_block(reply.rewritten).strip(), asked[0], change, asked[1])
        return apply_rewriting(operator, original, done, self.scale)


def check_mutation(text: str, operator: Operator, original: Original) -> str | None:
    """Return why a reply is no rewriting, None when it is one (or says that the operator does not apply)."""
    try:
        reply = MutateReply.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        return f"not JSON: {first['msg']}" if first["type"] == "json_invalid" else f"off the schema at {where}"
    if not reply.applies:
        return None
    limit = MAX_QUERY_CHARACTERS if operator.side is Side.QUERY else 2 * MAX_SHOWN_BODY
    if not reply.rewritten.strip():
        return "the rewritten text is empty"
    if any(not sign.isprintable() and not sign.isspace() for sign in reply.rewritten):
        return "the rewritten text holds signs that no text has"
    if len(reply.rewritten) > limit:
        return f"the rewritten text has {len(reply.rewritten)} characters, at most {limit} are taken"
    old = original.query if operator.side is Side.QUERY else original.body
    return "the rewritten text is the old one" if unescape_block(reply.rewritten).split() == old.split() else None


def _block(text: str) -> str:
    return one_line(escape_block(text)) or "-"


def _fields_block(fields: Mapping[str, str]) -> str:
    return "\n".join(f"{_block(name)}: {_block(value)}" for name, value in sorted(fields.items())) or "-"
