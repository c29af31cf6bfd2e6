"""Logging in through the organisation's own log-in (OpenID Connect): what `afrel.toml` and the environment say of it.

The exchange with the provider is Streamlit's (`/auth/login`, `/oauth2callback`, by Authlib). The client's secret comes
from a file that `AFREL_OIDC_SECRET_FILE` names and never lies in the workspace.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from review_app.server.site import LOOPBACK, Site
from storage.errors import UserError
from storage.workspace import CONFIG_NAME, Workspace

SECRET_FILE = "AFREL_OIDC_SECRET_FILE"
NAMES = {"name", "discovery", "client_id"}


@dataclass(frozen=True, slots=True)
class Oidc:
    """A provider. `discovery` is the address of its `.well-known/openid-configuration`."""

    name: str
    discovery: str
    client_id: str
    client_secret: str = field(repr=False)

    def streamlit_secrets(self, site: Site) -> dict[str, Any]:
        """Return what Streamlit's log-in routes read; their cookies are signed with a key of this process."""
        return {
            "auth": {
                "redirect_uri": f"{site.url}/oauth2callback",
                "cookie_secret": secrets.token_urlsafe(32),
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "server_metadata_url": self.discovery,
            }
        }


def read_oidc(workspace: Workspace) -> Oidc | None:
    """Return the provider `[oidc]` in `afrel.toml` names, None without one; UserError lists all that is wrong."""
    said = workspace.config.get("oidc")
    path = workspace.root / CONFIG_NAME
    if said is None:
        return None
    problems = _problems(said)
    file = os.environ.get(SECRET_FILE)
    if not file:
        problems.append(f"the client's secret must stand in a file that {SECRET_FILE} names, outside the workspace")
    secret = _read_secret(Path(file), workspace, problems) if file else ""
    if problems:
        raise UserError(f"{path} [oidc]: {'; '.join(problems)}. docs/app.md shows one that works")
    return Oidc(said["name"], said["discovery"], said["client_id"], secret)


def _problems(said: Any) -> list[str]:
    if not isinstance(said, Mapping):
        return ["must be a table, under a line [oidc]"]
    problems = [f"unknown key {name!r}; known are {sorted(NAMES)}" for name in sorted(set(said) - NAMES)]
    problems += [
        f"{name} must be a text" for name in sorted(NAMES) if not (isinstance(said.get(name), str) and said[name])
    ]
    if isinstance(said.get("discovery"), str):
        parts = urlsplit(said["discovery"])
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            problems.append(f"discovery {said['discovery']!r} must begin with https://")
    return problems


def _read_secret(file: Path, workspace: Workspace, problems: list[str]) -> str:
    if file.resolve().is_relative_to(workspace.root):
        problems.append(f"{file} lies in the workspace, where no secret may lie: move it, and name it in {SECRET_FILE}")
        return ""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{file} ({SECRET_FILE}) cannot be read: {error}")
        return ""
    if not secret:
        problems.append(f"{file} ({SECRET_FILE}) is empty")
    return secret
