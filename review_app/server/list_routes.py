"""The routes of the list: which queries have docs that wait, the docs of one, and their leases."""

from __future__ import annotations

from typing import Any

from review_app.list_desk import PAGE, hold_docs, next_list, open_list, search_queries, waiting_queries
from review_app.server.api import Desk, Route
from review_app.server.body_fields import count_in, text_in, texts_in
from storage.clock import now, to_ms
from storage.errors import UserError
from storage.people.accounts import Act


def _queries(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    sought = text_in(body, "text", "").strip()
    after = body.get("after")
    if after is not None and not (isinstance(after, list) and len(after) == 2):
        raise UserError("`after` must name the last query of the page before")
    if sought:
        from_text = (str(after[0]), str(after[1])) if after else None
        found = search_queries(desk.person, desk.store, sought, after=from_text)
    else:
        from_count = (count_in({"n": after[0]}, "n", 0), str(after[1])) if after else None
        found = waiting_queries(desk.person, desk.store, after=from_count)
    return {"queries": found.queries, "next": found.next}


def _next(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    is_blind = body.get("is_blind") is True
    listed = next_list(desk.person, desk.store, besides=text_in(body, "besides", ""), is_blind=is_blind)
    return {"list": listed, "now": to_ms(now())}


def _docs(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    told = open_list(
        desk.person,
        desk.store,
        text_in(body, "query_id"),
        after=text_in(body, "after", ""),
        n=count_in(body, "n", PAGE),
        is_blind=body.get("is_blind") is True,
    )
    return {**told, "now": to_ms(now())}


def _hold(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return {"held": hold_docs(desk.person, desk.store, texts_in(body, "candidate_ids"))}


ROUTES = (
    Route("POST", "/api/list/queries", Act.REVIEW, _queries),
    Route("POST", "/api/list/next", Act.REVIEW, _next),
    Route("POST", "/api/list/docs", Act.REVIEW, _docs),
    Route("POST", "/api/list/hold", Act.REVIEW, _hold),
)
