"""A labelling run: idempotent, resumable, failures counted and retried alone, unconfirmed mutations left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from curation.approvals import Decision, decide
from evolution.calls.llm import LLM
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.labelling.run import LabelPlan, LabelReport, label_pairs
from evolution.mutations import OPERATORS
from evolution.mutations.run import MutatePlan, mutate_pairs
from evolution.rules.book import mine_book
from storage.errors import UserError
from storage.sql.predicates import matches
from storage.store import Store
from tests.evolution.conftest import KEY, SCALE, ChatServer, completion, fill, label_text

ENVIRONMENT = {"LOCAL_KEY": KEY}


def label(
    store: Store, folder: Path, *, llm: LLM | None = None, limit: int | None = None, is_dry: bool = False
) -> LabelReport:
    plan = LabelPlan(
        scale=SCALE,
        llm=llm,
        model="m" if llm else "lexical",
        parameters={},
        limit=limit,
        concurrency=4,
        spool_dir=folder / "spool",
    )
    return label_pairs(store, plan, account=None, is_dry=is_dry)


def approve_all(store: Store) -> None:
    mine_book(store, scale=SCALE, max_rules=12, account=None)
    ids = store.frame("rule_book")["rule_id"].to_list()
    decide(store, ids, Decision("rule", "approve", "dora"))


def test_every_pair_gets_a_candidate_once(store: Store, tmp_path: Path) -> None:
    fill(store)
    first = label(store, tmp_path)
    assert (first.n_pairs, first.n_labelled, first.n_new) == (96, 96, 96)
    assert label(store, tmp_path).n_pairs == 0
    candidates = store.frame("unscreened")
    assert len(candidates) == 96 and set(candidates["rule_ids"].list.len()) == {0}


def test_a_limit_is_continued_by_the_next_run(store: Store, tmp_path: Path) -> None:
    fill(store)
    assert [label(store, tmp_path, limit=60).n_new for _ in range(3)] == [60, 36, 0]


def test_new_rules_mean_new_candidates_and_only_approved_voting_rules_are_cited(store: Store, tmp_path: Path) -> None:
    fill(store)
    label(store, tmp_path)
    approve_all(store)
    again = label(store, tmp_path)
    assert again.n_new == 96
    assert label(store, tmp_path).n_pairs == 0
    cited = {(rule_id, row["pair_id"]) for row in store.frame("unscreened").to_dicts() for rule_id in row["rule_ids"]}
    book = {row["rule_id"]: row["condition"] for row in store.frame("rule_book").to_dicts()}
    holds = matches(store.frame("all_features"), book)
    pair_ids = store.frame("all_features")["pair_id"].to_list()
    assert cited <= {(rule_id, pair_ids[i]) for rule_id, mask in holds.items() for i in mask.nonzero()[0]}
    assert cited


def test_the_lexical_labeller_is_right_where_the_shop_is_plain(store: Store, tmp_path: Path) -> None:
    """Dev queries were seen by nothing; in this shop attributes decide, so nearly all 16 are right."""
    fill(store)
    approve_all(store)
    label(store, tmp_path)
    rows = [row for row in store.frame("tier_facts").to_dicts() if row["part"] == "judged"]
    truth = {row["pair_id"]: row["grade"] for row in rows if row["split"] == "dev"}
    said = {row["pair_id"]: row["grade"] for row in store.frame("unscreened").to_dicts()}
    assert len(truth) == 16
    assert sum(said[pair_id] == grade for pair_id, grade in truth.items()) >= 14


def test_unconfirmed_mutations_get_no_candidate_and_confirmed_ones_do(store: Store, tmp_path: Path) -> None:
    fill(store)
    plan = MutatePlan(scale=SCALE, operators=list(OPERATORS), limit=50, seed=0)
    report = mutate_pairs(store, plan, account=None)
    confirmed = {drawn.draw.pair_id for drawn in report.drawn if drawn.check.is_confirmed}
    eliminated = {drawn.draw.pair_id for drawn in report.drawn if not drawn.check.is_confirmed} - confirmed
    label(store, tmp_path)
    labelled = set(store.frame("unscreened")["pair_id"])
    assert confirmed and confirmed <= labelled
    assert labelled.isdisjoint(eliminated)


def test_a_dry_run_counts_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    fill(store)
    assert label(store, tmp_path, is_dry=True).n_pairs == 96
    assert store.frame("unscreened").is_empty()


def test_a_good_run_by_server_stores_candidates_calls_and_instruction(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store, n_queries=3)
    report = label(store, tmp_path, llm=OpenAILLM(config, ENVIRONMENT))
    assert (report.n_new, report.n_exchanges, report.n_failed) == (12, 12, 0)
    candidates = store.frame("unscreened")
    assert set(candidates["grade"]) == {2}
    assert len(store.read("good_replies", role="label", provider="openai", model="m")) == 12
    assert store.read("instruction_in_force").num_rows == 1
    assert list((tmp_path / "spool").iterdir()) == []
    assert KEY not in str(store.read("instructions").to_pylist()) + str(server.requests)
    again = label(store, tmp_path, llm=OpenAILLM(config, ENVIRONMENT))
    assert (again.n_pairs, len(server.requests)) == (0, 12)


def test_failures_are_rows_with_a_reason_and_only_they_are_asked_again(
    store: Store, tmp_path: Path, server: ChatServer
) -> None:
    """Of 12 pairs: a server error, one malformed twice, one off the scale twice, one malformed and mended."""
    fill(store, n_queries=3)
    config = LlmConfig("m", base_url=server.url, key_variable="LOCAL_KEY", max_retries=0)
    faults = {
        ("red mug number 0", "red mug"): [(500, {"error": {"message": "busy"}})],
        ("red mug number 0", "blue mug"): [(200, completion("two")), (200, completion("still two"))],
        ("blue lamp number 1", "blue lamp"): [(200, completion(label_text(9))), (200, completion(label_text(9)))],
        ("blue lamp number 1", "green lamp"): [(200, completion("two"))],
    }

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = body["messages"][1]["content"]
        for (query, title), replies in faults.items():
            if f"<query>\n{query}\n" in prompt and f"title: {title}\n" in prompt and replies:
                return replies.pop(0)
        return 200, completion(label_text())

    server.default = answer
    llm = OpenAILLM(config, ENVIRONMENT)
    report = label(store, tmp_path, llm=llm)
    assert (report.n_labelled, report.n_new, report.n_exchanges) == (9, 9, 15)
    assert report.failures == {"http 500": 1, "not JSON": 1, "off the scale": 1}
    again = label(store, tmp_path, llm=llm)
    assert (again.n_pairs, again.n_new, again.n_exchanges, len(server.requests)) == (3, 3, 3, 18)
    calls = [row for row in store.read("counts").to_pylist() if row["what"] == "llm calls"]
    # 12 good; failed: the server error, two malformed and the one that was mended, two off the scale
    assert sum(row["n"] for row in calls) == 18
    assert {row["which"]: row["n"] for row in calls}["answered"] == 12


def test_replies_left_on_a_spool_are_used_and_not_asked_again(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run dies when it comes to store what is on its spools."""
    fill(store, n_queries=3)
    llm = OpenAILLM(config, ENVIRONMENT)
    append = store.append

    def die(tables: Mapping[str, Any]) -> dict[str, int]:
        if "candidates" in tables:
            raise KeyboardInterrupt
        return append(tables)

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", die)
        with pytest.raises(KeyboardInterrupt):
            label(store, tmp_path, llm=llm)
    report = label(store, tmp_path, llm=llm)
    assert (report.n_drained, report.n_held_replies, report.n_new, report.n_exchanges) == (12, 12, 12, 0)
    assert len(server.requests) == 12


