"""Which server, model and key for which role: the `[llm]` table of `afrel.toml`, and the one rule about keys.

`OPENAI_API_KEY` goes only to the default host. Every other `base_url` names its own key variable, or `""` for a
server that wants none. The key itself is read from the environment at the last moment and is in no config or row.
`[llm.roles.ROLE]` overrides keys for one role; a role with a host of its own inherits no key. `[llm.prices."MODEL"]`
says what a million tokens cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from evolution.calls.prices import PRICE_KEYS, Price
from storage.errors import UserError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
ROLES = ("evolver", "labeller", "judge", "critic")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "base_url": (str,),
    "model": (str,),
    "key_variable": (str,),
    "timeout_seconds": (int, float),
    "max_retries": (int,),
    "temperature": (int, float),
    "max_reply_tokens": (int,),
    "seed": (int,),
    "logprobs": (bool,),
}
KNOWN_KEYS = set(_KINDS)
_TABLES = ("roles", "prices")


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """A checked `[llm]` table for one role. `key_variable` None: the server takes no key.

    `temperature` or `seed` None: the server's own. `max_reply_tokens` None: replies are not limited.
    """

    model: str | None
    base_url: str = DEFAULT_BASE_URL
    key_variable: str | None = DEFAULT_KEY_VARIABLE
    timeout_seconds: float = 120.0
    max_retries: int = 4
    temperature: float | None = 0.0
    max_reply_tokens: int | None = 2000
    seed: int | None = None
    logprobs: bool = True
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def parameters(self) -> dict[str, Any]:
        """What every request of this role carries beside its messages."""
        named = {"temperature": self.temperature, "max_completion_tokens": self.max_reply_tokens}
        return {name: value for name, value in named.items() if value is not None}


def read_llm_config(table: Mapping[str, Any], role: str | None = None) -> LlmConfig:
    """Check the `[llm]` table and return what it says for a role; UserError names all that is wrong with it at once."""
    plain = {name: value for name, value in table.items() if name not in _TABLES}
    roles, prices = table.get("roles", {}), table.get("prices", {})
    problems = list(_problems(plain, "[llm]"))
    if not isinstance(roles, dict) or not all(isinstance(part, dict) for part in roles.values()):
        problems.append("[llm.roles] must hold tables, each under a line [llm.roles.ROLE]")
        roles = {}
    for name, part in roles.items():
        if name not in ROLES:
            problems.append(f"[llm.roles.{name}]: unknown role (known: {', '.join(ROLES)})")
        else:
            problems += _problems(_merged(plain, part), f"[llm.roles.{name}]")
    problems += _price_problems(prices)
    if problems:
        told = "; ".join(dict.fromkeys(problems))
        raise UserError(f"afrel.toml {told}. Mend the table and run the command again")
    known = _merged(plain, roles.get(role, {}))
    if known.get("key_variable") == "":
        known["key_variable"] = None
    if known.get("max_reply_tokens") == 0:
        known["max_reply_tokens"] = None
    return LlmConfig(**{"model": None, **known, "prices": {name: Price(**price) for name, price in prices.items()}})


def _merged(plain: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a role over the common ones; a key goes to the host it was named for and to no other."""
    is_elsewhere = "base_url" in part and part["base_url"] != plain.get("base_url", DEFAULT_BASE_URL)
    inherited = {name: value for name, value in plain.items() if not (is_elsewhere and name == "key_variable")}
    return {**inherited, **part}


def _problems(table: Mapping[str, Any], where: str) -> Iterator[str]:
    for key in sorted(table.keys() - KNOWN_KEYS):
        yield f"{where}: unknown key {key!r} (known: {', '.join(sorted(KNOWN_KEYS))}, tables {', '.join(_TABLES)})"
    wrong = {name for name, kinds in _KINDS.items() if name in table and not _is_of(table[name], kinds)}
    for name in sorted(wrong - {"base_url"}):
        yield f"{where}: {name} has the wrong type: {table[name]!r}"
    for name in ("timeout_seconds", "max_retries", "max_reply_tokens", "temperature"):
        if name in table and name not in wrong and (table[name] < 0 or (name == "timeout_seconds" and not table[name])):
            yield f"{where}: {name} is {table[name]}, which is too small"
    base_url = table.get("base_url", DEFAULT_BASE_URL)
    parts = _split(base_url)
    if parts is None:
        yield f"{where}: base_url must be a full http(s) address"
    elif parts.username or parts.password or parts.query:
        yield f"{where}: base_url must hold no password and no query: name the key's variable in key_variable instead"
    elif not _is_default_host(base_url):
        yield from (f"{where}: {problem}" for problem in _foreign_key_problems(parts.netloc, table.get("key_variable")))
    elif table.get("key_variable", DEFAULT_KEY_VARIABLE) == "":
        yield f"{where}: key_variable is empty, and the default host takes no call without a key"


def _is_of(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds) and not (isinstance(value, float) and not math.isfinite(value))


def _split(base_url: object) -> Any:
    """Return the parts of a full http(s) address, None for anything else."""
    try:
        parts = urlsplit(base_url) if isinstance(base_url, str) else None
        is_full = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        if is_full and parts is not None and parts.port is not None and not 0 < parts.port < 65536:
            return None
    except ValueError:
        return None
    return parts if is_full else None


def _price_problems(prices: object) -> Iterator[str]:
    if not isinstance(prices, dict):
        yield '[llm.prices] must hold tables, each under a line [llm.prices."MODEL"]'
        return
    for model, price in prices.items():
        where = f'[llm.prices."{model}"]'
        if not isinstance(price, dict):
            yield f"{where} must be a table with prompt and completion, in money a million tokens"
            continue
        for key in sorted(price.keys() - PRICE_KEYS):
            yield f"{where}: unknown key {key!r} (known: {', '.join(sorted(PRICE_KEYS))})"
        for key in ("prompt", "completion"):
            if key not in price:
                yield f"{where}: {key} is missing: money a million tokens"
        for key in sorted(price.keys() & PRICE_KEYS):
            if not _is_of(price[key], (int, float)) or price[key] < 0:
                yield f"{where}: {key} has the wrong type or is negative: {price[key]!r}"


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
