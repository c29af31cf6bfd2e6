"""Rows of a small store for tests: one query, pairs of it, candidates, answers; ids as the house writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

AT = datetime(2026, 3, 1, 9, 30)
STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": AT}


def llm_calls(first: int, n: int) -> list[dict[str, Any]]:
    """Return rows of a table nothing is maintained for."""
    return [
        {
            "llm_call_id": f"y_{number:016x}",
            "role": "label",
            "operator": "label",
            "provider": "test",
            "model": "none",
            "template_digest": "0",
            "request": f"request {number} " + "word " * 40,
            **STAMP,
        }
        for number in range(first, first + n)
    ]


def shop(n: int, *, first: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return a query with n pairs, a candidate on each, all of them screened."""
    numbers = range(first, first + n)
    return {
        "queries": [
            {
                "query_id": "q_00000000000000aa",
                "text": "red sofa",
                "root_query_id": "q_00000000000000aa",
                "split": "train",
                "source": "s",
                **STAMP,
            }
        ],
        "pairs": [
            {
                "pair_id": f"p_{number:016x}",
                "query_id": "q_00000000000000aa",
                "doc_id": f"d_{number:016x}",
                "split": "train",
                "origin": "import",
                "source": "s",
                **STAMP,
            }
            for number in numbers
        ],
        "candidates": [candidate(number, number) for number in numbers],
        "screenings": [passed(number) for number in numbers],
    }


def candidate(number: int, pair: int, *, confidence: float | None = None) -> dict[str, Any]:
    """Return a candidate on a pair; the lower its number the less sure the machine is, so the earlier its turn."""
    return {
        "candidate_id": f"c_{number:016x}",
        "pair_id": f"p_{pair:016x}",
        "grade": 1,
        "steps": "[]",
        "rule_ids": [],
        "confidence": number / 1000 if confidence is None else confidence,
        "proposer": "lexical",
        **STAMP,
    }


def passed(number: int) -> dict[str, Any]:
    """Return the row that says a candidate passed its screens."""
    return {
        "screening_id": f"s_{number:016x}",
        "candidate_id": f"c_{number:016x}",
        "screen": "all",
        "is_passed": True,
        "reason": "no screen objects",
        **STAMP,
    }


def answer(number: int, account: str, *, grade: int = 1, act: str = "submitted", **more: Any) -> dict[str, Any]:
    """Return an account's answer on the candidate and pair of a number."""
    return {
        "response_id": f"a_{account}_{number}_{act}",
        "candidate_id": f"c_{number:016x}",
        "pair_id": f"p_{number:016x}",
        "account": account,
        "act": act,
        "grade": grade if act == "submitted" else None,
        "is_replayed": False,
        "session": "s",
        "sequence": number,
        "created_at": AT,
        **more,
    }


def asks_twice(cause: str = "all") -> dict[str, Any]:
    """Return a review cause by which every pair needs two answers."""
    return {
        "review_cause_id": f"v_{cause}",
        "cause": cause,
        "predicate": "n_answers >= 0",
        "n_required": 2,
        "created_at": AT,
    }
