"""The route that says who is logged in, for a page that wants to know whether it still is."""

from __future__ import annotations

from typing import Any

from review_app.server.api import Desk, Route
from storage.people.accounts import Act, may


def _me(desk: Desk, _asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "account": desk.person.account,
        "role": desk.person.role.value,
        "language": desk.language,
        "acts": [act.value for act in Act if may(desk.person.role, act)],
    }


ROUTES = [Route("GET", "/api/me", None, _me)]
