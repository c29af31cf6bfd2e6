"""Mining a store: train grades only, votes on every pair, the second run idle; approvals are acts with a status."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from curation.approvals import Decision, decide, undecided
from evolution.rules.book import approved_rules, book_digest, mine_book
from storage.clock import now
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import SCALE, fill

APPROVE = Decision("rule", "approve", "dora")


@pytest.fixture(scope="module")
def mined_folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder whose store is filled and mined once: most tests only want rules."""
    folder = tmp_path_factory.mktemp("mined") / "store"
    shutil.copytree(empty_store, folder)
    with Store.embedded(folder, sees_test=True) as opened:
        fill(opened)
        mine_book(opened, scale=SCALE, max_rules=12, account=None)
    return folder


@pytest.fixture
def mined(tmp_path: Path, mined_folder: Path) -> Iterator[Store]:
    """A store of its own, filled and mined."""
    folder = tmp_path / "mined"
    shutil.copytree(mined_folder, folder)
    with Store.embedded(folder, sees_test=True) as opened:
        yield opened


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


def test_votes_cover_dev_pairs_while_accuracy_counts_train_judgments_only(mined: Store) -> None:
    book = mined.frame("rule_book")
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


def test_new_judgments_are_mined_again_and_old_rules_stay(mined: Store) -> None:
    before = set(mined.frame("rule_book")["rule_id"])
    pair_id = mined.frame("train_features", judgments="all")["pair_id"][0]
    stamp = {"origin": "adjudicated", "response_ids": [], "is_replayed": False, "run_id": "r", "created_at": now()}
    mined.append({"judgments": [{"judgment_id": "j_new", "pair_id": pair_id, "grade": 1, **stamp}]})
    assert mine_book(mined, scale=SCALE, max_rules=12, account=None).finished_before is None
    assert before <= set(mined.frame("rule_book")["rule_id"])


def test_nothing_judged_is_told_with_the_next_command(store: Store) -> None:
    fill(store, judged=False)
    with pytest.raises(UserError, match="Bring judgments: afrel ingest"):
        mine_book(store, scale=SCALE, max_rules=12, account=None)


def test_judgments_of_one_grade_are_told_with_the_next_command(store: Store) -> None:
    fill(store)
    stamp = {"origin": "adjudicated", "response_ids": [], "is_replayed": False, "run_id": "r", "created_at": now()}
    judged = store.frame("train_pairs", judgments="all")["pair_id"]
    store.append({"judgments": [{"judgment_id": f"j_{one}", "pair_id": one, "grade": 1, **stamp} for one in judged]})
    with pytest.raises(UserError, match=r"all 80 judged train pairs have grade 1.*afrel ingest"):
        mine_book(store, scale=SCALE, max_rules=12, account=None)


def test_every_rule_proposed_has_a_row_with_its_evidence(mined: Store) -> None:
    with duckdb.connect(str(mined.publish()), read_only=True) as copy:
        rows = copy.sql("from rule_proposals").pl()
    kept = rows.filter("is_kept")
    assert sorted(kept["rule_id"]) == mined.frame("rule_book")["rule_id"].to_list()
    assert set(kept["n_judged"]) == {80} and set(kept["source"]) == {"judgments"}
    left = rows.filter(~pl.col("is_kept"))
    assert left["rule_id"].null_count() == len(left)
    assert all(reason.startswith("says no more than r_") for reason in left["reason"])
    (kind,) = kept.filter(pl.col("condition") == "list_contains(conflicting_fields, 'kind')").to_dicts()
    assert (kind["n_votes"], kind["n_right"], len(kind["example_pair_ids"]), kind["counter_pair_ids"]) == (
        40,
        40,
        4,
        [],
    )


def test_a_decision_is_an_act_and_may_be_taken_back(mined: Store) -> None:
    ids = mined.frame("rule_book")["rule_id"].to_list()
    assert decide(mined, ids, APPROVE) == len(ids)
    assert [rule.rule_id for rule in approved_rules(mined)] == ids
    assert undecided(mined.frame("rule_book"), ids, APPROVE) == []
    decide(mined, ids[:1], replace(APPROVE, decision="reject", reason="too narrow"))
    assert [rule.rule_id for rule in approved_rules(mined)] == ids[1:]
    decide(mined, ids[:1], APPROVE)
    assert [rule.rule_id for rule in approved_rules(mined)] == ids


def test_an_unknown_rule_is_told_with_the_next_command(store: Store) -> None:
    with pytest.raises(UserError, match=r"no rule r_none.*--list"):
        undecided(store.frame("rule_book"), ["r_none"], APPROVE)


def test_a_rule_book_has_one_digest_whatever_its_order(mined: Store) -> None:
    decide(mined, mined.frame("rule_book")["rule_id"].to_list(), APPROVE)
    rules = approved_rules(mined)
    assert book_digest(rules) == book_digest(rules[::-1]) != book_digest(rules[1:])
