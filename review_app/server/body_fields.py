"""Values out of the JSON a browser sends: of the kind a use case takes, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.errors import UserError

MOST_TEXTS = 1000
MOST_NUMBER = 1e14  # as ms since 1970 a time that can still be written


def text_in(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text; `default` where it is left out or null."""
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise UserError(f"`{name}` must be a text, it is {value!r:.80}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(f"`{name}` holds half of a character") from None
    return value


def texts_in(body: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of texts, empty where it is left out."""
    values = body.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values) or len(values) > MOST_TEXTS:
        raise UserError(f"`{name}` must be a list of at most {MOST_TEXTS:,} texts")
    return values


def count_in(body: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number that is not negative; `default` where it is left out or null."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise UserError(f"`{name}` must be a whole number, it is {value!r:.80}")
    return value


def number_in(body: Mapping[str, Any], name: str) -> float:
    """Return a number, such as a time in ms since 1970."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST_NUMBER:
        raise UserError(f"`{name}` must be a number, it is {value!r:.80}")
    return float(value)
