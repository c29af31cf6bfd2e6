"""Rollouts of a served model: numbered, resumable, right only by train judgments, and worth a difficulty."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from curation.completion import Completion, parse
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.labelling.rollouts import RolloutReport, agreed_share, estimate_samples, sample_pairs
from evolution.labelling.run import LabelPlan
from storage.clock import now
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import SCALE, fill, label_text
from tests.evolution.judges.shop_judges import rows_of

SEED = 100
N = 4


def plan(service: ChatService, folder: Path, *, limits: Limits | None = None) -> LabelPlan:
    config = LlmConfig("m", base_url=service.url, key_variable=None, max_retries=0, max_reply_tokens=100, seed=SEED)
    return LabelPlan(
        scale=SCALE,
        llm=OpenAILLM(config),
        model="m",
        parameters=config.parameters,
        limit=None,
        concurrency=8,
        spool_dir=folder / "spool",
        seed=config.seed,
        limits=limits or Limits(),
    )


def sample(store: Store, folder: Path, service: ChatService, n: int = N, **changed: Any) -> RolloutReport:
    return sample_pairs(store, plan(service, folder, **changed), n, account=None)


def grades(*by_number: int) -> Callable[[HttpRequest], HttpReply]:
    """Answer sample i of any pair with the i-th grade."""
    return lambda request: HttpReply(body=completion(label_text(by_number[request.json()["seed"] - SEED])))


def test_each_pair_gets_its_samples_once_under_a_temperature(store: Store, tmp_path: Path) -> None:
    """One query, four pairs graded 2, 1, 0, 0; the samples say 2, 2, 1, 2."""
    fill(store, n_queries=1)
    with chat_server(grades(2, 2, 1, 2)) as service:
        report, again = sample(store, tmp_path, service), sample(store, tmp_path, service)
        assert service.n_requests == 16
        assert {request.json()["temperature"] for request in service.requests} == {1.0}
    assert (report.n_pairs, report.n_new, again.n_pairs, again.n_new) == (4, 16, 0, 0)
    rows = rows_of(store, "rollouts")
    assert sorted({row["sample"] for row in rows}) == [0, 1, 2, 3]
    assert {(row["proposer"], row["train_run_id"]) for row in rows} == {("openai:m", None)}
    for row in rows:
        read = parse(row["completion"], SCALE)
        assert isinstance(read, Completion) and read.grade == row["grade"] and len(read.steps) == 4
    assert report.share == again.share == pytest.approx(3 / 4)


def test_difficulty_is_the_share_of_right_samples_and_pass_at_n_the_unbiased_one(store: Store, tmp_path: Path) -> None:
    """Right of 4: three, one, none, none. Mean pass@1 (3/4 + 1/4) / 4, pass@2 (1 + (1 - 3/6)) / 4 = 3/8, pass@4 1/2."""
    fill(store, n_queries=1)
    with chat_server(grades(2, 2, 1, 2)) as service:
        report, again = sample(store, tmp_path, service), sample(store, tmp_path, service)
    settled = {row["pair_id"]: row["grade"] for row in store.read("train_pairs", judgments="all").to_pylist()}
    rows = rows_of(store, "rollouts")
    assert all(row["is_right"] == (row["grade"] == settled[row["pair_id"]]) for row in rows)
    scores = {row["pair_id"]: (row["pass_rate"], row["n"]) for row in rows_of(store, "difficulty_scores")}
    assert {settled[pair_id]: score for pair_id, score in scores.items()} == {2: (0.75, 4), 1: (0.25, 4), 0: (0.0, 4)}
    assert report.pass_rates == pytest.approx((1 / 4, 3 / 8, 7 / 16, 1 / 2))
    assert (report.n_judged, report.n_scored, again.n_scored) == (4, 4, 0)


def test_a_judgment_that_comes_later_gives_a_difficulty_without_asking_again(store: Store, tmp_path: Path) -> None:
    fill(store, n_queries=1, judged=False)
    with chat_server(grades(2, 2, 1, 2)) as service:
        report = sample(store, tmp_path, service)
        assert (report.n_scored, report.pass_rates, report.share) == (0, (), pytest.approx(3 / 4))
        pair_id = rows_of(store, "rollouts")[0]["pair_id"]
        judgment = {"judgment_id": "j_1", "pair_id": pair_id, "grade": 1, "origin": "import:late", "response_ids": []}
        store.append({"judgments": [{**judgment, "is_replayed": False, "run_id": "run_1", "created_at": now()}]})
        assert (sample(store, tmp_path, service).n_scored, service.n_requests) == (1, 16)
    (score,) = rows_of(store, "difficulty_scores")
    assert (score["pair_id"], score["pass_rate"]) == (pair_id, 0.25)


def test_test_pairs_are_never_sampled_and_dev_grades_never_said_right(store: Store, tmp_path: Path) -> None:
    """Of 6 queries one is dev; a test query is beside them, judged."""
    fill(store, n_queries=6)
    at = now()
    stamp = {"run_id": "run_0", "created_at": at}
    kept_back = {"query_id": "q_t", "text": "red mug kept back", "root_query_id": "q_t", "split": "test", "source": "s"}
    doc_id = rows_of(store, "docs")[0]["doc_id"]
    pair = {"pair_id": "p_t", "query_id": "q_t", "doc_id": doc_id, "split": "test", "origin": "ingest", "source": "s"}
    judgment = {"judgment_id": "j_t", "pair_id": "p_t", "grade": 2, "origin": "import:s", "response_ids": []}
    features = store.frame("all_features").head(1).to_dicts()[0] | {"pair_id": "p_t"}
    store.append(
        {
            "queries": [{**kept_back, **stamp}],
            "pairs": [{**pair, **stamp}],
            "pair_features": [{**features, **stamp}],
            "judgments": [{**judgment, "is_replayed": False, **stamp}],
        }
    )
    with chat_server(grades(2, 2)) as service:
        assert sample(store, tmp_path, service, 2).n_pairs == 24
        assert not any("kept back" in request.body.decode() for request in service.requests)
    dev = {row["query_id"] for row in store.read("held_back_queries").to_pylist()}
    queries = {row["pair_id"]: row["query_id"] for row in rows_of(store, "pairs")}
    said = {queries[row["pair_id"]] in dev: row["is_right"] for row in rows_of(store, "rollouts")}
    assert said[True] is None and said[False] is not None


def test_more_samples_ask_only_for_the_new_ones_and_what_failed_is_asked_again(store: Store, tmp_path: Path) -> None:
    """Four pairs: three samples, of which the second of each fails; then the whole, then four."""
    fill(store, n_queries=1)
    is_well = False

    def answer(request: HttpRequest) -> HttpReply:
        is_bad = not is_well and request.json()["seed"] == SEED + 1
        return HttpReply(503, {"error": {"message": "busy"}}) if is_bad else grades(2, 2, 2, 2)(request)

    with chat_server(answer) as service:
        first = sample(store, tmp_path, service, 3)
        assert (first.n_new, first.asked.failures, first.n_sampled) == (8, {"http 503": 4}, 0)
        is_well = True
        second = sample(store, tmp_path, service, 3)
        assert (second.n_new, second.n_sampled, service.n_requests) == (4, 4, 16)
        assert (sample(store, tmp_path, service, 4).n_new, service.n_requests) == (4, 20)


def test_a_budget_ends_it_and_the_next_run_goes_on(store: Store, tmp_path: Path) -> None:
    fill(store, n_queries=3)
    with chat_server(grades(2, 2, 2, 2)) as service:
        first = sample(store, tmp_path, service, limits=Limits(n_requests=20))
        assert first.asked.stopped is not None and (first.n_new, service.n_requests) == (20, 20)
        estimate = estimate_samples(store, plan(service, tmp_path), N)
        assert (estimate.n_calls, service.n_requests) == (28, 20)
        assert (sample(store, tmp_path, service).n_new, service.n_requests) == (28, 48)


def test_interrupted_it_keeps_what_was_answered_and_what_was_under_way(store: Store, tmp_path: Path) -> None:
    fill(store, n_queries=3)
    n_seen = itertools.count(1)

    def interrupt(_done: int, _total: int, _burn: str) -> None:
        if next(n_seen) == 3:
            raise KeyboardInterrupt

    slow = HttpReply(body=completion(label_text()), seconds=0.02)
    with chat_server(lambda _: slow) as service:
        with pytest.raises(KeyboardInterrupt):
            sample_pairs(store, plan(service, tmp_path), N, account=None, progress=interrupt)
        n_sent = service.n_requests
        assert 3 <= len(rows_of(store, "rollouts")) == n_sent < 48
        report = sample(store, tmp_path, service)
        assert (report.n_new, report.asked.n_in_flight, service.n_requests) == (48 - n_sent, 0, 48)


def test_a_server_that_dies_in_the_middle_costs_no_answer_that_came_and_the_rest_is_asked_later(
    store: Store, tmp_path: Path
) -> None:
    """Of 48 answers 12 come, then every connection is dropped; with the server back only the other 36 are asked for."""
    fill(store, n_queries=3)
    n_seen, is_back = itertools.count(1), False

    def answer(_: HttpRequest) -> HttpReply:
        if is_back or next(n_seen) <= 12:
            return HttpReply(body=completion(label_text(2)))
        return HttpReply(body=b"{}", cut=0)

    with chat_server(answer) as service:
        with pytest.raises(
            UserError, match=r"20 calls in a row failed: broken off.*What was answered is kept; run the"
        ):
            sample(store, tmp_path, service)
        assert len(rows_of(store, "rollouts")) == 12
        is_back, n_before = True, service.n_requests
        assert (sample(store, tmp_path, service).n_new, service.n_requests - n_before) == (36, 36)


def test_a_new_rule_book_or_instruction_is_another_setting(store: Store, tmp_path: Path) -> None:
    fill(store, n_queries=1)
    text = {"instruction_id": "i_1", "text": "Grade it.", "operator": "given", "generation": 0}
    with chat_server(grades(2, 2)) as service:
        sample(store, tmp_path, service, 2)
        store.append({"instructions": [{**text, "run_id": "run_1", "created_at": now()}]})
        assert (sample(store, tmp_path, service, 2).n_new, service.n_requests) == (8, 16)


def test_an_empty_store_has_nothing_to_sample(store: Store, tmp_path: Path) -> None:
    with chat_server(grades(2, 2)) as service:
        report = sample(store, tmp_path, service, 2)
    assert (report.n_pairs, report.share, report.pass_rates) == (0, None, ())


def test_the_share_is_that_of_the_commonest_grade() -> None:
    assert agreed_share([2, 1, 2, 0]) == 2 / 4
    assert agreed_share([1]) == 1
    with pytest.raises(ValueError, match="no grades"):
        agreed_share([])
    assert json.dumps(agreed_share([2, 2, 1])).startswith("0.666")
