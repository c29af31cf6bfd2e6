"""The store under load: four writers and two readers on a workspace of millions, the queue, thirty reviewers, a start.

    python benchmarks/store.py [--seeded DIR] [--rows 5000000] [--seconds 180] [--phases single,batch,…] [--json FILE]

Phases, each on the same copy of the seeded workspace:
  single      4 writers, one row of ~750 bytes an append into llm_calls, a plain table; 2 readers
  batch       the same in batches of 100
  candidates  100 candidates with their passed screenings an append, on pairs that are there: status and queue change
  claim       claims and answers while one writer appends 100 single calls/s and one 100 single candidates/s
  reviewers   30 reviewers claim and answer at once in a small workspace of its own; one or two people a candidate
  bombs       the claims, no writers, without and with ten bombs running in the console
  idle        the first command after the store process has left
  rivals      SQLite (WAL, synchronous=FULL) and DuckDB opened for each append, the same rows, empty tables
Readers ask the named reads candidate, why_pair, why_candidates and why_screenings in turn, 20 a second each; each
waits until everything acknowledged is folded, so readers make the store fold more often. At the end every
acknowledged row is looked up in the published copy, and the maintained tables are held against rebuilt ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import CheckpointWatch, Cost, Latency, Report, longest_gap, machine, machine_line  # noqa: E402
from benchmarks.load.bombs import BOMBS, PER_SECOND, bombing, claim_latency  # noqa: E402
from benchmarks.load.claims import claim_and_answer, fill_queue, review_all  # noqa: E402
from benchmarks.load.rivals import run_rival  # noqa: E402
from benchmarks.load.seed import new_workspace, prepare, remove, running_store, store_pids  # noqa: E402
from benchmarks.load.writers import (  # noqa: E402
    READS,
    Done,
    ReaderPlan,
    WriterPlan,
    busy_share,
    cpu_times,
    run_load,
    thread_seconds,
    written_ids,
)
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

PHASES = ("single", "batch", "candidates", "claim", "bombs", "reviewers", "idle", "rivals")
N_WRITERS, N_READERS = 4, 2
READS_PER_SECOND = 20.0
RIVAL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A phase of writers and readers: what it appends and what it must hold."""

    kind: str
    rows_per_append: int
    rows_per_second: float
    p95_ms: float
    gap_ms: float | None


LOADED = {
    "single": Loaded("call", 1, 400, 40, None),
    "batch": Loaded("call", 100, 20_000, 60, 300),
    "candidates": Loaded("candidate", 100, 8_000, 60, 300),
}


@dataclass(slots=True)
class Bench:
    """The workspace under load and what was written to it."""

    workspace: Workspace
    n_pairs: int
    seconds: float
    report: Report
    written: list[Done]

    @property
    def root(self) -> Path:
        return self.workspace.root


