"""A mutation run writes each mutation with its verdict, keeps to its root's split, and never does its work twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation.approvals import Decision, decide
from evolution.calls.asking import Served
from evolution.calls.budget import Budget, Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.prices import Price
from evolution.mutations import OPERATORS
from evolution.mutations.guard import MAX_PER_QUERY
from evolution.mutations.operators import Original
from evolution.mutations.prompted import PromptedForm
from evolution.mutations.report import print_mutated, print_operators
from evolution.mutations.run import MutatePlan, MutateReport, mutate_pairs
from evolution.mutations.sources import ordered_sources
from evolution.rules.forgotten import voted_on
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import KEY, SCALE, ChatServer, completion, fill, forget
from tests.evolution.instructions.shop import TOWELS, ruled


def mutate(store: Store, *, is_dry: bool = False, **changed: Any) -> MutateReport:
    made = MutatePlan(scale=SCALE, operators=list(OPERATORS), limit=200, seed=0)
    return mutate_pairs(store, replace(made, **changed), account=None, is_dry=is_dry)


def test_every_mutation_has_a_pair_features_and_a_verdict_with_its_reason(store: Store) -> None:
    fill(store)
    report = mutate(store)
    assert 0 < report.n_confirmed < len(report.drawn)
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
    sources = {drawn.draw.source.root_query_id for drawn in report.drawn if drawn.draw.query_id in new}
    assert sources == {row["root_query_id"] for row in new.values()}


def test_no_pair_is_mutated_twice_and_no_query_gives_more_than_its_share(store: Store) -> None:
    fill(store)
    drawn = mutate(store).drawn
    assert max(Counter(d.draw.source.original.pair_id for d in drawn).values()) == 1
    assert max(Counter(d.draw.source.query_id for d in drawn).values()) <= MAX_PER_QUERY


def test_pairs_of_rules_a_model_forgot_are_mutated_first_three_beside_seven(store: Store) -> None:
    """Three such pairs, then seven others, and so on until there are none left."""
    fill(store)
    ruled(store, TOWELS)
    decide(store, [TOWELS.rule_id], Decision("rule", "approve", "ada"))
    features = store.frame("train_features", judgments="all")
    towels = set(features.filter(pl.Series(voted_on([TOWELS], features)))["pair_id"])
    plain = mutate(store, limit=20, is_dry=True)
    assert plain.n_of_forgotten == 0
    forget(store, TOWELS.rule_id)
    judged = store.frame("train_pairs", judgments="all")
    order = [one.original.pair_id for one in ordered_sources(judged, 0, taken=set(), forgotten=towels)]
    assert sorted(order) == sorted(judged["pair_id"])
    assert len(towels) == 4 and [one in towels for one in order].index(False) == 3
    assert [place for place, one in enumerate(order) if one in towels] == [0, 1, 2, 10]
    report = mutate(store, limit=20)
    assert report.n_of_forgotten == sum(one.draw.source.original.pair_id in towels for one in report.drawn) > 0
    assert report.n_of_forgotten > sum(one.draw.source.original.pair_id in towels for one in plain.drawn)
    assert mutate(store, limit=20).finished_before is not None


def test_the_second_run_does_nothing_and_a_larger_one_takes_other_pairs(store: Store) -> None:
    fill(store)
    first = mutate(store, limit=10)
    assert len(first.drawn) == 10
    assert mutate(store, limit=10).finished_before is not None
    more = mutate(store, limit=15)
    taken = {drawn.draw.source.original.pair_id for drawn in first.drawn}
    assert more.drawn and taken.isdisjoint(drawn.draw.source.original.pair_id for drawn in more.drawn)


def test_a_rewritten_doc_stands_beside_the_old_one_and_the_pool_leaves_it_out(store: Store) -> None:
    fill(store)
    n_docs = store.read("pool_docs", first=0, last=10**9).num_rows
    report = mutate(store, operators=["distractor_injection"], limit=5)
    assert len(report.drawn) == 5
    assert {drawn.draw.query_id for drawn in report.drawn} == {drawn.draw.source.query_id for drawn in report.drawn}
    new = {drawn.draw.doc_id for drawn in report.drawn}
    assert new.isdisjoint(drawn.draw.source.doc_id for drawn in report.drawn)
    held = {row["doc_id"]: row for row in store.read("doc_texts", ids=sorted(new)).to_pylist()}
    assert set(held) == new and all(row["body"] for row in held.values())
    assert store.read("pool_docs", first=0, last=10**9).num_rows == n_docs


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
    with pytest.raises(UserError, match=r"unknown operator spelling.*attribute_swap"):
        mutate(store, operators=["spelling"])


def test_an_empty_store_is_told_what_to_bring(store: Store) -> None:
    with pytest.raises(UserError, match="afrel ingest"):
        mutate(store)


def test_the_summary_tells_each_operator_the_mix_and_the_verifier(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store)
    report = mutate(store, operators=["typo", "attribute_swap"], limit=40)
    print_mutated(report, again="afrel mutate", is_dry=True, as_json=False)
    said = capsys.readouterr().out
    assert re.search(r"40 mutations, \d+ confirmed, \d+ eliminated \(dry run\)", said)
    assert re.search(r"confirmed by operator: attribute_swap \d+/\d+, typo \d+/\d+", said)
    assert re.search(r"mix: entropy of the operators [\d.]+ of 1; largest share of one query 10.0%", said)
    print_mutated(report, again="afrel mutate", is_dry=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["mutations"] == len(told["drawn"]) == 40
    assert sum(one["drawn"] for one in told["operators"]) == 40
    print_operators(as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == len(OPERATORS)


def rewriting(body: dict[str, Any]) -> tuple[int, Any]:
    """Answer a request by its own query with a letter doubled."""
    shown = body["messages"][1]["content"]
    query = re.search(r"<query>\n(.*)\n</query>", shown)
    assert query is not None
    text = query[1].replace("u", "uu").replace("a", "aa").replace("o", "oo")
    return 200, completion(json.dumps({"applies": True, "rewritten": text, "change": "letters"}))


@pytest.fixture
def llm(server: ChatServer, config: LlmConfig, monkeypatch: pytest.MonkeyPatch) -> OpenAILLM:
    monkeypatch.setenv("LOCAL_KEY", KEY)
    server.default = rewriting
    return OpenAILLM(config)


def served(llm: OpenAILLM, folder: Path, **changed: Any) -> Served:
    prices = {"m": Price(prompt=1.0, completion=10.0)}
    made = Served(llm, "m", {"max_completion_tokens": 100}, folder / "spool", concurrency=2, prices=prices)
    return replace(made, **changed)


def test_a_model_rewrites_and_the_same_verifier_checks(
    store: Store, tmp_path: Path, llm: OpenAILLM, server: ChatServer
) -> None:
    fill(store)
    asked = {"served": served(llm, tmp_path), "operators": ["typo", "slang"], "limit": 8}
    report = mutate(store, **asked)
    assert len(report.drawn) == report.asked.n_answered == len(server.requests) == 8
    assert {drawn.draw.llm_call_id for drawn in report.drawn}.isdisjoint({None})
    assert store.read("good_replies", role="mutate", provider=llm.provider, model="m").num_rows == 8
    assert mutate(store, **asked).finished_before is not None
    assert len(server.requests) == 8


def test_a_failed_call_is_counted_and_only_that_is_asked_again(
    store: Store, tmp_path: Path, llm: OpenAILLM, server: ChatServer
) -> None:
    fill(store)
    server.queue = [(200, "<html>busy</html>")] * 2
    asked = {"served": served(llm, tmp_path, concurrency=1), "operators": ["typo"], "limit": 6}
    first = mutate(store, **asked)
    assert first.asked.n_failed >= 1 and first.drawn
    n_requests = len(server.requests)
    again = mutate(store, **asked)
    assert again.finished_before is None and not again.asked.failures
    assert again.drawn and len(server.requests) > n_requests
    assert mutate(store, **asked).finished_before is not None


def test_a_dry_run_estimates_what_asking_would_take_and_asks_nothing(
    store: Store, tmp_path: Path, llm: OpenAILLM, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store)
    report = mutate(store, is_dry=True, served=served(llm, tmp_path), operators=["typo"], limit=8)
    assert report.estimate is not None and report.estimate.cost is not None
    assert (report.estimate.n_calls, report.estimate.n_learned, server.requests) == (8, 0, [])
    print_mutated(report, again="afrel mutate", is_dry=True, as_json=False)
    assert re.search(r"8 requests to a model.*\nestimate: 8 .*\ncost: ", capsys.readouterr().out)


@pytest.mark.parametrize("kind", ["requests", "tokens", "cost"])
def test_a_budget_ends_the_drawing_before_its_line_and_the_next_run_goes_on(
    store: Store, tmp_path: Path, llm: OpenAILLM, server: ChatServer, kind: str
) -> None:
    """A request uses 10 tokens at 0.000037; five of them, and the worst of one more, fit into the limits."""
    fill(store)
    named = served(llm, tmp_path, concurrency=1)
    shown = Original("p", "black towel number 11", "", "", {"colour": "black", "kind": "towel"}, 2)
    request = PromptedForm(SCALE, "m", named.parameters).request(OPERATORS["typo"], shown)
    assert request is not None
    worst = Budget(Limits(n_tokens=10**9), named.prices).worst_of(request)
    limits = {
        "requests": Limits(n_requests=5),
        "tokens": Limits(n_tokens=worst.n_tokens + 45),
        "cost": Limits(cost=worst.cost + 4.5 * 0.000037),
    }[kind]
    asked = {"operators": ["typo"], "limit": 12}
    first = mutate(store, served=replace(named, limits=limits), **asked)
    assert first.asked.stopped is not None and limits.told() in first.asked.stopped
    assert 0 < len(first.drawn) == first.asked.n_answered == len(server.requests) < 12
    assert len(server.requests) == 5 or kind != "requests"
    second = mutate(store, served=named, **asked)
    assert (second.finished_before, second.asked.stopped) == (None, None)
    assert {one.draw.pair_id for one in first.drawn}.isdisjoint(one.draw.pair_id for one in second.drawn)
    assert len(second.drawn) == 12
    assert mutate(store, served=named, **asked).finished_before is not None
