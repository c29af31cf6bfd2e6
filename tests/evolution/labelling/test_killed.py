"""A labelling run that is killed a few times: nothing synced is lost or asked again, and every pair is labelled once.

The worker is a process that forks a child for each life, so that a life needs no start of Python; the child opens the
store, labels against a counting server, and is killed with SIGKILL in the middle. The spools are read here as they lay
at its death.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from evolution.calls.call_rows import IN_FLIGHT
from storage.store import Store
from tests.conftest import ROOT
from tests.evolution.conftest import fill, label_text

CONCURRENCY, N_PAIRS, N_KILLS = 6, 48, 3
WORKER = """
import os, sys
from pathlib import Path
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.labelling.run import LabelPlan, label_pairs
from storage.grades import Scale
import storage.process.embedded, storage.process.owner
from storage.store import Store
url, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
print("warm", flush=True)
for _ in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    llm = OpenAILLM(LlmConfig("m", base_url=url, key_variable=None, max_retries=2))
    scale = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
    plan = LabelPlan(scale, llm, "m", {}, limit=None, concurrency=concurrency, spool_dir=folder / "spool")
    with Store.embedded(folder / "store") as store:
        label_pairs(store, plan, account=None)
    os._exit(0)
"""


def prompt_of(request: HttpRequest) -> str:
    return str(request.json()["messages"][1]["content"])


def synced(folder: Path) -> set[str]:
    """The prompts whose good replies lie on the spools of dead workers."""
    found = set()
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            record = json.loads(line) if line.endswith(b"\n") else {}
            if record.get("reply") is not None and record["failure"] is None:
                found.add(json.loads(record["request"])["messages"][1][1])
    return found


def live(worker: subprocess.Popen[str], service: ChatService, *, n_before_death: int | None) -> list[str]:
    """Let the worker live once, until so many requests came (None: to its end); return what it asked."""
    assert worker.stdin is not None and worker.stdout is not None
    service.requests.clear()
    worker.stdin.write("live\n")
    worker.stdin.flush()
    child = int(worker.stdout.readline())
    deadline = time.monotonic() + 20
    while n_before_death is not None and len(service.requests) < n_before_death and time.monotonic() < deadline:
        time.sleep(0.001)
    if n_before_death is not None:
        os.kill(child, signal.SIGKILL)
    assert worker.stdout.readline() == "ended\n"
    time.sleep(0.02)  # what was on its way to the server
    return [prompt_of(one) for one in service.requests]


def test_a_labelling_worker_killed_a_few_times_loses_no_reply_and_buys_none_twice(
    tmp_path: Path, empty_store: Path
) -> None:
    chance = random.Random(4)
    shutil.copytree(empty_store, tmp_path / "store")
    kept: set[str] = set()
    asked: Counter[str] = Counter()
    answer = HttpReply(body=completion(label_text()), seconds=0.01)
    with chat_server(lambda _: answer) as service:
        words = [sys.executable, "-c", WORKER, service.url, str(tmp_path), str(CONCURRENCY)]
        worker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        with Store.embedded(tmp_path / "store") as store:  # while the worker imports
            fill(store, n_queries=N_PAIRS // 4, judged=False)
        assert worker.stdout is not None and worker.stdout.readline() == "warm\n"
        for _ in range(N_KILLS):
            n_left = N_PAIRS - len(kept)  # a late kill leaves the next lives less to do
            prompts = live(worker, service, n_before_death=chance.randrange(1, max(2, min(20, n_left // 2))))
            assert kept.isdisjoint(prompts), "a reply that was synced was asked for again"
            kept |= synced(tmp_path / "spool")
            asked.update(prompts)
        assert 0 < len(kept) < N_PAIRS
        last = live(worker, service, n_before_death=None)
        worker.communicate(timeout=20)
    assert kept.isdisjoint(last)
    asked.update(last)
    assert len(asked) == N_PAIRS
    with Store.embedded(tmp_path / "store") as store:
        assert len(store.frame("unscreened")) == N_PAIRS
        assert store.read("good_replies", role="label", provider="openai", model="m").num_rows == N_PAIRS
        counts = {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "llm calls"}
        told = counts.get(IN_FLIGHT, 0)
    assert asked.total() - N_PAIRS <= told <= N_KILLS * CONCURRENCY
