"""Mining a store: train grades only, votes on every pair, the second run idle; approvals are acts with a status."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from curation.approvals import Decision, decide, undecided
from evolution.rule_book import approved_rules, book_digest, choose_by_accuracy, mine_book
from storage.clock import now
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import SCALE, fill

APPROVE = Decision("rule", "approve", "dora")


def mine(store: Store, **changed: int) -> None:
    mine_book(store, scale=SCALE, account=None, **{"max_rules": 12, **changed})


def test_mining_writes_rules_and_votes_and_the_second_run_does_nothing(store: Store) -> None:
    fill(store)
    first = mine_book(store, scale=SCALE, max_rules=12, account=None)
    assert first.n_judged == 80  # 20 train queries of 24, four docs each
    assert first.n_new_rules == len(first.entries) > 0
    book = store.frame("rule_book")
    assert set(book["status"]) == {"proposed"}
    second = mine_book(store, scale=SCALE, max_rules=12, account=None)
    assert second.finished_before is not None
    assert store.frame("rule_book").equals(book)


def test_votes_cover_dev_pairs_while_accuracy_counts_train_judgments_only(store: Store) -> None:
    fill(store)
    mine(store)
    book = store.frame("rule_book")
    kinds = book.filter(pl.col("condition") == "list_contains(conflicting_fields, 'kind')").to_dicts()
    assert [(row["grade"], row["n_votes"], row["n_judged"], row["n_right"]) for row in kinds] == [(0, 48, 40, 40)]


def test_dev_and_test_grades_change_nothing(store: Store) -> None:
    fill(store)
    before = mine_book(store, scale=SCALE, max_rules=12, account=None, is_dry=True)
    held_back = store.frame("all_features").join(
        store.frame("train_features", judgments="all").select("pair_id"), on="pair_id", how="anti"
    )
    stamp = {"origin": "import:other", "response_ids": [], "is_replayed": False, "run_id": "r", "created_at": now()}
    twisted = [
        {"judgment_id": f"j_{pair_id}", "pair_id": pair_id, "grade": 1, **stamp} for pair_id in held_back["pair_id"]
    ]
    store.append({"judgments": twisted})
    after = mine_book(store, scale=SCALE, max_rules=12, account=None, is_dry=True)
    assert [entry.rule for entry in before.entries] == [entry.rule for entry in after.entries]


def test_a_dry_run_writes_nothing(store: Store) -> None:
    fill(store)
    assert mine_book(store, scale=SCALE, max_rules=12, account=None, is_dry=True).entries
    assert store.frame("rule_book").is_empty()


def test_new_judgments_are_mined_again_and_old_rules_stay(store: Store) -> None:
    fill(store)
    mine(store)
    before = set(store.frame("rule_book")["rule_id"])
    pair_id = store.frame("train_features", judgments="all")["pair_id"][0]
    stamp = {"origin": "adjudicated", "response_ids": [], "is_replayed": False, "run_id": "r", "created_at": now()}
    store.append({"judgments": [{"judgment_id": "j_new", "pair_id": pair_id, "grade": 1, **stamp}]})
    assert mine_book(store, scale=SCALE, max_rules=12, account=None).finished_before is None
    assert before <= set(store.frame("rule_book")["rule_id"])


def test_nothing_judged_is_told_with_the_next_command(store: Store) -> None:
    fill(store, judged=False)
    with pytest.raises(UserError, match="Bring judgments: afrel ingest"):
        mine(store)


def test_a_decision_is_an_act_and_may_be_taken_back(store: Store) -> None:
    fill(store)
    mine(store)
    ids = store.frame("rule_book")["rule_id"].to_list()
    assert decide(store, ids, APPROVE) == len(ids)
    assert [rule.rule_id for rule in approved_rules(store)] == ids
    assert undecided(store.frame("rule_book"), ids, APPROVE) == []
    decide(store, ids[:1], replace(APPROVE, decision="reject", reason="too narrow"))
    assert [rule.rule_id for rule in approved_rules(store)] == ids[1:]
    decide(store, ids[:1], APPROVE)
    assert [rule.rule_id for rule in approved_rules(store)] == ids


def test_an_unknown_rule_is_told_with_the_next_command(store: Store) -> None:
    with pytest.raises(UserError, match=r"no rule r_none.*--list"):
        undecided(store.frame("rule_book"), ["r_none"], APPROVE)


def test_choosing_by_accuracy_leaves_rejected_and_thin_rules_out() -> None:
    book = pl.DataFrame(
        {
            "rule_id": ["good", "thin", "wrong", "rejected", "unjudged"],
            "status": ["proposed", "proposed", "proposed", "rejected", "proposed"],
            "n_judged": [10, 4, 10, 10, 0],
            "n_right": [7, 4, 6, 10, 0],
        }
    )
    assert choose_by_accuracy(book, min_accuracy=0.7, min_votes=5) == ["good"]


def test_a_rule_book_has_one_digest_whatever_its_order(store: Store) -> None:
    fill(store)
    mine(store)
    decide(store, store.frame("rule_book")["rule_id"].to_list(), APPROVE)
    rules = approved_rules(store)
    assert book_digest(rules) == book_digest(rules[::-1]) != book_digest(rules[1:])
