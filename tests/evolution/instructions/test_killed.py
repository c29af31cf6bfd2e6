"""An evolution that is killed at random moments ends with the history of one that was left alone, and pays once.

Labels and edits come from a counting server. A life is killed with SIGKILL while it labels, is told an edit, or stores
what it decided; the spools are read as they lay at its death. Beside it the same evolution runs unharmed.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chat_server import HttpReply, HttpRequest, chat_server, completion
from storage.store import Store
from tests.evolution.conftest import fill, label_text
from tests.evolution.instructions.shop import grade, sentence, shown_pair, started, work_of
from tests.evolution.mortal_worker import mortal_worker, synced

CEILING, N_KILLS = 8, 4
ROLES = ("label", "evolver", "critic")
WORKER = """
import os, sys
from pathlib import Path
from evolution.instructions.run import evolve
import storage.process.embedded, storage.process.owner
from storage.store import Store
from tests.evolution.conftest import ChatServer
from tests.evolution.instructions.shop import plan
os.environ["LOCAL_KEY"] = "k"
url, folder = sys.argv[1], Path(sys.argv[2])

def live():
    operators = ("add_constraint", "critic", "simplify")
    told = plan(ChatServer(url), folder, is_written=True, operators=operators, n_generations=2, ceiling=8)
    with Store.embedded(folder / "store") as store:
        evolve(store, told, account=None)
"""
EDITS = {
    "sentence": sentence("Mind the colour."),
    "instruction": '{"instruction": "Grade the thing.", "why": "shorter"}',
    "diagnosis": '{"diagnosis": "no colour", "edits": [{"find": "the thing", "replace": "kind and colour"}]}',
}


def answer(request: HttpRequest) -> HttpReply:
    """Label as the instruction says, and answer a request for an edit by what its schema asks for first."""
    body = request.json()
    if work_of(body) == "label":
        said = label_text(grade(body["messages"][0]["content"], *shown_pair(body)))
    else:
        said = EDITS[next(iter(body["response_format"]["json_schema"]["schema"]["properties"]))]
    return HttpReply(body=completion(said), seconds=0.005)


def history(folder: Path) -> dict[str, Any]:
    """What an evolution left, without its runs and times."""
    with Store.embedded(folder / "store") as store:
        told = {}
        for name in ("instruction_edits", "instruction_scores", "instruction_versions"):
            rows = store.read(name).to_pylist()
            kept = [{key: one[key] for key in one if key not in ("run_id", "created_at")} for one in rows]
            told[name] = sorted(kept, key=repr)
        for edit in told["instruction_edits"]:
            if edit["instruction_id"] is None:
                edit["llm_call_id"] = None  # a call that failed is named by its run
        replies = [store.read("good_replies", role=role, provider="openai", model="m") for role in ROLES]
        return {**told, "replies": sorted(one for table in replies for one in table["llm_call_id"].to_pylist())}


@pytest.mark.slow
def test_an_evolution_killed_at_random_moments_has_the_history_of_one_left_alone_and_pays_once(
    tmp_path: Path, empty_store: Path
) -> None:
    chance = random.Random(6)
    harmed, unharmed = tmp_path / "harmed", tmp_path / "unharmed"
    shutil.copytree(empty_store, harmed / "store")
    with Store.embedded(harmed / "store") as store:
        fill(store, n_queries=10)
        started(store)
    shutil.copytree(harmed / "store", unharmed / "store")
    with chat_server(answer) as service, mortal_worker(WORKER, service, str(unharmed)) as worker:
        worker.warm_up()
        alone = worker.live()
    n_calls = len(alone)
    assert len(set(alone)) == n_calls > 150
    kept: set[str] = set()
    asked: Counter[str] = Counter()
    with chat_server(answer) as service, mortal_worker(WORKER, service, str(harmed)) as worker:
        worker.warm_up()
        for _ in range(N_KILLS):
            n_left = n_calls - len(kept)
            n = chance.randrange(1, max(2, n_left // 3))
            prompts = worker.live(n_before_death=n, seconds_more=chance.random() * 0.015)
            assert kept.isdisjoint(prompts), "a reply that was synced was asked for again"
            kept |= synced(harmed / "spool")
            asked.update(prompts)
        assert 0 < len(kept) < n_calls
        last = worker.live()
        assert kept.isdisjoint(last)
        asked.update(last)
        assert worker.live() == []  # nothing is left to do
    assert set(asked) == set(alone)
    assert asked.total() - n_calls <= N_KILLS * CEILING
    first, second = history(unharmed), history(harmed)
    assert any(one["is_accepted"] for one in first["instruction_edits"])
    assert n_calls - 10 < len(first["replies"]) <= n_calls  # an edit that is none, and its repair, are no good reply
    assert second == first
