"""Reading a judge's JSON: of the schema and about the pair that was asked about, or a reason why it cannot be used."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from evolution.labelling.request import UnusableReplyError

M = TypeVar("M", bound=BaseModel)


def read_json(model: type[M], text: str, pair_id: str) -> M:
    """Return a reply; `UnusableReplyError` when it is no JSON, off the schema, or says it is about another pair."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise UnusableReplyError(_other_pair(text, pair_id) or _first_mistake(error)) from None


def once_each(numbers: list[int], n: int, *, what: str) -> None:
    """Raise `UnusableReplyError` unless the numbers are 1 to n, each once, in any order."""
    if sorted(numbers) != list(range(1, n + 1)):
        raise UnusableReplyError(f"not each {what} once: {numbers} where 1 to {n} were asked about")


def _other_pair(text: str, pair_id: str) -> str | None:
    try:
        named = json.loads(text).get("pair_id")
    except (ValueError, AttributeError, RecursionError):
        return None
    return None if named in (None, pair_id) else f"about another pair: {str(named)[:40]}"


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON: {first['msg']}"
    where = ".".join(str(part) for part in first["loc"])
    return f"off the schema at {where or 'the top'}: {first['msg']}"
