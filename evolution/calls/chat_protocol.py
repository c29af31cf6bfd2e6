"""Chat completions as JSON: the body a request is sent as, and what a reply's body says.

Pure, and shared by direct calls and batches. Whatever a server sends is either read or a reasoned failure: HTML, half a
JSON text, no choice or two, a refusal, a cut-off answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolution.calls.llm import Request, Usage

MAX_DETAIL_CHARACTERS = 300
MAX_REPLY_CHARACTERS = 200_000
MAX_TOKENS = 2**31 - 1
TOP_LOGPROBS = 8
LOGPROB_KEYS = ("logprobs", "top_logprobs")
_GRADE_KEY = '"grade"'


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A completion read: its text, why it cannot be used, what it took."""

    text: str | None
    failure: str | None
    usage: Usage = field(default_factory=Usage)
    grade_logprobs: Mapping[str, float] | None = None


def chat_body(request: Request, *, with_logprobs: bool) -> dict[str, Any]:
    """Return a request as the body of a chat completion: one choice, of a strict JSON schema."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": f"{request.role}_reply", "strict": True, "schema": dict(request.schema)},
        },
        **request.parameters,
    }
    if request.seed is not None:
        body["seed"] = request.seed + request.sample_index
    if with_logprobs and grades_of(request.schema):
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    return body


def read_chat(body: str, *, grades: frozenset[str] = frozenset()) -> ChatReply:
    """Read the body of a 200 reply; `grades` are those whose log probabilities are kept."""
    try:
        value = json.loads(body)
        choices = value["choices"]
        if isinstance(choices, list) and len(choices) != 1:
            usage = read_usage(value.get("usage"))
            return ChatReply(None, f"{len(choices)} choices where 1 was asked for", usage)
        choice = choices[0]
        message = choice["message"]
        text = message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ChatReply(None, f"not a chat completion: {one_line_of(body)}")
    usage = read_usage(value.get("usage"))
    if not isinstance(text, str) or not text.strip():
        return ChatReply(None, _stopped(message, choice) or "empty reply", usage)
    if len(text) > MAX_REPLY_CHARACTERS:
        return ChatReply(None, f"a reply of over {MAX_REPLY_CHARACTERS} characters: {one_line_of(text)}", usage)
    sound = _sound(text)
    failure = _stopped(message, choice)
    if failure is None and sound != text:
        failure = "half a character: a lone surrogate in the reply"
    logprobs = None if failure else _grade_logprobs(choice.get("logprobs"), grades)
    return ChatReply(sound, failure, usage, logprobs)


def _stopped(message: Mapping[str, Any], choice: Mapping[str, Any]) -> str | None:
    """Return why a text is not the model's whole answer."""
    if message.get("refusal"):
        return f"refused by the model: {one_line_of(str(message['refusal']))}"
    stops = {"content_filter": "stopped by the server's content filter", "length": "cut off at the token limit"}
    return stops.get(str(choice.get("finish_reason")))


def read_usage(usage: Any) -> Usage:
    """Read token counts; what is no count is absent."""
    if not isinstance(usage, dict):
        return Usage()
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    return Usage(*(count if type(count) is int and 0 <= count <= MAX_TOKENS else None for count in counts))


def grades_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the grades a schema offers, as a model writes them; none where the reply holds no grade."""
    try:
        offered = schema["properties"]["grade"]["enum"]
    except (LookupError, TypeError):
        return frozenset()
    return frozenset(map(str, offered))


def one_line_of(text: str) -> str:
    """Return the beginning of a foreign text, on one line, for a reason."""
    return _sound(" ".join(text[: 4 * MAX_DETAIL_CHARACTERS].split())[:MAX_DETAIL_CHARACTERS])


def _sound(text: str) -> str:
    """Return a text that can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _grade_logprobs(logprobs: Any, grades: frozenset[str]) -> Mapping[str, float] | None:
    """Return the log probability of each grade at the token that says it; None where there is none to be read."""
    if not grades or not isinstance(logprobs, dict):
        return None
    try:
        tokens = logprobs["content"]
        place = _place_of_grade("".join(token["token"] for token in tokens))
        if place is None:
            return None
        at = 0
        for token in tokens:
            at += len(token["token"])
            if at > place:
                return _by_grade([token, *(token.get("top_logprobs") or ())], grades)
    except (LookupError, TypeError, AttributeError):
        return None
    return None


def _place_of_grade(text: str) -> int | None:
    """Return where the value of the first key `grade` begins, in characters."""
    found = text.find(_GRADE_KEY)
    if found < 0:
        return None
    place = found + len(_GRADE_KEY)
    while place < len(text) and text[place] in " \t\r\n:":
        place += 1
    return place if place < len(text) else None


def _by_grade(tokens: list[Any], grades: frozenset[str]) -> Mapping[str, float] | None:
    """Add up the tokens that say the same grade; the token itself often stands among its own alternatives."""
    unlike = {str(token["token"]): float(token["logprob"]) for token in tokens}
    logprobs: dict[str, float] = {}
    for token, logprob in unlike.items():
        grade = token.strip(' \t\r\n:"')
        if grade in grades and math.isfinite(logprob) and logprob <= 0:
            held = logprobs.get(grade)
            logprobs[grade] = logprob if held is None else _log_add(held, logprob)
    return {grade: round(logprobs[grade], 6) for grade in sorted(logprobs)} or None


def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return min(0.0, high + math.log1p(math.exp(low - high)))