def test_a_refused_key_stops_the_run_and_keeps_what_was_answered(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store, n_queries=3)
    server.queue = [(200, completion(label_text()))] * 5
    server.default = lambda _: (401, {"error": {"message": f"bad key {KEY}"}})
    with pytest.raises(UserError, match=r"401 from .*: check LOCAL_KEY") as refused:
        label(store, tmp_path, llm=OpenAILLM(config, ENVIRONMENT))
    assert KEY not in str(refused.value)
    server.default = lambda _: (200, completion(label_text()))
    report = label(store, tmp_path, llm=OpenAILLM(config, ENVIRONMENT))
    n_candidates = len(store.frame("unscreened"))
    assert n_candidates == 12
    assert report.n_exchanges == 12 - 5


def test_a_server_that_is_gone_stops_the_run_with_its_cause(store: Store, tmp_path: Path) -> None:
    fill(store)
    config = LlmConfig("m", base_url="http://127.0.0.1:9/v1", key_variable=None, max_retries=0)
    with pytest.raises(UserError, match=r"the first 10 calls all failed: no connection to 127\.0\.0\.1:9"):
        label(store, tmp_path, llm=OpenAILLM(config, {}))


def test_a_model_whose_replies_are_no_use_is_told_as_that_and_its_replies_can_be_read(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store, n_queries=6)
    server.default = lambda _: (200, completion("I would say it fits."))
    with pytest.raises(UserError, match=r"the first 10 calls all failed: not JSON.*“I would say it fits\.”") as stopped:
        label(store, tmp_path, llm=OpenAILLM(config, ENVIRONMENT))
    assert "server is well" not in str(stopped.value) and "afrel sql" in str(stopped.value)
    with duckdb.connect(str(store.publish()), read_only=True) as copy:
        found = copy.sql("select distinct reply from llm_calls where failure is not null").fetchall()
    assert found == [("I would say it fits.",)]
