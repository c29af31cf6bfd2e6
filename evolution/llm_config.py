"""Which server, model and key: the `[llm]` table of `afrel.toml`, and the one rule about keys.

`OPENAI_API_KEY` goes only to the default host. Every other `base_url` names its own key variable, or `""` for a
server that wants none. The key itself is read from the environment at the last moment and is in no config or row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from storage.errors import UserError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
KNOWN_KEYS = {"base_url", "model", "key_variable", "timeout_seconds", "max_retries", "temperature"}


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """A checked `[llm]` table. `key_variable` None: the server takes no key. `temperature` None: the server's own."""

    model: str | None
    base_url: str = DEFAULT_BASE_URL
    key_variable: str | None = DEFAULT_KEY_VARIABLE
    timeout_seconds: float = 120.0
    max_retries: int = 4
    temperature: float | None = 0.0

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc


def read_llm_config(table: Mapping[str, Any]) -> LlmConfig:
    """Check the `[llm]` table; UserError names all that is wrong with it at once."""
    problems = [
        f"unknown key {key!r} (known: {', '.join(sorted(KNOWN_KEYS))})" for key in sorted(table.keys() - KNOWN_KEYS)
    ]
    base_url = table.get("base_url", DEFAULT_BASE_URL)
    parts = urlsplit(base_url) if isinstance(base_url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append("base_url must be a full http(s) address")
    elif parts.username or parts.password or parts.query:
        problems.append("base_url must hold no password and no query: name the key's variable in key_variable instead")
    elif not _is_default_host(base_url):
        problems += _foreign_key_problems(parts.netloc, table.get("key_variable"))
    elif table.get("key_variable", DEFAULT_KEY_VARIABLE) == "":
        problems.append("key_variable is empty, and the default host takes no call without a key")
    for name, kinds in (
        ("model", str),
        ("key_variable", str),
        ("timeout_seconds", (int, float)),
        ("max_retries", int),
        ("temperature", (int, float)),
    ):
        if name in table and (not isinstance(table[name], kinds) or isinstance(table[name], bool)):
            problems.append(f"{name} has the wrong type: {table[name]!r}")
    if problems:
        raise UserError("afrel.toml [llm]: " + "; ".join(problems) + ". Mend the table and run the command again")
    known = {name: table[name] for name in KNOWN_KEYS & table.keys()}
    if known.get("key_variable") == "":
        known["key_variable"] = None
    return LlmConfig(**{"model": None, **known})


def _foreign_key_problems(host: str, key_variable: object) -> list[str]:
    if key_variable is None:
        return [
            f"base_url names {host}, so key_variable must name the variable that holds its key "
            f'(key_variable = "" where it takes none); {DEFAULT_KEY_VARIABLE} goes only to {DEFAULT_BASE_URL}'
        ]
    if key_variable == DEFAULT_KEY_VARIABLE:
        return [f"key_variable is {DEFAULT_KEY_VARIABLE}, which goes only to {DEFAULT_BASE_URL}, not to {host}"]
    return []


def _is_default_host(base_url: str) -> bool:
    parts, default = urlsplit(base_url), urlsplit(DEFAULT_BASE_URL)
    return (parts.scheme, parts.netloc.casefold()) == (default.scheme, default.netloc)


def is_default_host(config: LlmConfig) -> bool:
    """Return whether a config talks to the host that `OPENAI_API_KEY` belongs to, and over TLS."""
    return _is_default_host(config.base_url)
