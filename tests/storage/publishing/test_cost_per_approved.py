"""What an approved candidate cost: its own call, and its share of the calls that led to none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pytest

from storage.store import Store

AT = datetime(2026, 3, 1)
STAMP = {"run_id": "run_0", "created_at": AT}


def call(name: str, cost: float | None, failure: str | None = None) -> dict[str, Any]:
    fixed = {"role": "label", "operator": "label", "provider": "openai", "model": "m", "template_digest": "d"}
    tokens = {"n_prompt_tokens": 90, "n_completion_tokens": 10}
    told = {"llm_call_id": f"l_{name}", "request": "{}", "reply": "x", "failure": failure, "cost": cost}
    return {**fixed, **tokens, **told, **STAMP}


def query(split: str) -> dict[str, Any]:
    told = {"query_id": f"q_{split}", "text": f"{split} mug", "root_query_id": f"q_{split}", "split": split}
    return {**told, "source": "shop", **STAMP}


def pair(name: str, split: str) -> dict[str, Any]:
    return {"pair_id": f"p_{name}", "query_id": f"q_{split}", "doc_id": f"d_{name}", "split": split, **STAMP} | {
        "origin": "ingest",
        "source": "shop",
    }


def candidate(name: str, grade: int) -> dict[str, Any]:
    told = {"candidate_id": f"c_{name}", "pair_id": f"p_{name}", "grade": grade, "llm_call_id": f"l_{name}"}
    return {**told, "steps": "[]", "rule_ids": [], "proposer": "openai:m", **STAMP}


def judgment(name: str, grade: int, origin: str) -> dict[str, Any]:
    told = {"judgment_id": f"j_{name}", "pair_id": f"p_{name}", "grade": grade, "origin": origin}
    return {**told, "response_ids": [], "is_replayed": False, **STAMP}


def test_an_approved_candidate_pays_for_those_that_led_to_none(store: Store) -> None:
    """Two approved (1.0 in tier 2, 2.0 in none); a failure, a revised one, an imported one and a test pair: 4 x 0.5.

    So each approved one pays its own cost and a half of 2.0, and its 100 tokens and a half of 400.
    """
    names = ("one", "two", "revised", "imported", "test")
    store.append(
        {
            "queries": [query("train"), query("test")],
            "docs": [
                {"doc_id": f"d_{n}", "title": n, "body": "", "fields": "{}", "source": "s"} | STAMP for n in names
            ],
            "pairs": [pair(name, "test" if name == "test" else "train") for name in names],
            "llm_calls": [
                call("one", 1.0),
                call("two", 2.0),
                *(call(name, 0.5) for name in names[2:]),
                call("failed", 0.5, "not JSON"),
            ],
            "candidates": [candidate(name, 2) for name in names],
            "judgments": [
                judgment("one", 2, "adjudicated"),
                judgment("two", 2, "adjudicated"),
                judgment("revised", 1, "adjudicated"),
                judgment("imported", 2, "import:shop"),
                judgment("test", 2, "adjudicated"),
            ],
            "snapshots": [{"snapshot_id": "snap_1", "manifest_digest": "m", "n_rows": 1, "account": "cleo"} | STAMP],
            "tier_members": [
                {
                    "tier_member_id": "tm_1",
                    "snapshot_id": "snap_1",
                    "tier": 2,
                    "pair_id": "p_one",
                    "row_hash": "h",
                    "judgment_id": "j_one",
                    "candidate_id": "c_one",
                }
            ],
        }
    )
    with duckdb.connect(str(store.publish()), read_only=True) as published:
        rows = published.execute(
            "select tier, is_approved, n_calls, n_failed, n_approved, cost_per_approved, tokens_per_approved "
            "from cost_per_approved order by is_approved desc, tier nulls last"
        ).fetchall()
    assert rows == [
        (2, True, 1, 0, 1, pytest.approx(2.0), pytest.approx(300.0)),
        (None, True, 1, 0, 1, pytest.approx(3.0), pytest.approx(300.0)),
        (None, False, 4, 1, 0, None, None),
    ]
