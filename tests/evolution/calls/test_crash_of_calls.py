"""Killed at any moment, a run loses no reply it had synced, asks for none again, and says what was under way.

A real server counts what it is asked. The worker is a process that forks a child for each life, so that a life begins
in milliseconds; the child makes the calls and is killed with SIGKILL. Between two lives this test does what every
verb does first: it drains the spools into the store and reads from there what is held.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from evolution.calls.paid_calls import drain_calls, reply_id
from storage.store import Store
from tests.conftest import ROOT
from tests.evolution.calls.test_paid_calls import request
from tests.evolution.conftest import label_text

CEILING = 8
WORKER = """
import json, os, sys
from pathlib import Path
from evolution.calls.paid_calls import Ask, Calls
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from tests.evolution.calls.test_paid_calls import check, request
url, folder, held, n, ceiling = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
for life, _ in enumerate(sys.stdin):
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    llm = OpenAILLM(LlmConfig("m", base_url=url, key_variable=None, max_retries=2))
    asks = (Ask(f"pair {i}", request(f"pair {i}"), check) for i in range(n))
    with Calls(llm, folder=folder, run_id=f"run_{life}", held=json.loads(held.read_text()), ceiling=ceiling) as calls:
        for _ in calls.ask_all(asks):
            pass
    os._exit(0)
"""


def asked(one: HttpRequest) -> str:
    return str(one.json()["messages"][0]["content"])


def is_malformed_at_first(prompt: str) -> bool:
    return random.Random(prompt).random() < 0.05


def answer(one: HttpRequest) -> HttpReply:
    """A reply between 0 and 20 ms later; one in twenty of the first questions is not JSON and is repaired."""
    is_first = len(one.json()["messages"]) == 1
    text = "grade two" if is_first and is_malformed_at_first(asked(one)) else label_text()
    return HttpReply(body=completion(text), seconds=random.random() * 0.02)


def good_replies(store: Store) -> dict[str, str]:
    rows = store.read("good_replies", role="label", provider="openai", model="m").to_pylist()
    return {row["llm_call_id"]: row["reply"] for row in rows}


def answered_prompts(held: dict[str, str], n_calls: int) -> set[str]:
    prompts = (f"pair {i}" for i in range(n_calls))
    return {prompt for prompt in prompts if reply_id(request(prompt), "openai") in held}


def live_and_die(store: Store, folder: Path, service: ChatService, *, n_kills: int, n_calls: int) -> None:
    spools, held_file = folder / "spool", folder / "held.json"
    chance = random.Random(n_kills)
    words = [sys.executable, "-c", WORKER, service.url, str(spools), str(held_file), str(n_calls), str(CEILING)]
    worker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert worker.stdin is not None and worker.stdout is not None
    held: dict[str, str] = {}
    prompts_held: set[str] = set()
    n_told = n_first_questions = n_cut_repairs = 0
    for life in range(n_kills + 1):
        held_file.write_text(json.dumps(held))
        service.requests.clear()
        worker.stdin.write("live\n")
        worker.stdin.flush()
        child = int(worker.stdout.readline())
        if life < n_kills:
            deadline = time.monotonic() + 20
            n_left = n_calls - len(held)  # a late kill leaves the next lives less to do
            n_before_death = chance.randrange(1, max(2, min(2 * n_calls // n_kills, n_left // 2)))
            while n_left and len(service.requests) < n_before_death and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        assert worker.stdout.readline() == "ended\n"
        time.sleep(0.03)  # what was on its way to the server
        came = list(service.requests)
        n_first_questions += sum(len(one.json()["messages"]) == 1 for one in came)
        assert prompts_held.isdisjoint(map(asked, came)), "a reply that was held was asked for again"
        report = drain_calls(store, spools)
        now_held = good_replies(store)
        assert held.items() <= now_held.items(), "a synced reply was lost"
        held, prompts_held = now_held, answered_prompts(now_held, n_calls)
        without_reply = {asked(one) for one in came} - prompts_held
        n_cut_repairs += sum(is_malformed_at_first(prompt) for prompt in without_reply)
        # what the server saw and nobody kept was under way and is told; what never reached the server may be, too
        assert len(without_reply) - n_cut_repairs <= report.n_in_flight <= CEILING
        n_told += report.n_in_flight
    worker.stdin.close()
    worker.wait(20)
    worker.stdout.close()
    assert len(held) == n_calls and report.n_in_flight == 0
    assert n_calls <= n_first_questions <= n_calls + n_told + n_cut_repairs


def test_killed_a_few_times_nothing_synced_is_lost_or_asked_again(store: Store, tmp_path: Path) -> None:
    with chat_server(answer) as service:
        live_and_die(store, tmp_path, service, n_kills=3, n_calls=60)


@pytest.mark.slow
def test_killed_120_times_nothing_synced_is_lost_or_asked_again(store: Store, tmp_path: Path) -> None:
    with chat_server(answer) as service:
        live_and_die(store, tmp_path, service, n_kills=120, n_calls=3000)
