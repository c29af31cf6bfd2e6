"""The routes of adjudication: pages of pairs, everything about one, a decision, and settling what people agree on."""

from __future__ import annotations

from typing import Any

from review_app.adjudication_desk import PAGE, decide, dossier, settle_agreed, undecided
from review_app.server.api import Desk, Route
from review_app.server.body_fields import count_in, text_in
from storage.people.accounts import Act


def _pairs(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    status = text_in(body, "status", "disputed")
    return undecided(desk.person, desk.store, status, after=_after(body), n=count_in(body, "n", PAGE))


def _pair(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return dossier(desk.person, desk.store, text_in(body, "candidate_id"))


def _decide(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return decide(desk.person, desk.store, body)


def _agreed(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return settle_agreed(desk.person, desk.store, after=_after(body))


def _after(body: dict[str, Any]) -> int:
    """Return the place a page begins behind: places count from 0, left out is before the first."""
    return count_in(body, "after", 0) if body.get("after") is not None else -1


ROUTES = (
    Route("POST", "/api/adjudicate/pairs", Act.ADJUDICATE, _pairs),
    Route("POST", "/api/adjudicate/pair", Act.ADJUDICATE, _pair),
    Route("POST", "/api/adjudicate/decide", Act.ADJUDICATE, _decide),
    Route("POST", "/api/adjudicate/agreed", Act.ADJUDICATE, _agreed),
)
