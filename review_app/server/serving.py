"""What the app serves with, for the routes and for Streamlit's script, which is run by its path and gets no arguments.

One process serves one workspace, as one process holds one Streamlit app.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from review_app.server.logins import Logins
from review_app.server.oidc import Oidc
from review_app.server.site import Site
from review_app.server.stores import Stores
from review_app.server.visitors import Visitors
from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Serving:
    """A workspace, the address it is served at, and who may come in. `home` holds keys and logins."""

    workspace: Workspace
    home: Path
    site: Site
    stores: Stores
    logins: Logins
    visitors: Visitors
    oidc: Oidc | None


_begun: list[Serving] = []


def begin(serving: Serving) -> None:
    """Serve this from now on."""
    _begun[:] = [serving]


def serving() -> Serving:
    """Return what this process serves; RuntimeError when it serves nothing."""
    if not _begun:
        raise RuntimeError("nothing is served by this process")
    return _begun[0]
