"""A mutation run writes each mutation with its verdict, keeps to its root's split, and never does its work twice."""

from __future__ import annotations

from collections import Counter

import pytest

from evolution.mutating import MAX_PER_QUERY, MutateReport, mutate_pairs
from evolution.mutations import MUTATIONS
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import SCALE, fill


def mutate(store: Store, *, limit: int = 200, is_dry: bool = False) -> MutateReport:
    return mutate_pairs(store, scale=SCALE, operators=list(MUTATIONS), limit=limit, seed=0, account=None, is_dry=is_dry)


def test_every_mutation_has_a_pair_features_and_a_verdict_with_its_reason(store: Store) -> None:
    fill(store)
    report = mutate(store)
    assert 0 < report.n_confirmed <= len(report.drawn)
    counts = {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "mutations"}
    assert counts.get("confirmed", 0) == report.n_confirmed
    assert sum(counts.values()) == len(report.drawn)
    assert store.read("pairs_without_features", n=1).num_rows == 0
    assert all(drawn.check.reason for drawn in report.drawn)


def test_a_mutation_inherits_root_and_split_and_only_train_pairs_are_mutated(store: Store) -> None:
    fill(store)
    before = {row["query_id"]: row for row in store.read("query_roots").to_pylist()}
    report = mutate(store)
    after = {row["query_id"]: row for row in store.read("query_roots").to_pylist()}
    new = {query_id: row for query_id, row in after.items() if query_id not in before}
    assert new and {row["split"] for row in new.values()} == {"train"}
    assert all(before[row["root_query_id"]]["split"] == "train" for row in new.values())
    assert {drawn.source["root_query_id"] for drawn in report.drawn} == {row["root_query_id"] for row in new.values()}


def test_no_pair_is_mutated_twice_and_no_query_gives_more_than_its_share(store: Store) -> None:
    fill(store)
    drawn = mutate(store).drawn
    assert max(Counter(d.source["pair_id"] for d in drawn).values()) == 1
    assert max(Counter(d.source["query_id"] for d in drawn).values()) <= MAX_PER_QUERY


def test_the_second_run_does_nothing_and_a_larger_one_takes_other_pairs(store: Store) -> None:
    fill(store)
    first = mutate(store, limit=10)
    assert len(first.drawn) == 10
    assert mutate(store, limit=10).finished_before is not None
    more = mutate(store, limit=15)
    taken = {drawn.source["pair_id"] for drawn in first.drawn}
    assert more.drawn and taken.isdisjoint(drawn.source["pair_id"] for drawn in more.drawn)


def test_a_dry_run_writes_nothing(store: Store) -> None:
    fill(store)
    assert mutate(store, is_dry=True).drawn
    assert store.read("mutated_parents").num_rows == 0


def test_with_too_few_judgments_every_mutation_is_eliminated_with_that_reason(store: Store) -> None:
    fill(store, n_queries=6)
    report = mutate(store)
    assert report.drawn and report.n_confirmed == 0
    assert {drawn.check.reason for drawn in report.drawn} == {"too few train judgments: 20 of 5 queries, needs 60"}
    assert report.verifier is not None and report.verifier.accuracy is None


def test_an_unknown_operator_is_told_with_the_known_ones(store: Store) -> None:
    with pytest.raises(UserError, match=r"unknown operator typo.*attribute_swap"):
        mutate_pairs(store, scale=SCALE, operators=["typo"], limit=1, seed=0, account=None)
