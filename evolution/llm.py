"""What every language model is here: one verb, `complete`, from a request to a reply.

Two providers answer it: any OpenAI-compatible server, and `lexical`, which is deterministic and no model at all. A
reply that failed carries its reason; it is never an empty text, and no grade is ever read out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of a model.

    `role` is the work (label, mine, …) and `operator` its variant. `material` is the structured input the messages
    were rendered from: the lexical provider reads it instead of the prose. `schema` is the JSON schema of the reply.
    """

    role: str
    operator: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    material: object
    model: str
    template_digest: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; None where it did not say."""

    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `text` is None when nothing did; `failure` is the reason a reply cannot be used."""

    text: str | None
    usage: Usage
    seconds: float
    failure: str | None = None


# Returns why a text is no answer to its request, None when it is one.
Check = Callable[[str], str | None]


class LLM(Protocol):
    """A provider. `complete` makes one exchange; it raises `UserError` only where every further one would fail too."""

    @property
    def provider(self) -> str: ...

    def complete(self, request: Request) -> Reply: ...
