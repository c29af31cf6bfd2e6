"""Push and pull killed at random, fifty times and more: every pair lies there once, every answer is here once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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
TOLD = "came or went while they were read"  # the server still ends what a killed push began


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "argilla"
    folder.mkdir()
    with argilla_server(folder) as running:
        yield running


@dataclass
class Bridge:
    """The verbs as processes: whole, which tells how long they take, or killed on the way."""

    folder: Path
    home: Path
    chance: random.Random
    usual: dict[str, float] = field(default_factory=dict)
    n_killed: Counter[str] = field(default_factory=Counter)

    def whole(self, verb: str) -> str:
        """Run to the end; return what was said."""
        started = time.monotonic()
        said, mistakes = self._start(verb).communicate(timeout=300)
        self.usual[verb] = time.monotonic() - started
        assert mistakes == b"", mistakes.decode()
        return said.decode()

    def killed(self, verb: str) -> None:
        """Run and kill somewhere between the first third and a little after the usual end."""
        process = self._start(verb)
        try:
            _, said = process.communicate(timeout=self.chance.uniform(0.3, 1.1) * self.usual[verb])
            assert process.returncode == 0 or TOLD in said.decode(), said.decode()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.n_killed[verb] += 1

    def _start(self, verb: str) -> subprocess.Popen[bytes]:
        env = {
            **os.environ,
            "AFREL_HOME": str(self.home / "home"),
            "AFREL_PASSWORD_FILE": str(self.home / "password"),
            "PYTHONPATH": str(ROOT),
            "TEST_ARGILLA_KEY": ("root" * 80)[:80],
        }
        command = [sys.executable, "-m", "afrel", "-w", str(self.folder), "--as", "root", "argilla", verb]
        return subprocess.Popen(command, env=env, cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_fifty_kills_lose_nothing_and_double_nothing(afrel: Afrel, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    afrel("init", folder, "--scale", "bad,fair,good,top")
    for who, role in (("root", "admin"), ("ana", "reviewer")):
        afrel("account", "add", who, "--role", role, workspace=folder, account="root" if who != "root" else None)
    with (folder / CONFIG_NAME).open("a") as config:
        config.write(
            f'\n[argilla]\nurl = "{server.url}"\nworkspace = "review"\napi_key_variable = "TEST_ARGILLA_KEY"\n'
        )
    bridge = Bridge(folder, tmp_path, random.Random(7))
    n_pairs, answered = 0, set[str]()
    for turn in range(MOST_ROUNDS):
        if bridge.n_killed.total() >= KILLS:
            break
        act = bridge.killed if turn else bridge.whole  # the first, undisturbed, tells how long each takes
        with Store.connect(Workspace.open(folder), sees_test=True) as store:
            for n in range(n_pairs, n_pairs + PER_ROUND):
                add_pair(store, n, confidence=0.6)
        n_pairs += PER_ROUND
        act("push")
        time.sleep(0.2)  # the server ends what it began
        for name, part in server.records("afrel").items():
            fresh = [one["external_id"] for one in part if not one["responses"]][: PER_ROUND // 2]
            if fresh:
                server.answer_many("ana", server.datasets("afrel")[name], fresh, str(bridge.chance.randrange(4)))
                answered.update(fresh)
        act("pull")
    bridge.whole("pull")
    bridge.whole("push")
    assert "nothing to do" in bridge.whole("pull") and "nothing to do" in bridge.whole("push")
    there = [one["external_id"] for part in server.records("afrel").values() for one in part]
    with Store.connect(Workspace.open(folder), sees_test=True) as store:
        acts = {n: store.read("own_acts", pair_id=pair_id_of(n), account="ana").to_pylist() for n in range(n_pairs)}
    assert sorted(there) == sorted(f"c_{n}" for n in range(n_pairs))
    assert {f"c_{n}" for n, done in acts.items() if done} == answered
    assert max(map(len, acts.values())) == 1
    print(f"killed {dict(bridge.n_killed)}; {n_pairs} pairs, {len(answered)} answers")
    assert bridge.n_killed.total() >= KILLS and min(bridge.n_killed["push"], bridge.n_killed["pull"]) > 0
