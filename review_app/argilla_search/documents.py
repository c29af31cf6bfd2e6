"""What the index is told of a record: plain values, so that the layers below the adapter need no Argilla."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Vector: TypeAlias = list[float]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggested answer to a question. Of `value` and `score`, both JSON, numbers and short texts are indexed."""

    question: str
    value: Any = None
    score: Any = None
    agent: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A user's response; `answers` holds a JSON value by question."""

    response_id: str
    user_id: str
    status: str
    answers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A record as it is searched. Times are as `filters.moment` writes them; texts by field; vectors by settings."""

    record_id: str
    texts: dict[str, str]
    status: str = "pending"
    external_id: str | None = None
    inserted_at: str | None = None
    updated_at: str | None = None
    metadata: dict[str, Any] | None = None
    suggestions: tuple[Suggestion, ...] = ()
    responses: tuple[Response, ...] = ()
    vectors: dict[str, Vector] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found record; the score is None where nothing was scored, and higher is better."""

    record_id: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Hits:
    """One page of what was found, and how many there are in all."""

    hits: tuple[Hit, ...]
    total: int