def main() -> int:
    """Run the phases; 1 when a row was lost or a candidate given to too many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeded", type=Path, help="a folder made by benchmarks.load.seed; it is copied")
    parser.add_argument("--rows", type=int, default=5_000_000, help="candidates to seed when none is given")
    parser.add_argument("--seconds", type=float, default=180.0, help="of each phase under load")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-store")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    phases = given.phases.split(",")
    if set(phases) - set(PHASES):
        parser.error(f"phases are {', '.join(PHASES)}; not {sorted(set(phases) - set(PHASES))}")
    out: Path = given.out.resolve()
    remove(out)
    out.mkdir(parents=True)
    report = Report("store", {"seconds": given.seconds})
    report.figures["machine"] = machine(out)
    report.say(machine_line(report.figures["machine"]))
    is_sound = True
    if set(phases) & {*LOADED, "claim", "bombs", "idle"}:
        workspace, sizes = prepare(out / "workspace", seeded=given.seeded, n_candidates=given.rows)
        report.put("seeded", **asdict(sizes))
        bench = Bench(workspace, sizes.n_candidates, given.seconds, report, [])
        with running_store(bench.root), Store.connect(workspace) as store:
            store.read("scale")  # from now on the process stays as long as this connection
            for lot, phase in enumerate(phases, 1):
                if phase in LOADED:
                    _load(bench, phase, lot)
                elif phase == "claim":
                    _claim(bench, lot)
                elif phase == "bombs":
                    _bombs(bench, store)
            is_sound = not bench.written or _check(bench, store)
        if "idle" in phases:
            _first_command(bench)
    if "reviewers" in phases:
        is_sound &= _reviewers(out, report)
    if "rivals" in phases:
        _rivals(out, report, min(given.seconds, RIVAL_SECONDS))
    report.say(f"\nmissed: {', '.join(report.missed) or 'nothing'}")
    report.write(given.json)
    remove(out)
    return 0 if is_sound else 1


def _load(bench: Bench, phase: str, lot: int) -> None:
    """Run four writers and two readers; print what they and the store process took."""
    what, report = LOADED[phase], bench.report
    plans: list[WriterPlan | ReaderPlan] = [
        WriterPlan(bench.root, what.kind, what.rows_per_append, bench.seconds, bench.n_pairs, lot, writer)
        for writer in range(N_WRITERS)
    ]
    plans += [
        ReaderPlan(bench.root, bench.seconds, bench.n_pairs, READS_PER_SECOND, 100 * lot + reader)
        for reader in range(N_READERS)
    ]
    rows = f"{what.rows_per_append} row{'s' if what.rows_per_append > 1 else ''} an append"
    report.say(f"\n{phase}: {N_WRITERS} writers, {rows}, {bench.seconds:.0f} s; {N_READERS} readers")
    (pid,) = store_pids(bench.root)
    before: dict[str, Any] = {}

    def begin() -> None:
        before.update(cost=Cost.of(pid), cpu=cpu_times(), threads=thread_seconds(pid))

    with CheckpointWatch(bench.root) as watch:
        done = run_load(plans, beside=begin)
        cost, busy = Cost.of(pid), busy_share(before["cpu"], cpu_times())
        threads = thread_seconds(pid)
    writers = [one for one in done if isinstance(one.plan, WriterPlan)]
    readers = [one for one in done if isinstance(one.plan, ReaderPlan)]
    bench.written += writers
    began, ended = min(one.began for one in writers), max(one.ended for one in writers)
    n_rows = sum(one.n_rows for one in writers)
    latency = Latency.of(np.concatenate([one.taken["append"] for one in writers]))
    gap = longest_gap([one.acked_at for one in writers], began, min(one.ended for one in writers)) * 1000
    in_time = [moment - began for moment in watch.moments if began <= moment <= ended]
    report.hold(f"{phase} rows/s", n_rows / (ended - began), target=what.rows_per_second, at_most=False, unit="rows/s")
    report.hold(f"{phase} p95", latency.p95, target=what.p95_ms, at_most=True, unit="ms")
    if what.gap_ms is not None:
        report.hold(f"{phase} longest pause", gap, target=what.gap_ms, at_most=True, unit="ms")
    reads = {name: Latency.of(np.concatenate([one.taken[name] for one in readers])) for name in READS}
    used = {tid: seconds - before["threads"].get(tid, 0.0) for tid, seconds in threads.items()}
    most = sorted(((round(s, 1), place) for place, s in enumerate(used.values()) if s >= 0.1), reverse=True)[:4]
    store_cpu = cost.cpu_seconds - before["cost"].cpu_seconds
    report.say(f"  appends: {latency}; longest pause of all writers {gap:.0f} ms")
    report.say(
        f"  checkpoints: {len(in_time)} at {', '.join(f'{at:.0f} s' for at in in_time) or '-'}; largest log "
        f"{watch.largest_log_mib:.0f} MiB, the file grew by {watch.grown_mib:.0f} MiB"
    )
    for name, found in reads.items():
        report.say(f"  read {name}: {found}")
    report.say(
        f"  store process: {store_cpu:.1f} CPU s ({1e6 * store_cpu / max(1, n_rows):.0f} us a row), peak "
        f"{cost.peak_mib:.0f} MiB, wrote {cost.written_mib - before['cost'].written_mib:.0f} MiB; busiest "
        f"threads {', '.join(f'{s} s (#{place})' for s, place in most)}; writers "
        f"{sum(one.cpu_seconds for one in writers):.1f} CPU s, readers {sum(one.cpu_seconds for one in readers):.1f}"
    )
    report.say(f"  machine: {', '.join(f'{share:.0%} {what_for}' for what_for, share in busy.items())}")
    report.put(
        phase, n_rows=n_rows, rows_per_second=n_rows / (ended - began), latency=asdict(latency), gap_ms=gap,
        checkpoints=in_time, reads={name: asdict(found) for name, found in reads.items()}, store_cpu_seconds=store_cpu,
        store_peak_mib=cost.peak_mib, machine_share=busy, busiest_threads=most,
    )  # fmt: skip


def _claim(bench: Bench, lot: int) -> None:
    """Two claiming processes beside two paced writers."""
    bench.report.say(f"\nclaim: 2 claimers, 10 claims a second each, {bench.seconds:.0f} s, beside 2 writers")
    context = multiprocessing.get_context("spawn")
    barrier: Barrier = context.Barrier(3)
    results: multiprocessing.Queue[Any] = context.Queue()
    claimers = [
        context.Process(target=claim_and_answer, args=(bench.root, bench.seconds, 10.0, number, barrier, results))
        for number in range(2)
    ]
    for claimer in claimers:
        claimer.start()
    plans = [
        WriterPlan(bench.root, kind, 1, bench.seconds, bench.n_pairs, lot, writer, per_second=100.0)
        for writer, kind in enumerate(("call", "candidate"))
    ]
    done = run_load(plans, beside=lambda: _pass(barrier))
    seen = [results.get() for _ in claimers]
    for claimer in claimers:
        claimer.join()
    bench.written += done
    claims = Latency.of([s for one in seen for s in one.claims])
    answers = Latency.of([s for one in seen for s in one.answers])
    appends = Latency.of(np.concatenate([one.taken["append"] for one in done]))
    bench.report.hold("claim p95", claims.p95, target=40, at_most=True, unit="ms")
    n_given = sum(one.n_given for one in seen)
    rate = sum(one.n_rows for one in done) / bench.seconds
    bench.report.say(f"  claims: {claims}; {n_given} candidates given\n  answers: {answers}")
    bench.report.say(f"  writers' appends: {appends}, {rate:.0f} rows/s together")
    bench.report.put("claim", claims=asdict(claims), answers=asdict(answers), appends=asdict(appends), n_given=n_given)


def _bombs(bench: Bench, store: Store) -> None:
    """Claims without and with ten bombs, twice each, in turns."""
    copy, seconds = store.publish(), max(10.0, bench.seconds / 4)
    bench.report.say(f"\nbombs: {PER_SECOND:.0f} claims a second, {seconds:.0f} s a turn, {len(BOMBS)} bombs at once")
    alone, bombed = [], []
    for turn in (10, 20):
        alone.append(claim_latency(bench.root, seconds, turn=turn))
        with bombing(copy) as outcome:
            bombed.append(claim_latency(bench.root, seconds, turn=turn + 1))
        bench.report.say(f"  alone: {alone[-1]}\n  with bombs: {bombed[-1]}; bombs stopped: {outcome.stopped}")
    ratio = float(np.mean([one.p95 for one in bombed]) / np.mean([one.p95 for one in alone]))
    bench.report.hold("claim p95 with bombs over without", ratio, target=2, at_most=True, unit="times")
    bench.report.put("bombs", alone=[asdict(one) for one in alone], bombed=[asdict(one) for one in bombed], ratio=ratio)


def _pass(barrier: Barrier) -> None:
    barrier.wait(timeout=300)


def _check(bench: Bench, store: Store) -> bool:
    """Look every acknowledged row up in the published copy; hold the maintained tables against rebuilt ones."""
    began = time.monotonic()
    copy = store.publish()
    published = time.monotonic() - began
    lost, repeated, n = {}, {}, 0
    with duckdb.connect(str(copy), read_only=True) as connection:
        for table, expected in written_ids(bench.written).items():
            key = {"llm_calls": "llm_call_id", "candidates": "candidate_id", "screenings": "screening_id"}[table]
            connection.register("expected", pa.table({key: expected}))
            lost[table] = _count(connection, f"select count(*) from expected anti join {table} using ({key})")
            repeated[table] = _count(connection, f"select count(*) - count(distinct {key}) from {table}")
            n += len(expected)
    began = time.monotonic()
    differing = store.rebuild()
    rebuilt = time.monotonic() - began
    is_sound = not any([*lost.values(), *repeated.values(), *differing.values()])
    bench.report.say(
        f"\ncheck: {n:,} acknowledged rows looked up, lost {lost}, held twice {repeated}; rebuilt tables differ by "
        f"{differing} (publish {published:.1f} s, rebuild {rebuilt:.1f} s)"
    )
    bench.report.put("check", n=n, lost=lost, repeated=repeated, differing=differing, publish_seconds=published)
    return is_sound


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])


def _first_command(bench: Bench) -> None:
    """Time the first read and the first command after the store process has left by itself, three times each."""
    words = [sys.executable, "-m", "afrel", "-w", str(bench.root), "status"]
    acts: dict[str, Callable[[], None]] = {
        "read": lambda: _one_read(bench.workspace),
        "command": lambda: _quiet(words),
    }
    taken: dict[str, list[float]] = {what: [] for what in acts}
    for what, act in acts.items():
        for _ in range(3):
            _wait_until_gone(bench.root)
            began = time.monotonic()
            act()
            taken[what].append(time.monotonic() - began)
            _restart_briefly(bench.root)
    bench.report.say("\nidle: the first command after the store process has left, n = 3 each: a read, `afrel status`")
    for what, seconds in taken.items():
        median = float(np.median(seconds))
        bench.report.hold(f"idle first {what}", median * 1000, target=3000, at_most=True, unit="ms")
        bench.report.say(f"  {what}: {', '.join(f'{s:.2f} s' for s in seconds)}")
    bench.report.put("idle", **taken)


def _one_read(workspace: Workspace) -> None:
    with Store.connect(workspace) as store:
        store.read("scale")


def _quiet(words: Sequence[str]) -> None:
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_until_gone(root: Path) -> None:
    while store_pids(root):
        time.sleep(0.05)


def _restart_briefly(root: Path) -> None:
    """End the process a client started, which would idle for a minute, as one that idles for a second."""
    for pid in store_pids(root):
        os.kill(pid, 15)
    _wait_until_gone(root)
    with running_store(root, idle_seconds=0.5):
        pass


def _reviewers(out: Path, report: Report) -> bool:
    """Thirty reviewers at once on a queue of their own."""
    workspace = new_workspace(out / "reviewers", n_accounts=30)
    with running_store(workspace.root), Store.connect(workspace, sees_test=True) as store:
        allowed = fill_queue(store, 600, seed=5)
        books = review_all(workspace, allowed, seed=5)
        n_left = sum(row["n"] for row in store.read("counts").to_pylist() if row["what"] == "queue")
    taken = Latency.of(books.taken)
    n_two = sum(most == 2 for most in allowed.values())
    report.say(
        f"\nreviewers: 30 at once, {len(allowed)} candidates, {n_two} of them for two people, {books.n_claims} claims "
        f"({taken}): given to too many {len(books.wrong)}, to too few {books.n_short}, left in the queue {n_left}"
    )
    for line in books.wrong[:5]:
        report.say(f"  {line}")
    report.put("reviewers", n_claims=books.n_claims, too_many=len(books.wrong), too_few=books.n_short, left=n_left)
    return not books.wrong and not books.n_short and not n_left


def _rivals(out: Path, report: Report, seconds: float) -> None:
    """The same appends by rivals; ratios against what the store did in this run."""
    report.say(f"\nrivals: the same rows, empty tables, no reader, {seconds:.0f} s each")
    folder = out / "rivals"
    folder.mkdir()
    for rows, (name, n) in product((1, 100), (("sqlite", 1), ("sqlite", N_WRITERS), ("duckdb", N_WRITERS))):
        found = run_rival(name, folder, n_writers=n, rows_per_append=rows, seconds=seconds)
        own = report.figures.get("single" if found.rows_per_append == 1 else "batch")
        ratio = f"; the store did {own['rows_per_second'] / found.rows_per_second:.2f} times as many" if own else ""
        report.say(
            f"  {found.name}, {found.n_writers} writer(s), {found.rows_per_append} row(s) an append: "
            f"{found.rows_per_second:,.0f} rows/s, {found.latency}, longest pause {found.longest_gap_ms:.0f} ms{ratio}"
        )
        report.put(f"rival {found.name} x{found.n_writers} {found.rows_per_append}", **asdict(found))
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
