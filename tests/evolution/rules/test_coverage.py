"""Rule × tier × grade × agreement: counted by hand, the same in the store and in the published copy."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl
import pytest

from curation.approvals import Decision, decide
from curation.rule_votes import append_votes, vote_rows
from curation.rules import make_rule
from storage.clock import now
from storage.store import Store
from tests.evolution.conftest import fill

KIND = make_rule("Another kind.", "list_contains(conflicting_fields, 'kind')", 0)  # on 2 of each query's 4 pairs
COLOUR = make_rule("Another colour.", "list_contains(conflicting_fields, 'colour')", 1)  # on 2, right on one of them


@pytest.fixture
def covered(store: Store) -> Store:
    """24 queries of four pairs (grades 2, 1, 0, 0), two rules; the four pairs of one query are in tier 2, and two
    people agree on one of them and disagree on another.
    """
    fill(store)
    at = now()
    stamp = {"run_id": "run_0", "created_at": at}
    rules = [KIND, COLOUR]
    store.append(
        {
            "rules": [
                {"rule_id": r.rule_id, "text": r.text, "condition": r.condition, "grade": r.grade, "origin": "mined",
                 **stamp}
                for r in rules
            ]
        }
    )  # fmt: skip
    append_votes(store, list(vote_rows(rules, store.frame("all_features"))), "run_0")
    pairs = first_query(store)
    store.append(
        {
            "snapshots": [
                {"snapshot_id": "snap_1", "manifest_digest": "d", "account": "x", "n_rows": 4, **stamp}
            ],
            "tier_members": [
                {"tier_member_id": f"tm_{n}", "snapshot_id": "snap_1", "tier": 2, "pair_id": one, "row_hash": f"h{n}",
                 "judgment_id": "j"}
                for n, one in enumerate(pairs["pair_id"])
            ],
            "responses": [
                {"response_id": f"a_{n}{who}", "candidate_id": f"c_{n}", "pair_id": pair, "account": who,
                 "grade": grade, "act": "submitted", "is_replayed": False, "session": "s", "sequence": 1,
                 "created_at": at}
                for n, pair in enumerate(pairs["pair_id"][:2])
                for who, grade in (("ana", 2), ("bo", 2 - n))
            ],
        }
    )  # fmt: skip
    return store


def first_query(store: Store) -> pl.DataFrame:
    """The pairs of one train query, best grade first."""
    pairs = store.frame("train_pairs", judgments="all")
    one = pairs.filter(pl.col("query_id") == pairs["query_id"][0])
    return one.sort("grade", descending=True)


def cells(store: Store) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """(rule, tier, grade, agreement) -> (n, right, pairs in the cell)."""
    return {
        (row["rule_id"], row["tier"], row["grade"], row["agreement"]): (row["n"], row["n_right"], row["n_cell"])
        for row in store.frame("rule_coverage_matrix").to_dicts()
    }


def test_every_cell_by_hand(covered: Store) -> None:
    """Outside tier 2 there are 23 queries: 23 pairs of grade 2 no rule votes on, 23 of grade 1, 46 of grade 0."""
    nobody = "no answer"
    assert cells(covered) == {
        (None, None, 2, nobody): (23, None, 23),
        (None, 2, 2, "unanimous"): (1, None, 1),
        (KIND.rule_id, None, 0, nobody): (46, 46, 46),
        (KIND.rule_id, 2, 0, nobody): (2, 2, 2),
        (COLOUR.rule_id, None, 0, nobody): (23, 0, 46),
        (COLOUR.rule_id, None, 1, nobody): (23, 23, 23),
        (COLOUR.rule_id, 2, 0, nobody): (1, 0, 2),
        (COLOUR.rule_id, 2, 1, "disputed"): (1, 1, 1),
    }


def test_a_rejected_rule_covers_nothing(covered: Store) -> None:
    decide(covered, [COLOUR.rule_id], Decision("rule", "reject", "dora"))
    held = cells(covered)
    assert (None, 2, 1, "disputed") in held and not any(rule == COLOUR.rule_id for rule, *_ in held)


def test_the_published_copy_says_the_same(covered: Store) -> None:
    with duckdb.connect(str(covered.publish()), read_only=True) as copy:
        rows = copy.sql("from coverage_by_rule").pl()
    assert rows.to_dicts() == covered.frame("rule_coverage_matrix").to_dicts()


def test_test_pairs_are_in_no_count(covered: Store) -> None:
    at = now()
    before = sum(n for n, _, _ in cells(covered).values())
    covered.append(
        {
            "queries": [
                {"query_id": "q_t", "text": "t", "root_query_id": "q_t", "split": "test", "source": "shop",
                 "run_id": "r", "created_at": at}
            ],
            "pairs": [
                {"pair_id": "p_t", "query_id": "q_t", "doc_id": "d_t", "split": "test", "origin": "ingest",
                 "source": "shop", "run_id": "r", "created_at": at}
            ],
            "judgments": [
                {"judgment_id": "j_t", "pair_id": "p_t", "grade": 2, "origin": "import:shop", "response_ids": [],
                 "is_replayed": False, "run_id": "r", "created_at": at}
            ],
        }
    )  # fmt: skip
    assert sum(n for n, _, _ in cells(covered).values()) == before
