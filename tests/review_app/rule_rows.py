"""A small rule book in a real store: eight pairs whose term overlap is n/10, three rules, grades to hold them against.

Pairs 1 to 4 are train, 5 and 6 dev, 7 and 8 test. HIGH votes 3 where the overlap is at least 0.3 (pairs 3 to 8), LOW
votes 0 under 0.45 (pairs 1 to 4), ALSO votes 3 from 0.7 on (pairs 7 and 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from curation.features import FEATURE_SCHEMA
from curation.rule_votes import append_votes, vote_rows
from curation.rules import Rule, make_rule
from storage.clock import now
from storage.people.accounts import Pin, Role
from storage.store import Store

HIGH = make_rule("Where most terms are there, the grade is 3.", "term_overlap >= 0.3", 3)
LOW = make_rule("Where few terms are there, the grade is 0.", "term_overlap < 0.45", 0)
ALSO = make_rule("Where nearly all terms are there, the grade is 3.", "term_overlap >= 0.7", 3)
SPLITS = ["train"] * 4 + ["dev"] * 2 + ["test"] * 2
# 7 is a test pair and must never count; 8 is not settled
GRADES = {1: 0, 2: 1, 3: 2, 4: 3, 5: 3, 6: 0, 7: 0}
NAMES = ("irrelevant", "partly", "substantially", "fully")


def pin(account: str, role: Role, **changed: Any) -> Pin:
    return Pin(account, role, "0" * 64, f"person_{account}", **changed)


DORA = pin("dora", Role.ADJUDICATOR)
ANA = pin("ana", Role.REVIEWER)


def pair_id_of(n: int) -> str:
    return f"p_{n:016x}"


def features_of(overlaps: Mapping[int, float]) -> pl.DataFrame:
    """Features of pairs of which nothing matters but the term overlap."""
    plain: dict[Any, Any] = {pl.Int32(): 1, pl.Float64(): 0.5, pl.Boolean(): False, pl.List(pl.String()): []}
    rows = [
        {name: plain.get(kind) for name, kind in FEATURE_SCHEMA.items()}
        | {"pair_id": pair_id_of(n), "term_overlap": overlap}
        for n, overlap in overlaps.items()
    ]
    return pl.DataFrame(rows, schema=FEATURE_SCHEMA)


def all_features() -> pl.DataFrame:
    return features_of({n: n / 10 for n in range(1, 9)})


def fill(store: Store, *, grades: Mapping[int, int] = GRADES, rules: tuple[Rule, ...] = (HIGH, LOW, ALSO)) -> None:
    """Write pairs, features, grades, rules and the rules' votes."""
    stamp: dict[str, Any] = {"run_id": "run_1", "created_at": now()}
    pairs = [
        {"pair_id": pair_id_of(n), "query_id": f"q_{n}", "doc_id": f"d_{n}", "split": split, "origin": "import"}
        for n, split in enumerate(SPLITS, 1)
    ]
    judged = [
        {"judgment_id": f"j_{n}_{grade}", "pair_id": pair_id_of(n), "grade": grade, "origin": "import:s"}
        for n, grade in grades.items()
    ]
    store.append(
        {
            "grades": [
                {"grade_id": f"g_{grade}", "grade": grade, "name": name, "created_at": stamp["created_at"]}
                for grade, name in enumerate(NAMES)
            ],
            "queries": [
                {"query_id": f"q_{n}", "text": f"sofa {n}", "root_query_id": f"q_{n}", "split": split, "source": "s"}
                | stamp
                for n, split in enumerate(SPLITS, 1)
            ],
            "docs": [
                {"doc_id": f"d_{n}", "title": f"Sofa {n}", "body": "", "fields": "{}", "source": "s", **stamp}
                for n in range(1, 9)
            ],
            "pairs": [{**pair, "source": "s", **stamp} for pair in pairs],
            "pair_features": all_features().with_columns(
                run_id=pl.lit("run_1"), created_at=pl.lit(stamp["created_at"])
            ),
            "judgments": [{**row, "response_ids": [], "is_replayed": False, **stamp} for row in judged],
        }
    )
    add_rules(store, *rules)


def add_rules(store: Store, *rules: Rule, origin: str = "mined", parent_id: str | None = None) -> None:
    """Write rules as proposed ones, with their votes."""
    stamp: dict[str, Any] = {"run_id": "run_1", "created_at": now(), "origin": origin, "parent_id": parent_id}
    store.append(
        {
            "rules": [
                {"rule_id": rule.rule_id, "text": rule.text, "condition": rule.condition, "grade": rule.grade, **stamp}
                for rule in rules
            ]
        }
    )
    append_votes(store, list(vote_rows(rules, all_features())) if rules else [], "run_1")
