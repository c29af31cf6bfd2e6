"""Where the Argilla server is: where `[argilla]` in `afrel.toml` says, with the key from the environment only.

Where it names no url, it is the server of this workspace (`afrel argilla up`), whose owner's key lies in its folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from review_app.argilla_local.home import WORKSPACE, Running, ServerHome
from storage.errors import UserError
from storage.workspace import CONFIG_NAME, Workspace

DATASET = "afrel"  # where `dataset` is not said
MOST_NAME_CHARACTERS = 150  # Argilla takes 200; version and overlap are put behind
_KEYS = ("url", "workspace", "api_key_variable", "dataset", "accounts")
_REMOTE = ("workspace", "api_key_variable")  # said together with url, and of a server elsewhere only
_EXAMPLE = (
    '[argilla]\nurl = "http://127.0.0.1:6900"\nworkspace = "review"\napi_key_variable = "ARGILLA_API_KEY"\n'
    "and then: afrel argilla push"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A workspace on an Argilla server. `accounts` gives the afrel account of Argilla users who are named otherwise.

    `key_file` holds the key of the workspace's own server; for one elsewhere it is None.
    """

    url: str
    workspace: str
    api_key_variable: str
    dataset: str = DATASET
    accounts: Mapping[str, str] = field(default_factory=dict)
    key_file: Path | None = None

    def read_key(self) -> str:
        """Return the API key; UserError when its variable is unset or cannot be one."""
        if self.key_file is not None:
            return self.key_file.read_text(encoding="ascii").strip()
        key = os.environ.get(self.api_key_variable, "").strip()
        if not key:
            raise UserError(
                f"the environment variable {self.api_key_variable} is empty; it must hold an Argilla API key "
                f"(Argilla, My settings). Set it: export {self.api_key_variable}=…"
            )
        if not key.isascii() or not key.isprintable():
            raise UserError(
                f"what {self.api_key_variable} holds is no API key: it has signs that no key has. "
                f"Copy it again from Argilla, My settings: export {self.api_key_variable}=…"
            )
        return key

    def account_of(self, username: str) -> str:
        """Return the afrel account an Argilla user stands for."""
        return self.accounts.get(username, username)


def read_target(workspace: Workspace) -> Target:
    """Return what `[argilla]` says, or this workspace's own server; UserError names all that is wrong together."""
    path = workspace.root / CONFIG_NAME
    table = workspace.config.get("argilla", {})
    mistakes = _mistakes(table)
    if mistakes:
        raise UserError(f"{path}: {'; '.join(mistakes)}. Correct it, for example:\n{_EXAMPLE}")
    if "url" in table:
        return Target(**{**table, "url": table["url"].rstrip("/")})
    home = ServerHome.of(workspace.root)
    running = home.last_run()
    if running is None:
        raise UserError(
            f"{path} names no Argilla server, and none was started in this workspace. Start one: afrel argilla up. "
            f"Or name yours:\n{_EXAMPLE}"
        )
    if not home.is_up():
        raise UserError("the workspace's Argilla server is down. Start it: afrel argilla up")
    return local_target(home, running, **table)


def local_target(home: ServerHome, running: Running, **told: Any) -> Target:
    """Return the workspace's own server as a target; `told` are the keys of `[argilla]` that hold for any server."""
    return Target(
        url=running.url, workspace=WORKSPACE, api_key_variable="ARGILLA_API_KEY", key_file=home.owner_key, **told
    )


def _mistakes(table: Any) -> list[str]:
    if not isinstance(table, dict):
        return ["argilla must be a table, under a line [argilla]"]
    mistakes = [f"unknown key {key!r} in [argilla]; known are {', '.join(_KEYS)}" for key in table if key not in _KEYS]
    is_local = "url" not in table
    if is_local:
        mistakes += [
            f"{key} is for a server elsewhere, and url is missing in [argilla]" for key in _REMOTE if key in table
        ]
    for key in _KEYS[:4]:
        value = table.get(key)
        if value is None and key != "dataset" and not is_local:
            mistakes.append(f"{key} is missing in [argilla]")
        elif value is not None and not (isinstance(value, str) and value.strip()):
            mistakes.append(f"{key} = {value!r} is not a text")
    url = table.get("url")
    if isinstance(url, str) and url.strip() and not _is_url(url):
        mistakes.append(f"url = {url!r} is no address such as http://127.0.0.1:6900")
    variable = table.get("api_key_variable")
    if isinstance(variable, str) and variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        # the value is not repeated: whoever mistakes the key for its variable's name has written the key here
        mistakes.append("api_key_variable is no name of an environment variable, such as ARGILLA_API_KEY")
    dataset = table.get("dataset")
    if isinstance(dataset, str) and len(dataset) > MOST_NAME_CHARACTERS:
        mistakes.append(f"dataset has {len(dataset)} characters; {MOST_NAME_CHARACTERS} are the most")
    accounts = table.get("accounts", {})
    if not isinstance(accounts, dict) or not all(isinstance(value, str) for value in accounts.values()):
        mistakes.append('[argilla.accounts] must give texts: "name in Argilla" = "account"')
    return mistakes


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:
        return False
