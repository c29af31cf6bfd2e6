"""A workspace whose pairs wait for two people each: Chinese and English furniture, none of them a blind audit."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from storage.ids import digest
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import Afrel
from tests.review_app.review_rows import STAMP

STEPS = json.dumps([["intent", "names a piece of furniture"], ["verdict", "most of what was asked for"]])
ENGLISH = ("red sofa", "sofa bed", "oak table", "garden chair")
PAIRS = [("红木茶几", f"红木茶几 客厅 {size} 厘米") for size in (60, 80, 100)] + [
    (query, f"{query} {colour}, {size} cm")
    for query in ENGLISH
    for colour, size in (("grey", 120), ("blue", 140), ("green", 160), ("brown", 180), ("black", 200), ("white", 220))
]
SCALE = "bad,fair,good,top"


def make_shop(afrel: Afrel, folder: Path, roles: dict[str, str], pairs: list[tuple[str, str]] = PAIRS) -> None:
    """Make the workspace with its accounts, the first of whom is its admin, and fill it."""
    afrel("init", folder, "--scale", SCALE)
    admin = next(iter(roles))
    for who, role in roles.items():
        afrel("account", "add", who, "--role", role, workspace=folder, account=None if who == admin else admin)
    with Store.connect(Workspace.open(folder), sees_test=True) as store:
        fill(store, pairs)


def pair_id_of(n: int) -> str:
    return f"p_f{digest(n)[:15]}"  # so high a number is never drawn for an audit


def fill(store: Store, pairs: list[tuple[str, str]], start: int = 0) -> None:
    """Add pairs, each with a candidate of grade 2 and confidence n / 100 that two people are asked about."""
    cause = {"cause": "low_confidence", "predicate": "confidence < 0.3", "n_required": 2}
    rows: dict[str, list[dict[str, Any]]] = {
        "review_causes": [{"review_cause_id": "rc_1", **cause, "created_at": STAMP["created_at"]}]
    }
    for n, (query, title) in enumerate(pairs, start=start):
        query_id = f"q_{digest(query)[:12]}"
        pair = {"pair_id": pair_id_of(n), "query_id": query_id, "doc_id": f"d_{n}", "split": "train", "source": "s"}
        made = {"candidate_id": f"c_{n}", "pair_id": pair_id_of(n), "grade": 2, "steps": STEPS, "rule_ids": []}
        passed = {"screening_id": f"s_{n}", "candidate_id": f"c_{n}", "screen": "all", "is_passed": True, "reason": ""}
        new: dict[str, dict[str, Any]] = {
            "queries": {"query_id": query_id, "text": query, "root_query_id": query_id, "split": "train"},
            "docs": {"doc_id": f"d_{n}", "title": title, "body": "", "fields": "{}", "source": "s"},
            "pairs": {**pair, "origin": "import"},
            "candidates": {**made, "confidence": n / 100, "proposer": "lexical"},
            "screenings": passed,
        }
        new["queries"]["source"] = "s"
        for table, row in new.items():
            rows.setdefault(table, []).append({**row, **STAMP})
    store.append(rows)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
