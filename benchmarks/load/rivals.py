"""The same appends without a store process: SQLite in WAL mode, and DuckDB opened for each unit of work.

Both keep each unit in a transaction of its own and on disk before they say so (SQLite: synchronous=FULL; DuckDB
always), with the id as primary key and the same columns. Neither derives a status or answers while others write.
"""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.latency import Latency, longest_gap
from benchmarks.load.writers import WriterPlan, make_appends

COLUMNS = (
    "llm_call_id varchar primary key, role varchar, operator varchar, provider varchar, model varchar, "
    "template_digest varchar, request varchar, reply varchar, n_prompt_tokens integer, n_completion_tokens integer, "
    "seconds double, run_id varchar, created_at timestamp"
)


@dataclass(frozen=True, slots=True)
class Rival:
    """What a rival did: rows a second, latencies of its units in ms, the longest pause of all writers together."""

    name: str
    n_writers: int
    rows_per_append: int
    rows_per_second: float
    latency: Latency
    longest_gap_ms: float


def run_rival(name: str, folder: Path, *, n_writers: int, rows_per_append: int, seconds: float) -> Rival:
    """Let n processes append for so long to a new database."""
    path = folder / f"{name}-{n_writers}-{rows_per_append}.db"
    _remove(path)
    _CREATE[name](path)
    context = multiprocessing.get_context("spawn")
    barrier: Barrier = context.Barrier(n_writers)
    results: Queue[Any] = context.Queue()
    plan = WriterPlan(folder, "call", rows_per_append, seconds, 1, 9, 0)
    processes = [
        context.Process(target=_write, args=(name, path, replace(plan, writer=writer), barrier, results))
        for writer in range(n_writers)
    ]
    for process in processes:
        process.start()
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    _remove(path)
    acked, taken = [one[2] for one in done], np.concatenate([one[3] for one in done])
    began, ended = min(one[0] for one in done), min(one[1] for one in done)
    rate = len(taken) * rows_per_append / (max(one[1] for one in done) - began)
    gap = longest_gap(acked, began, ended) * 1000
    return Rival(name, n_writers, rows_per_append, rate, Latency.of(taken), gap)


def _write(name: str, path: Path, plan: WriterPlan, barrier: Barrier, results: Queue[Any]) -> None:
    appends = make_appends(plan)
    insert = _OPEN[name](path)
    barrier.wait(timeout=300)
    began = time.monotonic()
    acked, taken = [], []
    for tables in appends:
        asked = time.monotonic()
        if asked - began >= plan.seconds:
            break
        insert(tables["llm_calls"])
        acked.append(time.monotonic())
        taken.append(acked[-1] - asked)
    results.put((began, time.monotonic(), np.array(acked), np.array(taken)))


def _create_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute(f"create table llm_calls ({COLUMNS})")


def _open_sqlite(path: Path) -> Callable[[Any], None]:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("pragma synchronous=full")
    marks = ", ".join("?" * 13)

    def insert(rows: Any) -> None:
        values = zip(*(column.cast("string").to_pylist() for column in rows.columns), strict=True)
        connection.execute("begin immediate")
        connection.executemany(f"insert into llm_calls values ({marks})", values)
        connection.execute("commit")

    return insert


def _create_duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table llm_calls ({COLUMNS})")


def _open_duckdb(path: Path) -> Callable[[Any], None]:
    rng = random.Random(0)

    def insert(rows: Any) -> None:
        while True:
            try:
                connection = duckdb.connect(str(path))
                break
            except duckdb.IOException:  # another process has it open
                time.sleep(rng.uniform(0.001, 0.01))
        with connection:
            connection.register("incoming", rows)
            connection.execute("insert into llm_calls by name select * from incoming").fetchall()

    return insert


_CREATE: dict[str, Callable[[Path], None]] = {"sqlite": _create_sqlite, "duckdb": _create_duckdb}
_OPEN: dict[str, Callable[[Path], Callable[[Any], None]]] = {"sqlite": _open_sqlite, "duckdb": _open_duckdb}


def _remove(path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
