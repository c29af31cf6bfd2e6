"""Labelling by a server that misbehaves, a budget that ends, a user who interrupts: counted, kept, gone on with."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.prices import Price
from evolution.labelling.estimate import estimate_labels
from evolution.labelling.run import LabelPlan, LabelReport, label_pairs
from storage.store import Store
from tests.conftest import ROOT, Afrel
from tests.evolution.conftest import SCALE, fill, label_text
from tests.evolution.conftest import completion as chat

GOOD = HttpReply(body=completion(label_text()))


def plan(service: ChatService, folder: Path, *, limits: Limits | None = None, concurrency: int = 4) -> LabelPlan:
    config = LlmConfig("m", base_url=service.url, key_variable=None, max_retries=0, max_reply_tokens=100)
    return LabelPlan(
        scale=SCALE,
        llm=OpenAILLM(config),
        model="m",
        parameters=config.parameters,
        limit=None,
        concurrency=concurrency,
        spool_dir=folder / "spool",
        limits=limits or Limits(),
        prices={"m": Price(prompt=1.0, completion=10.0)},
    )


def label(store: Store, folder: Path, service: ChatService, **changed: object) -> LabelReport:
    return label_pairs(store, plan(service, folder, **changed), account=None)  # type: ignore[arg-type]


def test_every_kind_of_bad_reply_is_a_reason_and_the_run_goes_on(store: Store, tmp_path: Path) -> None:
    """Of 12 pairs each bad reply meets one, twice where it can be repaired; all others are labelled, and then these."""
    fill(store, n_queries=3)
    other = "p_00000000deadbeef"
    bad = [
        HttpReply(body=b"<html>log in</html>"),
        HttpReply(body=completion(label_text()), cut=200),
        HttpReply(body={**chat(label_text()), "choices": []}),
        HttpReply(body={**chat(label_text()), "choices": chat(label_text())["choices"] * 2}),
        HttpReply(body=completion(label_text(2, pair_id=other))),
        HttpReply(body=completion(label_text(7))),
        HttpReply(body=b""),
        HttpReply(503, {"error": {"message": "busy"}}),
    ]
    by_prompt: dict[str, HttpReply] = {}
    is_well = False

    def answer(request: HttpRequest) -> HttpReply:
        prompt = request.json()["messages"][1]["content"]
        if prompt not in by_prompt:
            by_prompt[prompt] = bad[len(by_prompt)] if len(by_prompt) < len(bad) else GOOD
        return GOOD if is_well else by_prompt[prompt]

    with chat_server(answer) as service:
        report = label(store, tmp_path, service)
        is_well = True
        again = label(store, tmp_path, service)
    assert report.n_labelled == 4
    assert dict(report.failures) == {
        "not a chat completion": 2,
        "broken off": 1,
        "0 choices where 1 was asked for": 1,
        "2 choices where 1 was asked for": 1,
        "about another pair": 1,
        "off the scale": 1,
        "http 503": 1,
    }
    assert (again.n_pairs, again.n_labelled, again.n_failed) == (8, 8, 0)
    failed = [
        row for row in store.read("counts").to_pylist() if row["what"] == "llm calls" and row["which"] != "answered"
    ]
    assert sum(row["n"] for row in failed) == 10  # two of them were asked to be repaired


def test_a_budget_stops_the_run_before_its_line_and_the_next_goes_on(store: Store, tmp_path: Path) -> None:
    """A call takes 360 tokens, at 300 and 10 x 60 millionths 0.0009; at its worst it may take several times that."""
    fill(store, n_queries=6)
    with chat_server(lambda _: GOOD) as service:
        first = label(store, tmp_path, service, limits=Limits(cost=0.012))
        assert first.stopped is not None and "--max-cost 0.012" in first.stopped
        spent = 0.0009 * first.n_labelled
        assert 0 < spent <= 0.012 and first.n_labelled == service.n_requests < 24
        second = label(store, tmp_path, service)
        assert (second.stopped, second.n_labelled) == (None, 24 - first.n_labelled)
        assert service.n_requests == 24
    costs = [row["cost"] for row in store.read("why_call", id=call_of(store)).to_pylist()]
    assert costs == [pytest.approx(0.0009)]


def call_of(store: Store) -> str:
    return str(store.read("good_replies", role="label", provider="openai", model="m").to_pylist()[0]["llm_call_id"])


def test_interrupted_it_keeps_what_was_answered_and_what_was_under_way(store: Store, tmp_path: Path) -> None:
    """The user interrupts after the third answer, while others are out."""
    fill(store, n_queries=6)
    n_seen = itertools.count(1)

    def interrupt(_done: int, _total: int, _burn: str) -> None:
        if next(n_seen) == 3:
            raise KeyboardInterrupt

    with chat_server(lambda _: HttpReply(body=completion(label_text()), seconds=0.02)) as service:
        with pytest.raises(KeyboardInterrupt):
            label_pairs(store, plan(service, tmp_path), account=None, progress=interrupt)
        n_sent = service.n_requests
        assert 3 <= len(store.frame("unscreened")) == n_sent < 24
        report = label(store, tmp_path, service)
        assert (report.n_labelled, report.n_in_flight, service.n_requests) == (24 - n_sent, 0, 24)


def test_an_estimate_is_learned_from_the_calls_there_are(store: Store, tmp_path: Path) -> None:
    """24 of 48 pairs are labelled, each of 300 and 60 tokens; the other 24 are much like them."""
    fill(store, n_queries=12)
    with chat_server(lambda _: GOOD) as service:
        guessed = estimate_labels(store, plan(service, tmp_path))
        assert (guessed.n_calls, guessed.n_learned) == (48, 0)
        label(store, tmp_path, service, limits=Limits(n_requests=24))
        learned = estimate_labels(store, plan(service, tmp_path))
        n_requests = service.n_requests
    assert (learned.n_calls, learned.n_learned, n_requests) == (24, 24, 24)
    assert learned.n_prompt_tokens.middle == pytest.approx(24 * 300, rel=0.05)
    assert learned.cost is not None and learned.cost.middle == pytest.approx(24 * 0.0009, rel=0.05)
    assert guessed.n_prompt_tokens.low < 48 * 300 < guessed.n_prompt_tokens.high * 2


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_so()


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Iterator[tuple[Path, ChatService]]:
    """A workspace of 30 pairs with a server of its own that takes 100 ms a reply."""
    folder = tmp_path / "shop"
    (tmp_path / "pairs.csv").write_text(
        "query,title\n" + "".join(f"red mug {n},mug {n % 7} كوب 🟥\n" for n in range(30)), encoding="utf-8"
    )
    afrel("init", folder, "--scale", "0-2")
    afrel("ingest", tmp_path / "pairs.csv", "--map", "query=query,title=title", workspace=folder)
    slow = HttpReply(body=completion(label_text()), seconds=0.1)
    with chat_server(lambda _: slow) as service:
        (folder / "afrel.toml").write_text(f'[llm]\nbase_url = "{service.url}"\nkey_variable = ""\nmodel = "m"\n')
        yield folder, service


@pytest.mark.slow
def test_the_verb_says_what_a_user_needs(afrel: Afrel, shop: tuple[Path, ChatService], tmp_path: Path) -> None:
    """Estimate, budget without a price, Ctrl+C and how to go on, the rest, nothing to do."""
    folder, service = shop
    words = ("label", "--provider", "openai", "--concurrency", "2")
    assert "wide guess" in afrel(*words, "--dry-run", workspace=folder).stdout
    assert '[llm.prices."m"]' in afrel(*words, "--max-cost", "1", workspace=folder, ok=False).stderr
    assert service.n_requests == 0
    command = [sys.executable, "-m", "afrel", "-w", str(folder), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "AFREL_HOME": str(tmp_path / "home")}
    run = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: service.n_requests >= 5)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted. What was answered is kept; go on: afrel label --provider openai" in told
    assert "Traceback" not in told
    done = json.loads(afrel(*words, "--json", workspace=folder).stdout)
    assert (done["labelled"], service.n_requests, done["failures"]) == (done["pairs"], 30, {})
    assert 0 < done["pairs"] < 30
    assert "nothing to do" in afrel(*words, workspace=folder).stdout
