"""A configuration's JSON Schema as the fields of a form, and what was filled in as the configuration to ask for.

Only what differs from the default is sent, so that defaults which depend on the model or the rows stay the trainer's.
What a field takes is held against the schema again when the job is asked for; a form is no check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MODEL, TIERS = "model", "tiers"
FILE_ENDING = "_file"
# what is asked first, as far as a method has it; the rest has defaults that seldom want another look
FIRST = (
    MODEL, TIERS, "method", "n_steps", "epochs", "learning_rate", "batch_size", "curriculum", "sft_weight", "on_alarm",
    "text_file", "seed",
)  # fmt: skip


class FieldKind(StrEnum):
    """What a field takes: one of its options, several, yes or no, a number, a whole one, several, or a text."""

    CHOICE = "choice"
    CHOICES = "choices"
    FLAG = "flag"
    NUMBER = "number"
    WHOLE = "whole"
    WHOLES = "wholes"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class FormField:
    """One key of a configuration. `default` None: left to the trainer, or asked for when `is_required`.

    low, high: the bounds, themselves allowed or not; the schema knows.
    """

    name: str
    kind: FieldKind
    description: str
    default: Any
    is_required: bool
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def is_first(self) -> bool:
        return self.name in FIRST


def read_form(schema: Mapping[str, Any]) -> list[FormField]:
    """Return the fields of a schema, those asked first in front, the others in its order."""
    required = set(schema.get("required", ()))
    fields = [
        _field(name, told, schema.get("$defs", {}), is_required=name in required)
        for name, told in schema["properties"].items()
    ]
    first = sorted((field for field in fields if field.is_first), key=lambda field: FIRST.index(field.name))
    return [*first, *(field for field in fields if not field.is_first)]


def filled_in(fields: Sequence[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that was filled in: what was given and is not the default."""
    return dict(_given(fields, values))


def _given(fields: Sequence[FormField], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in fields:
        value = values.get(field.name)
        if isinstance(value, str):
            value = value.strip()
        if value is None or value in ("", []) or value == field.default:
            continue
        yield field.name, value


def _field(name: str, told: Mapping[str, Any], shared: Mapping[str, Any], *, is_required: bool) -> FormField:
    kinds = [kind for kind in told.get("anyOf", [told]) if kind.get("type") != "null"]
    if len(kinds) != 1:
        raise ValueError(f"{name} takes several kinds of values: {told}")
    plain = _resolved(kinds[0], shared)
    kind, options = _kind(name, plain, shared)
    return FormField(
        name=name,
        kind=kind,
        description=told.get("description", ""),
        default=told.get("default"),
        is_required=is_required,
        options=options,
        low=plain.get("minimum", plain.get("exclusiveMinimum")),
        high=plain.get("maximum", plain.get("exclusiveMaximum")),
    )


def _kind(name: str, plain: Mapping[str, Any], shared: Mapping[str, Any]) -> tuple[FieldKind, tuple[str, ...]]:
    if "enum" in plain:
        return FieldKind.CHOICE, tuple(plain["enum"])
    if plain.get("type") == "array":
        inner = _resolved(plain["items"], shared)
        if "enum" in inner:
            return FieldKind.CHOICES, tuple(inner["enum"])
        if inner.get("type") == "integer":
            return FieldKind.WHOLES, ()
    known = {
        "boolean": FieldKind.FLAG, "number": FieldKind.NUMBER, "integer": FieldKind.WHOLE, "string": FieldKind.TEXT,
    }  # fmt: skip
    kind = known.get(plain.get("type", ""))
    if kind is None:
        raise ValueError(f"{name} takes what no form here has a field for: {dict(plain)}")
    return kind, ()


def _resolved(told: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    named = told.get("$ref")
    found: Mapping[str, Any] = told if named is None else shared[named.rpartition("/")[2]]
    return found
