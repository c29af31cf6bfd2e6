"""Writers and readers as processes of their own, with rows built before the clock starts.

A writer holds a pool of Arrow tables and gives each append new ids, so that making rows takes nothing from the cores
that are measured. It sends the next append when the last is acknowledged, or at a pace. Latencies stay in memory.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks import store_rows
from benchmarks.store_rows import Numbers, Texts, ids
from storage.clock import now
from storage.store import Store
from storage.workspace import Workspace

POOL_ROWS = 4_000
FIRST_NUMBER = 1 << 40  # beyond any row of a seed
Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """One writer. `kind` is call (a plain table) or candidate (with its screening, on pairs that are there).

    `per_second` None: as fast as acknowledged. `lot` and `writer` make its row numbers its own.
    """

    root: Path
    kind: str
    rows_per_append: int
    seconds: float
    n_pairs: int
    lot: int
    writer: int
    per_second: float | None = None

    @property
    def first_number(self) -> int:
        return FIRST_NUMBER + (self.lot << 36) + (self.writer << 32)


@dataclass(frozen=True, slots=True)
class ReaderPlan:
    """One reader: asks `READS` in turn at a pace, for rows drawn from the seeded ones."""

    root: Path
    seconds: float
    n_pairs: int
    per_second: float
    reader: int


@dataclass(slots=True)
class Done:
    """What one process did: moments of acknowledgement and seconds taken, by what was asked; its own CPU seconds."""

    plan: WriterPlan | ReaderPlan
    n_rows: int = 0
    acked_at: Seconds = field(default_factory=lambda: np.empty(0))
    taken: dict[str, Seconds] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    began: float = 0.0
    ended: float = 0.0


# Named reads of a reader: the card of a candidate, a pair's texts, its candidates and a candidate's screenings.
READS: Mapping[str, Callable[[Numbers], dict[str, Any]]] = {
    "candidate": lambda number: {"candidate_id": ids("c", number)[0].as_py()},
    "why_pair": lambda number: {"id": ids("p", number)[0].as_py()},
    "why_candidates": lambda number: {"id": ids("p", number)[0].as_py()},
    "why_screenings": lambda number: {"id": ids("c", number)[0].as_py()},
}


def run_load(plans: Sequence[WriterPlan | ReaderPlan], *, beside: Callable[[], None] | None = None) -> list[Done]:
    """Run all plans at once, each in a process; `beside` runs in this one when they have begun."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(plans) + 1), context.Queue()
    processes = [context.Process(target=_run, args=(plan, barrier, results)) for plan in plans]
    for process in processes:
        process.start()
    barrier.wait(timeout=300)
    if beside is not None:
        beside()
    done = [_result(results, processes) for _ in plans]
    for process in processes:
        process.join()
    return done


def _result(results: Queue[Done | str], processes: Sequence[Any]) -> Done:
    found = results.get()
    if isinstance(found, str):
        for process in processes:
            process.terminate()
        raise RuntimeError(f"a writer or reader failed: {found}")
    return found


def _run(plan: WriterPlan | ReaderPlan, barrier: Barrier, results: Queue[Done | str]) -> None:
    try:
        results.put(_write(plan, barrier) if isinstance(plan, WriterPlan) else _read(plan, barrier))
    except BaseException as error:
        results.put(f"{type(error).__name__}: {error}")
        raise


def _write(plan: WriterPlan, barrier: Barrier) -> Done:
    appends = make_appends(plan)
    with Store.connect(Workspace.open(plan.root)) as store:
        store.read("scale")
        barrier.wait(timeout=300)
        done, acked, taken = Done(plan), [], []
        cpu_before = time.process_time()
        done.began = began = time.monotonic()
        for n, tables in enumerate(appends):
            if plan.per_second:
                time.sleep(max(0.0, began + n / plan.per_second - time.monotonic()))
            asked = time.monotonic()
            if asked - began >= plan.seconds:
                break
            new = store.append(tables)
            acked.append(time.monotonic())
            taken.append(acked[-1] - asked)
            if set(new.values()) != {plan.rows_per_append}:
                raise RuntimeError(f"append {n} of writer {plan.writer}: {new} new of {plan.rows_per_append} each")
            done.n_rows += plan.rows_per_append
        done.ended = time.monotonic()
        done.cpu_seconds = time.process_time() - cpu_before
    done.acked_at, done.taken = np.array(acked), {"append": np.array(taken)}
    return done


