"""A candidate and answers as the bridge's pure parts take them."""

from __future__ import annotations

from typing import Any

from storage.grades import Scale

SCALE = Scale((0, 1, 2, 3), ("bad", "fair", "good", "top"))
STEPS = '[["intent", "a sofa"], ["verdict", "substantially"]]'
QUESTION_IDS = {"grade": "q-grade", "rationale": "q-why", "first_wrong_step": "q-step", "comment": "q-word"}


def candidate(**more: Any) -> dict[str, Any]:
    row = {
        "candidate_id": "c_1", "pair_id": "p_1", "query": "sofa", "title": "Red sofa", "body": "", "fields": "{}",
        "grade": 2, "steps": STEPS, "rule_ids": ["r_12ab"], "confidence": 0.75, "proposer": "lexical",
        "status": "awaiting_review", "n_required": 1, "cause": "", "operator": None,
    }  # fmt: skip
    return {**row, **more}


def response(status: str = "submitted", at: str = "2026-05-20T10:00:00.000001", **values: Any) -> dict[str, Any]:
    return {
        "id": "11111111-aaaa", "user_id": "u-ana", "status": status, "record_id": "rec-1",
        "values": {name: {"value": value} for name, value in values.items()} or None,
        "inserted_at": "2026-05-20T09:00:00", "updated_at": at,
    }  # fmt: skip
