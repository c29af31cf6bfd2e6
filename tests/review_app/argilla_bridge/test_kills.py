"""Push and pull killed at random, fifty times and more: every pair lies there once, every answer is here once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.store import Store
from storage.workspace import CONFIG_NAME, Workspace
from tests.conftest import ROOT, Afrel
from tests.review_app.argilla_bridge.running import PYTHON, Server, argilla_server
from tests.review_app.review_rows import add_pair, pair_id_of

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="AFREL_ARGILLA_PYTHON names no Argilla environment"),
]
KILLS = int(os.environ.get("AFREL_ARGILLA_KILLS", "50"))
MOST_ROUNDS = 3 * KILLS  # a round may end before its kill
PER_ROUND = 40
TOLD = ("came or went while they were read",)  # the server still ends what a killed push began


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "argilla"
    folder.mkdir()
    with argilla_server(folder) as running:
        yield running


def test_fifty_kills_lose_nothing_and_double_nothing(afrel: Afrel, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    afrel("init", folder, "--scale", "bad,fair,good,top")
    for who, role in (("root", "admin"), ("ana", "reviewer")):
        afrel("account", "add", who, "--role", role, workspace=folder, account="root" if who != "root" else None)
    with (folder / CONFIG_NAME).open("a") as config:
        config.write(
            f'\n[argilla]\nurl = "{server.url}"\nworkspace = "review"\napi_key_variable = "TEST_ARGILLA_KEY"\n'
        )
    chance = random.Random(7)
    n_killed: Counter[str] = Counter()
    usual: dict[str, float] = {}
    n_pairs = 0
    answered: set[str] = set()

    def killed(*words: str) -> None:
        """Run the verb and kill it somewhere between its first third and a little after its usual end."""
        env = {
            **os.environ,
            "AFREL_HOME": str(tmp_path / "home"),
            "AFREL_PASSWORD_FILE": str(tmp_path / "password"),
            "PYTHONPATH": str(ROOT),
            "TEST_ARGILLA_KEY": ("root" * 80)[:80],
        }
        command = [sys.executable, "-m", "afrel", "-w", str(folder), "--as", "root", "argilla", *words]
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, said = process.communicate(timeout=chance.uniform(0.3, 1.1) * usual[words[0]])
            assert process.returncode == 0 or any(words in said.decode() for words in TOLD), said.decode()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            n_killed[words[0]] += 1

    def whole(*words: str) -> str:
        os.environ["TEST_ARGILLA_KEY"] = ("root" * 80)[:80]
        started = time.monotonic()
        try:
            return afrel("argilla", *words, workspace=folder, account="root").stdout
        finally:
            usual[words[0]] = time.monotonic() - started
            del os.environ["TEST_ARGILLA_KEY"]

    for turn in range(MOST_ROUNDS):
        if sum(n_killed.values()) >= KILLS:
            break
        act = killed if turn else whole  # the first, undisturbed, tells how long each takes
        with Store.connect(Workspace.open(folder), sees_test=True) as store:
            for n in range(n_pairs, n_pairs + PER_ROUND):
                add_pair(store, n, confidence=0.6)
        n_pairs += PER_ROUND
        act("push")
        time.sleep(0.2)  # the server ends what it began
        for name, part in server.records("afrel").items():
            fresh = [one["external_id"] for one in part if not one["responses"]][: PER_ROUND // 2]
            if fresh:
                server.answer_many("ana", server.datasets("afrel")[name], fresh, str(chance.randrange(4)))
                answered.update(fresh)
        act("pull")
    whole("pull")
    whole("push")
    assert "nothing to do" in whole("pull") and "nothing to do" in whole("push")
    there = [one["external_id"] for part in server.records("afrel").values() for one in part]
    with Store.connect(Workspace.open(folder), sees_test=True) as store:
        acts = {n: store.read("own_acts", pair_id=pair_id_of(n), account="ana").to_pylist() for n in range(n_pairs)}
    waiting = {f"c_{n}" for n in range(n_pairs)} - answered
    assert sorted(there) == sorted(waiting | answered)
    assert {f"c_{n}" for n, done in acts.items() if done} == answered
    assert all(len(done) <= 1 for done in acts.values())
    print(f"killed {dict(n_killed)}; {n_pairs} pairs, {len(answered)} answers")
    assert sum(n_killed.values()) >= KILLS and min(n_killed["push"], n_killed["pull"]) > 0
