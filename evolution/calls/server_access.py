"""How a server is reached and nothing is given away: its key, its headers, and what may be said of its errors.

The key stands in no message: whatever comes back is searched for it before anybody else sees it. Nothing that the
environment holds for the default host travels to another.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, OpenAI

from evolution.calls.chat_protocol import one_line_of
from evolution.calls.llm_config import LlmConfig, is_default_host
from storage.errors import UserError

# Set for the default host; the client would send them to any other as well.
_AMBIENT_HEADERS = ("OpenAI-Organization", "OpenAI-Project")


class ServerAccess:
    """The key of one server and the clients that carry it. UserError when the key's variable is not set."""

    def __init__(self, config: LlmConfig, environment: Mapping[str, str] = os.environ) -> None:
        self.config = config
        self._key = _read_key(config, environment)
        self.headers: dict[str, str | Omit] = {} if is_default_host(config) else _silenced_headers(environment)
        # Said outright, for the client would let an ambient Authorization header win over the key.
        self.headers["Authorization"] = f"Bearer {self._key}" if self._key else Omit()
        self._certificates: ssl.SSLContext | None = None

    def client(self) -> AsyncOpenAI:
        """Return a client for one event loop, which retries nothing by itself."""
        if self._certificates is None:  # read once: it takes longer than many requests, and a run has many clients
            self._certificates = httpx2.create_ssl_context()
        http_client = DefaultAsyncHttpxClient(verify=self._certificates, timeout=self.config.timeout_seconds)
        return AsyncOpenAI(**self._settings(), max_retries=0, http_client=http_client)

    def blocking_client(self) -> OpenAI:
        """Return a client that waits, and retries as the config says; its calls take `headers`."""
        return OpenAI(**self._settings(), max_retries=self.config.max_retries)

    def refused(self, status: int) -> str:
        """Return what to say when the server refuses the key."""
        host, variable = self.config.host, self.config.key_variable
        if variable is None:
            return (
                f"{status} from {host}: it wants a key and afrel.toml [llm] names none. "
                'Name its variable: key_variable = "NAME", then export NAME=…'
            )
        return (
            f"{status} from {host}: check {variable}, the key in it was refused. "
            f"Set {variable} to a key of that host and run the command again; what was paid for is kept"
        )

    def redact(self, detail: str) -> str:
        """Return the beginning of what a server said, on one line and without the key."""
        return one_line_of(self.hide_key(detail))

    def hide_key(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "***") if self._key else text

    def _settings(self) -> dict[str, Any]:
        return {
            "api_key": self._key or "none",
            "admin_api_key": "",
            "base_url": self.config.base_url,
            "timeout": self.config.timeout_seconds,
        }


def _read_key(config: LlmConfig, environment: Mapping[str, str]) -> str:
    if config.key_variable is None:
        return ""
    key = environment.get(config.key_variable, "").strip()
    if not key:
        raise UserError(
            f"{config.key_variable} is not set; {config.host} takes its key from there. "
            f"Set it: export {config.key_variable}=…, or label without a model: afrel label --provider lexical"
        )
    if not key.isascii() or not key.isprintable():
        raise UserError(
            f"{config.key_variable} holds characters no key has (blanks inside, line ends, or not ASCII). "
            f"Set it again: export {config.key_variable}=…"
        )
    return key


def _silenced_headers(environment: Mapping[str, str]) -> dict[str, str | Omit]:
    custom = (line.partition(":")[0].strip() for line in environment.get("OPENAI_CUSTOM_HEADERS", "").split("\n"))
    return {name: Omit() for name in (*_AMBIENT_HEADERS, *custom) if name}
