"""Rows of the review tests: a pair with a screened candidate that waits for answers, in a real store."""

from __future__ import annotations

from typing import Any

from storage.clock import now
from storage.store import Store

STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": now()}
STEPS = '[["intent", "a sofa"], ["verdict", "substantially"]]'


def pair_id_of(n: int) -> str:
    return f"p_{n:016x}"


def add_pair(store: Store, n: int, *, grade: int = 2, confidence: float = 0.9, n_required: int = 1) -> None:
    """Add pair n of query `q` and doc `d<n>`, with candidate `c_<n>`; below 0.5 it needs `n_required` answers."""
    cause = {
        "review_cause_id": f"rc_{n_required}",
        "cause": f"asks_{n_required}",
        "predicate": "confidence < 0.5",
        "n_required": n_required,
        "created_at": STAMP["created_at"],
    }
    query = {"query_id": "q_1", "text": "sofa", "root_query_id": "q_1", "split": "train", "source": "s", **STAMP}
    doc = {"doc_id": f"d_{n}", "title": f"Sofa {n}", "body": "", "fields": "{}", "source": "s", **STAMP}
    pair = {"pair_id": pair_id_of(n), "query_id": "q_1", "doc_id": f"d_{n}", "split": "train", "origin": "import"}
    candidate = {
        "candidate_id": f"c_{n}",
        "pair_id": pair_id_of(n),
        "grade": grade,
        "steps": STEPS,
        "rule_ids": [],
        "confidence": confidence,
        "proposer": "lexical",
    }
    screening = {"screening_id": f"s_{n}", "candidate_id": f"c_{n}", "screen": "all", "is_passed": True}
    store.append(
        {
            "review_causes": [cause] if n_required > 1 else [],
            "queries": [query],
            "docs": [doc],
            "external_ids": [external_id("query", "q", "q_1"), external_id("doc", f"d{n}", f"d_{n}")],
            "pairs": [{**pair, "source": "s", **STAMP}],
            "candidates": [{**candidate, **STAMP}],
            "screenings": [{**screening, "reason": "no screen objects", **STAMP}],
        }
    )


def external_id(kind: str, name: str, content_id: str) -> dict[str, Any]:
    own = {"external_id_id": f"x_{kind}{name}", "source": "s", "kind": kind}
    return {**own, "external_id": name, "content_id": content_id, **STAMP}
