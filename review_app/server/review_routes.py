"""The routes of the review card: claim, save, look up, comment. Each hands JSON to a use case and its answer back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from review_app.review_desk import (
    Receipt,
    claim_cards,
    comment,
    own_trail,
    read_cards,
    read_guideline,
    rule_brief,
    save_acts,
)
from review_app.server.api import Desk, Route
from review_app.server.body_fields import number_in, text_in, texts_in
from review_app.texts.refusals import in_words
from storage.clock import now, to_ms
from storage.errors import UserError
from storage.people.accounts import Act


def _claim(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    held = texts_in(body, "held")
    hand = claim_cards(
        desk.person, desk.store, int(number_in(body, "n")), held=held, is_blind=body.get("is_blind") is True
    )
    return {"cards": hand.cards, "n_waiting": hand.n_waiting, "now": to_ms(now())}


def _cards(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return {"cards": read_cards(desk.person, desk.store, texts_in(body, "candidate_ids"))}


def _acts(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    acts = body.get("acts")
    if not isinstance(acts, list):
        raise UserError("`acts` must be a list of acts")
    return {
        "receipts": [_receipt(desk, receipt) for receipt in save_acts(desk.person, desk.store, acts)],
        "now": to_ms(now()),
    }


def _receipt(desk: Desk, receipt: Receipt) -> dict[str, Any]:
    refused = None if receipt.refused is None else in_words(desk.language, receipt.refused)
    return {**receipt.to_dict(), "refused": refused}


def _trail(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    before = number_in(body, "before") if "before" in body else None
    moment = None if before is None else datetime.fromtimestamp(before / 1000, UTC).replace(tzinfo=None)
    return {"acts": own_trail(desk.person, desk.store, before=moment), "now": to_ms(now())}


def _rule(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    return rule_brief(desk.person, desk.store, text_in(body, "rule_id"))


def _guideline(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    named = body.get("instruction_id")
    return {"text": read_guideline(desk.person, desk.store, named if isinstance(named, str) else None)}


def _comment(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    comment_id = comment(
        desk.person,
        desk.store,
        text_in(body, "candidate_id"),
        text_in(body, "text"),
        session=text_in(body, "session"),
        sequence=int(number_in(body, "sequence")),
    )
    return {"comment_id": comment_id}


ROUTES = (
    Route("POST", "/api/claim", Act.REVIEW, _claim),
    Route("POST", "/api/cards", Act.REVIEW, _cards),
    Route("POST", "/api/acts", Act.REVIEW, _acts),
    Route("POST", "/api/trail", Act.REVIEW, _trail),
    Route("POST", "/api/rule", Act.REVIEW, _rule),
    Route("POST", "/api/guideline", Act.REVIEW, _guideline),
    Route("POST", "/api/comment", Act.REVIEW, _comment),
)
