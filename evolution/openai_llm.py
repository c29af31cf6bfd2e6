"""Any OpenAI-compatible server as a provider: one chat completion with a strict JSON schema.

Server errors, rate limits and timeouts are retried by the client, a bounded number of times; what stays wrong is a
reasoned failure. A refused key or an unknown model stops the run, for every call would fail the same way. The key
stands in no message: whatever comes back is searched for it before anybody else sees it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

import openai
from openai import Omit, OpenAI

from evolution.llm import Reply, Request, Usage
from evolution.llm_config import LlmConfig, is_default_host
from storage.errors import UserError

PROVIDER = "openai"
MAX_DETAIL_CHARACTERS = 300
# Set for the default host; the client would send them to any other as well.
_AMBIENT_HEADERS = ("OpenAI-Organization", "OpenAI-Project")


class OpenAILLM:
    """A server that speaks chat completions. Safe to call from several threads."""

    provider = PROVIDER

    def __init__(self, config: LlmConfig, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._key = _read_key(config, environment)
        self._headers: dict[str, str | Omit] = {} if is_default_host(config) else _silenced_headers(environment)
        # Said outright, for the client would let an ambient Authorization header win over the key.
        self._headers["Authorization"] = f"Bearer {self._key}" if self._key else Omit()
        self._client = OpenAI(
            api_key=self._key or "none",
            admin_api_key="",
            base_url=config.base_url,
            timeout=config.timeout_seconds,
            max_retries=config.max_retries,
        )

    def complete(self, request: Request) -> Reply:
        """Make one exchange; UserError when the server refuses the key or does not know the model."""
        started = time.monotonic()
        try:
            raw = self._client.chat.completions.with_raw_response.create(**_body(request), extra_headers=self._headers)
            text, failure, usage = _read_body(raw.http_response.text)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(self._refused(error.status_code)) from None
        except openai.NotFoundError as error:
            detail = self._redact(str(error))
            raise UserError(
                f"{self._config.host} answers 404 for model {request.model!r}: {detail}. "
                "Name a model it serves: afrel label --provider openai --model MODEL"
            ) from None
        except openai.APIStatusError as error:
            text, usage = None, Usage()
            failure = f"http {error.status_code}: {self._redact(error.response.text)}"
        except openai.APITimeoutError:
            text, usage = None, Usage()
            failure = f"timeout: no answer within {self._config.timeout_seconds:g} s"
        except openai.APIConnectionError as error:
            text, usage = None, Usage()
            failure = f"no connection to {self._config.host}: {self._redact(str(error.__cause__ or error))}"
        except openai.OpenAIError as error:
            text, usage = None, Usage()
            failure = f"{type(error).__name__}: {self._redact(str(error))}"
        seconds = time.monotonic() - started
        return Reply(self._hide_key(text), usage, seconds, self._hide_key(failure))

    def _refused(self, status: int) -> str:
        variable = self._config.key_variable
        if variable is None:
            return (
                f"{self._config.host} wants a key (http {status}) and afrel.toml [llm] names none. "
                'Name its variable: key_variable = "NAME", then export NAME=…'
            )
        return (
            f"{self._config.host} refused the key in {variable} (http {status}). "
            f"Set {variable} to a key of that host and run the command again; what was paid for is kept"
        )

    def _redact(self, detail: str) -> str:
        return (self._hide_key(" ".join(detail.split())) or "")[:MAX_DETAIL_CHARACTERS]

    def _hide_key(self, text: str | None) -> str | None:
        return text.replace(self._key, "***") if text and self._key else text


def _read_key(config: LlmConfig, environment: Mapping[str, str]) -> str:
    if config.key_variable is None:
        return ""
    key = environment.get(config.key_variable, "").strip()
    if not key:
        raise UserError(
            f"{config.key_variable} is not set; {config.host} takes its key from there. "
            f"Set it: export {config.key_variable}=…, or label without a model: afrel label --provider lexical"
        )
    return key


def _silenced_headers(environment: Mapping[str, str]) -> dict[str, str | Omit]:
    custom = (line.partition(":")[0].strip() for line in environment.get("OPENAI_CUSTOM_HEADERS", "").split("\n"))
    return {name: Omit() for name in (*_AMBIENT_HEADERS, *custom) if name}


def _body(request: Request) -> dict[str, Any]:
    name = f"{request.role}_reply"
    return {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": dict(request.schema)},
        },
        **request.parameters,
    }


def _read_body(body: str) -> tuple[str | None, str | None, Usage]:
    """Read a 200 reply: its text, why it cannot be used, its token counts."""
    try:
        value = json.loads(body)
        choice = value["choices"][0]
        message = choice["message"]
        text = message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, f"not a chat completion: {' '.join(body.split())[:MAX_DETAIL_CHARACTERS]}", Usage()
    usage = _read_usage(value.get("usage"))
    if message.get("refusal"):
        return text, f"refused by the model: {str(message['refusal'])[:MAX_DETAIL_CHARACTERS]}", usage
    if choice.get("finish_reason") == "content_filter":
        return text, "stopped by the server's content filter", usage
    if choice.get("finish_reason") == "length":
        return text, "cut off at the token limit", usage
    if not isinstance(text, str) or not text.strip():
        return None, "empty reply", usage
    return text, None, usage


def _read_usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (count if isinstance(count, int) else None for count in counts)
    return Usage(prompt, completion)