def make_appends(plan: WriterPlan) -> Iterator[dict[str, pa.Table]]:
    """Build the pool now; return an endless iterator of appends with ids of their own."""
    n, size = plan.rows_per_append, max(POOL_ROWS, plan.rows_per_append)
    numbers = np.arange(size, dtype=np.uint64) + np.uint64(plan.first_number)
    texts = Texts(seed=1000 * plan.lot + plan.writer)
    starts = range(0, size - n + 1, n)
    if plan.kind == "call":
        calls = _stamped(store_rows.llm_calls(texts, numbers))
        pool = [{"llm_calls": _alone(calls, start, n)} for start in starts]
    else:
        proposed = _stamped(store_rows.candidates(texts, numbers))
        screened = _stamped(store_rows.screenings(numbers, all_pass=True))
        pool = [{"candidates": _alone(proposed, at, n), "screenings": _alone(screened, at, n)} for at in starts]
    return _with_ids(plan, pool)


def _with_ids(plan: WriterPlan, pool: list[dict[str, pa.Table]]) -> Iterator[dict[str, pa.Table]]:
    rng = np.random.default_rng(plan.first_number)
    n, at = plan.rows_per_append, plan.first_number
    while True:
        for tables in pool:
            numbers = np.arange(at, at + n, dtype=np.uint64)
            at += n
            if plan.kind == "call":
                yield {"llm_calls": tables["llm_calls"].set_column(0, "llm_call_id", ids("y", numbers))}
                continue
            candidate_ids = ids("c", numbers)
            pair_ids = ids("p", rng.integers(0, plan.n_pairs, n, dtype=np.uint64))
            candidates, screenings = tables["candidates"], tables["screenings"]
            candidates = candidates.set_column(0, "candidate_id", candidate_ids).set_column(1, "pair_id", pair_ids)
            screenings = screenings.set_column(0, "screening_id", ids("s", numbers))
            yield {
                "candidates": candidates,
                "screenings": screenings.set_column(1, "candidate_id", candidate_ids),
            }


def written_ids(done: Sequence[Done]) -> dict[str, pa.Array]:
    """Return the ids of every row that was acknowledged, by table."""
    prefixes = {"call": {"llm_calls": "y"}, "candidate": {"candidates": "c", "screenings": "s"}}
    found: dict[str, list[pa.Array]] = {}
    for one in done:
        if isinstance(one.plan, WriterPlan):
            numbers = np.arange(one.plan.first_number, one.plan.first_number + one.n_rows, dtype=np.uint64)
            for table, prefix in prefixes[one.plan.kind].items():
                found.setdefault(table, []).append(ids(prefix, numbers))
    return {table: pa.concat_arrays(parts) for table, parts in found.items()}


def _stamped(rows: pa.Table) -> pa.Table:
    """Return the rows as made just now, so that they come after every seeded one."""
    place = rows.schema.get_field_index("created_at")
    return rows.set_column(place, "created_at", pa.repeat(pa.scalar(now(), pa.timestamp("us")), rows.num_rows))


def _alone(rows: pa.Table, start: int, n: int) -> pa.Table:
    """Return some rows with buffers of their own, as an append from a client has them."""
    return pa.Table.from_batches([rows.take(pa.array(range(start, start + n))).combine_chunks().to_batches()[0]])


def _read(plan: ReaderPlan, barrier: Barrier) -> Done:
    rng = np.random.default_rng(plan.reader)
    names = list(READS)
    numbers = rng.integers(0, plan.n_pairs, 100_000, dtype=np.uint64)
    with Store.connect(Workspace.open(plan.root), sees_test=True) as store:
        store.read("scale")
        barrier.wait(timeout=300)
        done, taken = Done(plan), {name: [] for name in names}  # type: tuple[Done, dict[str, list[float]]]
        cpu_before = time.process_time()
        done.began = began = time.monotonic()
        n = 0
        while True:
            time.sleep(max(0.0, began + n / plan.per_second - time.monotonic()))
            name = names[n % len(names)]
            params = READS[name](numbers[n % len(numbers) : n % len(numbers) + 1])
            asked = time.monotonic()
            if asked - began >= plan.seconds:
                break
            done.n_rows += store.read(name, **params).num_rows
            taken[name].append(time.monotonic() - asked)
            n += 1
        done.ended = time.monotonic()
        done.cpu_seconds = time.process_time() - cpu_before
    done.taken = {name: np.array(seconds) for name, seconds in taken.items()}
    return done


def busy_share(before: Sequence[int], after: Sequence[int]) -> dict[str, float]:
    """Return the shares of all cores' time between two `cpu_times`: busy, waiting for the disk, idle."""
    spent = np.diff(np.array([before, after], np.float64), axis=0)[0]
    whole = spent.sum() or 1.0
    idle, waiting = spent[3] / whole, spent[4] / whole
    return {"busy": float(1 - idle - waiting), "waiting for the disk": float(waiting), "idle": float(idle)}


def cpu_times() -> list[int]:
    """Return the machine's CPU time by kind, in ticks."""
    return [int(word) for word in Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]]


def thread_seconds(pid: int) -> dict[int, float]:
    """Return the CPU seconds of each thread of a process so far, in the order they were started."""
    found = {}
    for entry in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
        try:
            fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue  # it ended just now
        found[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
