"""A labelling run that is killed a few times: nothing synced is lost or asked again, and every pair is labelled once.

Each life of the worker labels against a counting server and is killed with SIGKILL in the middle. The spools are read
here as they lay at its death.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

from benchmarks.chat_server import HttpReply, chat_server, completion
from evolution.calls.call_rows import IN_FLIGHT
from storage.store import Store
from tests.evolution.conftest import fill, label_text
from tests.evolution.mortal_worker import mortal_worker, synced

CONCURRENCY, N_PAIRS, N_KILLS = 6, 48, 3
WORKER = """
import sys
from pathlib import Path
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.labelling.run import LabelPlan, label_pairs
from storage.grades import Scale
import storage.process.embedded, storage.process.owner
from storage.store import Store
url, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def live():
    llm = OpenAILLM(LlmConfig("m", base_url=url, key_variable=None, max_retries=2))
    scale = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
    plan = LabelPlan(scale, llm, "m", {}, limit=None, concurrency=concurrency, spool_dir=folder / "spool")
    with Store.embedded(folder / "store") as store:
        label_pairs(store, plan, account=None)
"""


def test_a_labelling_worker_killed_a_few_times_loses_no_reply_and_buys_none_twice(
    tmp_path: Path, empty_store: Path
) -> None:
    chance = random.Random(4)
    shutil.copytree(empty_store, tmp_path / "store")
    kept: set[str] = set()
    asked: Counter[str] = Counter()
    answer = HttpReply(body=completion(label_text()), seconds=0.01)
    with (
        chat_server(lambda _: answer) as service,
        mortal_worker(WORKER, service, str(tmp_path), str(CONCURRENCY)) as worker,
    ):
        with Store.embedded(tmp_path / "store") as store:  # while the worker imports
            fill(store, n_queries=N_PAIRS // 4, judged=False)
        worker.warm_up()
        for _ in range(N_KILLS):
            n_left = N_PAIRS - len(kept)  # a late kill leaves the next lives less to do
            prompts = worker.live(n_before_death=chance.randrange(1, max(2, min(20, n_left // 2))))
            assert kept.isdisjoint(prompts), "a reply that was synced was asked for again"
            kept |= synced(tmp_path / "spool")
            asked.update(prompts)
        assert 0 < len(kept) < N_PAIRS
        last = worker.live()
    assert kept.isdisjoint(last)
    asked.update(last)
    assert len(asked) == N_PAIRS
    with Store.embedded(tmp_path / "store") as store:
        assert len(store.frame("unscreened")) == N_PAIRS
        assert store.read("good_replies", role="label", provider="openai", model="m").num_rows == N_PAIRS
        counts = {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "llm calls"}
        told = counts.get(IN_FLIGHT, 0)
    assert asked.total() - N_PAIRS <= told <= N_KILLS * CONCURRENCY
