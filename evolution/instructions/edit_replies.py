"""What a model's reply to a request for an edit must be: JSON of one of four forms, checked before anything uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_EDITS = 3


class UnusableEditError(ValueError):
    """A reply that is no edit; the message says why, for the model to mend and the table to keep."""


class Reply(BaseModel):
    """What all replies have in common: no other keys, no other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SentenceReply(Reply):
    """One sentence for a section; empty where there is none, and then `why` says so."""

    sentence: str = Field(max_length=2000)
    why: str = Field(min_length=1)


class ReasonsReply(Reply):
    """Why each pair of a boundary pair is its grade and not the other."""

    lower: str = Field(min_length=1)
    upper: str = Field(min_length=1)


class WholeReply(Reply):
    """A whole instruction."""

    instruction: str = Field(min_length=1)
    why: str = Field(min_length=1)


class Replacement(Reply):
    """A passage and what stands there instead."""

    find: str = Field(min_length=1)
    replace: str


class CriticReply(Reply):
    """What is wrong with an instruction, and how to mend it."""

    diagnosis: str = Field(min_length=1)
    edits: list[Replacement] = Field(max_length=MAX_EDITS)


Kind = TypeVar("Kind", bound=Reply)


def read_reply(kind: type[Kind], text: str) -> Kind:
    """Read a reply of a form; `UnusableEditError` with the first mistake when it is none."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnusableEditError(
            f"not JSON: {first['msg']}"
            if first["type"] == "json_invalid"
            else f"off the schema at {where or 'the top'}: {first['msg']}"
        ) from None


def reply_schema(kind: type[Reply]) -> Mapping[str, Any]:
    """Return the strict JSON schema of a reply, as servers take it: every key required, nothing else allowed."""
    return dict(_SCHEMAS[kind])


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    names = list(properties)
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}


_TEXT = {"type": "string"}
_SCHEMAS: Mapping[type[Reply], Mapping[str, Any]] = {
    SentenceReply: _object({"sentence": _TEXT, "why": _TEXT}),
    ReasonsReply: _object({"lower": _TEXT, "upper": _TEXT}),
    WholeReply: _object({"instruction": _TEXT, "why": _TEXT}),
    CriticReply: _object(
        {"diagnosis": _TEXT, "edits": {"type": "array", "items": _object({"find": _TEXT, "replace": _TEXT})}}
    ),
}
