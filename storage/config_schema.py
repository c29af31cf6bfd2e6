"""JSON Schemas of configurations, printed by `--schema`: what a form or an editor needs to know of each key.

A table of `afrel.toml` is checked by the code that reads it, whose messages are better than a schema's; the schema
beside it says the same of single keys, and a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import typer

Schema = dict[str, Any]


def number(description: str, default: float | None = None, **bounds: float) -> Schema:
    """Return the schema of a number; bounds are those of JSON Schema (minimum, exclusiveMinimum, maximum …)."""
    return _key("number", description, default, bounds)


def whole_number(description: str, default: int | None = None, **bounds: int) -> Schema:
    """Return the schema of a whole number."""
    return _key("integer", description, default, bounds)


def text(description: str, default: str | None = None, **more: Any) -> Schema:
    """Return the schema of text."""
    return _key("string", description, default, more)


def truth(description: str, default: bool) -> Schema:
    """Return the schema of a yes or no."""
    return _key("boolean", description, default, {})


def table(title: str, description: str, keys: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a table that takes no other keys."""
    schema: Schema = {
        "title": title, "description": description, "type": "object", "properties": dict(keys),
        "additionalProperties": False,
    }  # fmt: skip
    return {**schema, "required": list(required)} if required else schema


def schema_option(of: str, load: Callable[[], Schema]) -> Any:
    """Return the option `--schema` of a verb, which prints a schema and does nothing else. `of`: what it is of."""

    def show(is_asked: bool) -> None:
        if is_asked:
            print(json.dumps(load(), ensure_ascii=False))
            raise typer.Exit

    return typer.Option("--schema", is_eager=True, callback=show, help=f"Print the JSON Schema of {of}; do nothing.")


def _key(kind: str, description: str, default: Any, more: Mapping[str, Any]) -> Schema:
    told = {} if default is None else {"default": default}
    return {"type": kind, "description": description, **told, **more}
