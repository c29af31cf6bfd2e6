"""What every language model is here: one verb, `complete`, from a request to a reply.

Two providers answer it: any OpenAI-compatible server, and `lexical`, which is deterministic and no model at all. A
reply that failed carries its reason; it is never an empty text, and no grade is ever read out of it. A server also
makes single exchanges without waiting for each other, and says of each whether asking again may help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, runtime_checkable


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
    Asking the same thing several times for several samples takes a `sample_index` each; `seed` None: the server's own.
    """

    role: str
    operator: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    material: object
    model: str
    template_digest: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    sample_index: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; None where it did not say."""

    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `text` is None when nothing did; `failure` is the reason a reply cannot be used.

    `grade_logprobs` are log probabilities at the place of the grade, by grade, where the server offers them.
    """

    text: str | None
    usage: Usage
    seconds: float
    failure: str | None = None
    grade_logprobs: Mapping[str, float] | None = None


class Outcome(Enum):
    """How an exchange ended, for whoever decides whether to ask again and how fast."""

    ANSWERED = "answered"  # by the model, well or badly: asking the same again buys the same
    REFUSED = "refused"  # too many requests: nothing was bought, later it will be
    BROKEN = "broken"  # the server or the way there: nothing was bought
    LOST = "lost"  # cut off while the model may have been at work: perhaps bought


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request sent and what came of it.

    `retry_seconds` is how long the server wants this request to wait, `hold_seconds` how long it wants no request at
    all; None where it does not say.
    """

    reply: Reply
    outcome: Outcome
    retry_seconds: float | None = None
    hold_seconds: float | None = None


# Returns why a text is no answer to its request, None when it is one.
Check = Callable[[str], str | None]


class LLM(Protocol):
    """A provider. `complete` makes one exchange; it raises `UserError` only where every further one would fail too."""

    @property
    def provider(self) -> str: ...

    def complete(self, request: Request) -> Reply: ...


@runtime_checkable
class ServedLLM(LLM, Protocol):
    """A provider behind a server, which many exchanges may be under way with; all of one loop, closed in that loop."""

    @property
    def host(self) -> str: ...

    @property
    def max_retries(self) -> int: ...

    async def exchange(self, request: Request) -> Exchange: ...

    async def close(self) -> None: ...
