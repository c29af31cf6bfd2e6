"""A database of the first schema, brought up to date by the store process while that is killed.

The database is made once, by the first migration alone, and copied for every round. Whoever asks meanwhile must get
an answer in the end, from a database that has every row once.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import store_rows
from benchmarks.crashes.checks import KEYS, Findings
from benchmarks.load.seed import store_pids
from benchmarks.store_rows import Texts
from storage.process.migrate import migrate
from storage.store import Store
from storage.workspace import CONFIG_NAME, Workspace

N_ROWS = 20_000
N_KILLS = 2


class FirstSchema:
    """A workspace folder whose database has the first schema and rows in it."""

    def __init__(self, folder: Path) -> None:
        self._master = folder / "master"
        self._root = folder / "workspace"
        self._expected: dict[str, pa.Array] = {}

    def crash(self, draw: float, *, when: str, findings: Findings, kill: Callable[[int, int], None]) -> None:
        """Ask a fresh copy, kill the store process twice while it starts and migrates, then look at every row."""
        if not self._master.exists():
            self._make()
        shutil.rmtree(self._root, ignore_errors=True)
        shutil.copytree(self._master, self._root)
        answered: list[int] = []
        asking = threading.Thread(target=self._ask, args=(answered,))
        asking.start()
        for n in range(N_KILLS):
            dead = _wait_for_store(self._root)
            time.sleep(0.15 + (draw * (n + 1)) % 1.0 * 1.2)
            for pid in dead:
                kill(pid, signal.SIGKILL)
        asking.join()
        if answered != [1]:
            findings.unreadable.append(f"{when}: nobody answered after the migration was killed")
            return
        self._check(findings, when)
        for pid in store_pids(self._root):
            kill(pid, signal.SIGTERM)

    def _ask(self, answered: list[int]) -> None:
        with Store.connect(Workspace.open(self._root)) as store:
            answered.append(store.read("scale").num_rows)

    def _check(self, findings: Findings, when: str) -> None:
        with Store.connect(Workspace.open(self._root)) as store:
            copy = store.publish()
            with duckdb.connect(str(copy), read_only=True) as connection:
                for table, expected in self._expected.items():
                    connection.register("expected", pa.table({KEYS[table]: expected}))
                    sql = f"select count(*) from expected anti join {table} using ({KEYS[table]})"
                    ((n_lost,),) = connection.execute(sql).fetchall()
                    sql = f"select count({KEYS[table]}) - count(distinct {KEYS[table]}) from {table}"
                    ((n_repeated,),) = connection.execute(sql).fetchall()
                    if n_lost:
                        findings.lost.append(f"{when}: {n_lost} of {len(expected)} {table} of the first schema")
                    if n_repeated:
                        findings.repeated.append(f"{when}: {n_repeated} {table} of the first schema")
            findings.rebuild(store, when=when)

    def _make(self) -> None:
        self._master.mkdir(parents=True)
        (self._master / CONFIG_NAME).write_text("", encoding="utf-8")
        texts, numbers = Texts(2), np.arange(N_ROWS, dtype=np.uint64)
        sizes = store_rows.Sizes.of(N_ROWS)
        tables = {
            "queries": store_rows.queries(texts, np.arange(sizes.n_queries, dtype=np.uint64)),
            "pairs": store_rows.pairs(sizes, numbers),
            "candidates": store_rows.candidates(texts, numbers),
            "screenings": store_rows.screenings(numbers),
            "responses": store_rows.responses(sizes, numbers[: N_ROWS // 3]),
            "llm_calls": store_rows.llm_calls(texts, numbers),
        }
        with duckdb.connect(str(self._master / "afrel.duckdb")) as connection:
            migrate(connection, to=1)
            connection.execute("insert into grades values ('g_1', 1, 'one', now()::timestamp)").fetchall()
            for table, rows in tables.items():
                connection.register("incoming", rows)
                connection.execute(f"insert into {table} by name select * from incoming").fetchall()
                connection.unregister("incoming")
        answered = np.arange(N_ROWS // 3, dtype=np.uint64)
        # Answers on test pairs have no ids in the published copy.
        shown = tables["responses"].filter(
            pc.not_equal(store_rows.splits(answered % np.uint64(sizes.n_queries)), "test")
        )
        tables |= {"responses": shown}
        self._expected = {table: rows.column(0).combine_chunks() for table, rows in tables.items()}


def _wait_for_store(root: Path) -> list[int]:
    """Return the store processes of a folder, once there is one; none after a while, when it has answered already."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        pids = store_pids(root)
        if pids:
            return pids
        time.sleep(0.002)
    return []
