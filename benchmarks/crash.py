"""Kill one process after another with SIGKILL, at random moments under load, and look whether anything was lost.

    python benchmarks/crash.py [--rounds 200] [--seed 1] [--only ROUND] [--json FILE]

Victims: the store process, a writer, the labelling worker (`afrel label` against a local server), the snapshot writer.
Moments: under load; while the store writes a checkpoint, builds the published copy, puts its journal back after the
kill before, or migrates a database of the first schema. Nobody restarts the store: the clients do, by asking again.
Killed clients are started anew, as a supervisor would. After each round every row a writer was told is safe is looked
for, every id must be held once, published copy and snapshots must read; every tenth round derives the maintained tables
anew. Victim, moment and delay of a round follow from seed and round, so `--seed S --only R` plays one round again;
the machine's timing is its own.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import store_rows  # noqa: E402
from benchmarks.crashes.checks import Findings  # noqa: E402
from benchmarks.crashes.labels import LabelWorker, environment, ingest_pairs, label_server  # noqa: E402
from benchmarks.crashes.load import N_PAIRS, cutter_key, truth_path  # noqa: E402
from benchmarks.crashes.migration import FirstSchema  # noqa: E402
from benchmarks.latency import Report, machine, machine_line  # noqa: E402
from benchmarks.load.seed import new_workspace, remove, store_pids  # noqa: E402
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

N_WRITERS = 2
N_LABELLED = 40
RECOVER_SECONDS = 90.0
REBUILD_EVERY = 10
# What is killed when, and how often out of 100.
CASES = {
    ("store", "load"): 22,
    ("store", "checkpoint"): 13,
    ("store", "publish"): 13,
    ("store", "replay"): 10,
    ("store", "migration"): 8,
    ("writer", "load"): 12,
    ("labeller", "load"): 12,
    ("snapshotter", "load"): 10,
}


@dataclass(frozen=True, slots=True)
class Round:
    """One kill: what, when, and the draw its delay is taken from."""

    number: int
    victim: str
    moment: str
    draw: float

    @classmethod
    def of(cls, seed: int, number: int) -> Round:
        """Return the round that seed and number make."""
        rng = random.Random(f"{seed}:{number}")
        ((victim, moment),) = rng.choices(list(CASES), list(CASES.values()))
        return cls(number, victim, moment, rng.random())

    def __str__(self) -> str:
        return f"round {self.number} ({self.victim}, {self.moment})"


@dataclass(slots=True)
class Stage:
    """A workspace and the processes that keep it busy."""

    workspace: Workspace
    labels: LabelWorker
    log: Path
    running: dict[tuple[str, int], subprocess.Popen[bytes]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.workspace.root

    def tend(self) -> None:
        """Start what does not run; a process that ended by itself has failed."""
        self.labels.tend()
        for name in [*(("writer", n) for n in range(N_WRITERS)), ("publisher", 0), ("snapshotter", 0)]:
            process = self.running.get(name)
            if process is not None and process.poll() is not None:
                self.failures.append(f"{name[0]} {name[1]} ended with {process.returncode}; see {self.log}")
            if process is None or process.poll() is not None:
                self.running[name] = self._start(*name)

    def _start(self, role: str, number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "benchmarks.crashes.load", role, str(self.root), str(number)]
        with self.log.open("ab") as log:
            return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env=environment(), start_new_session=True)

    def kill(self, role: str, number: int = 0) -> None:
        """Kill a client; `tend` starts it again."""
        process = self.running.pop((role, number))
        process.kill()
        process.wait()

    def kill_store(self) -> bool:
        """Kill the store process; say whether there was one."""
        pids = store_pids(self.root)
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        return bool(pids)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all clients for a while, so that the store goes idle and writes its checkpoint."""
        pids = [process.pid for process in self.running.values()]
        pids += [pid] if (pid := self.labels.pid()) is not None else []
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    def progress(self) -> list[int]:
        """Return what grows as each writer gets on."""
        paths = [truth_path(self.root, writer) for writer in range(N_WRITERS)]
        return [path.stat().st_size if path.exists() else 0 for path in paths]

    def wait_for_progress(self) -> float:
        """Return the seconds until every writer has got on since now."""
        began, before = time.monotonic(), self.progress()
        while any(now <= then for now, then in zip(self.progress(), before, strict=True)):
            self.tend()
            if time.monotonic() - began > RECOVER_SECONDS:
                self.failures.append(f"no progress in {RECOVER_SECONDS:.0f} s; see {self.log}")
                break
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self) -> None:
        """Let everything end well."""
        self.labels.finish(RECOVER_SECONDS)
        (self.root / "stop").touch()
        for (role, number), process in self.running.items():
            if process.wait(RECOVER_SECONDS) != 0:
                self.failures.append(f"{role} {number} ended with {process.returncode}; see {self.log}")
        self.failures += self.labels.failures
        said = (self.root / "store.log").read_text(encoding="utf-8", errors="replace")
        for sign in ("Traceback", "refused"):
            if n := said.count(sign):
                self.failures.append(f"the store process wrote {sign!r} {n} times; see {self.root / 'store.log'}")

    def end(self) -> None:
        """End whatever still runs."""
        processes = [*self.running.values(), *([self.labels.process] if self.labels.process else [])]
        for process in processes:
            process.kill()
            process.wait()
        self.kill_store()


@dataclass(slots=True)
class Outcome:
    """What all rounds came to."""

    findings: Findings
    failures: list[str] = field(default_factory=list)
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed_moments: int = 0
    recover_seconds: list[float] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return self.findings.is_sound and not self.failures


def crash(out: Path, rounds: Iterable[Round], *, say: Callable[[str], None] = print) -> Outcome:
    """Play the rounds on a workspace under `out`; return what was found."""
    outcome = Outcome(Findings())
    first_schema = FirstSchema(out / "first-schema")
    with label_server() as url:
        workspace = new_workspace(out / "workspace", n_accounts=5)
        ingest_pairs(workspace.root, url, n=N_LABELLED)
        _add_pairs(workspace)
        cutter_key(workspace.root)
        stage = Stage(workspace, LabelWorker(workspace.root, out / "label.log"), out / "load.log")
        try:
            stage.tend()
            stage.wait_for_progress()
            for one in rounds:
                began = time.monotonic()
                _play(stage, one, first_schema, outcome)
                outcome.cases[one.victim, one.moment] += 1
                sound = "sound" if outcome.findings.is_sound and not stage.failures else "NOT SOUND"
                n_rows = outcome.findings.n_acknowledged
                say(f"{one}: {time.monotonic() - began:.1f} s, {n_rows:,} acknowledged rows, {sound}")
            stage.stop()
            with Store.connect(workspace) as store:
                outcome.findings.check(store, stage.root, stage.labels, when="the end")
                outcome.findings.rebuild(store, when="the end")
        finally:
            stage.end()
    outcome.failures += stage.failures
    return outcome


def _play(stage: Stage, one: Round, first_schema: FirstSchema, outcome: Outcome) -> None:
    """Kill, wait until everybody got on by itself, look at everything."""
    if one.moment == "migration":
        first_schema.crash(one.draw, when=str(one), findings=outcome.findings, kill=_signal)
        return
    is_hit = _MOMENTS[one.moment](stage, one) if one.victim == "store" else _kill_client(stage, one)
    outcome.missed_moments += not is_hit
    outcome.recover_seconds.append(stage.wait_for_progress())
    with Store.connect(stage.workspace) as store:
        outcome.findings.check(store, stage.root, stage.labels, when=str(one))
        if one.number % REBUILD_EVERY == 0:
            outcome.findings.rebuild(store, when=str(one))


def _kill_client(stage: Stage, one: Round) -> bool:
    if one.victim == "labeller":
        is_hit = _wait_for(lambda: stage.labels.is_spooling, lambda: stage.labels.tend(at_once=True))
        time.sleep(one.draw * 0.4)
        stage.labels.kill()
        return is_hit
    if one.victim == "snapshotter":
        is_hit = _wait_for(lambda: any((stage.root / "snapshots").glob(".cutting-*")), stage.tend)
        time.sleep(one.draw * 0.1)
        stage.kill("snapshotter")
        return is_hit
    time.sleep(one.draw * 0.5)
    stage.kill("writer", int(one.draw * 1000) % N_WRITERS)
    return True


def _at_load(stage: Stage, one: Round) -> bool:
    time.sleep(one.draw * 0.8)
    return stage.kill_store()


def _at_checkpoint(stage: Stage, one: Round) -> bool:
    """Kill while the database file is being written; a commit writes only its log."""
    with stage.frozen():
        before = _changed_at(stage.root)
        is_hit = _wait_for(lambda: _changed_at(stage.root) != before, lambda: None, seconds=8)
        time.sleep(one.draw * 0.04)
        stage.kill_store()
    return is_hit


def _changed_at(root: Path) -> int:
    return (root / "afrel.duckdb").stat().st_mtime_ns


def _at_publish(stage: Stage, one: Round) -> bool:
    is_hit = _wait_for(lambda: any((stage.root / ".publish").iterdir()), stage.tend)
    time.sleep(one.draw * 0.05)
    return stage.kill_store() and is_hit


def _at_replay(stage: Stage, one: Round) -> bool:
    """Kill, and kill again what a client has started since."""
    dead = store_pids(stage.root)
    stage.kill_store()
    is_hit = _wait_for(lambda: bool(set(store_pids(stage.root)) - set(dead)), lambda: None)
    time.sleep(one.draw * 1.2)
    return stage.kill_store() and is_hit


_MOMENTS: dict[str, Callable[[Stage, Round], bool]] = {
    "load": _at_load,
    "checkpoint": _at_checkpoint,
    "publish": _at_publish,
    "replay": _at_replay,
}


def _wait_for(condition: Callable[[], bool], meanwhile: Callable[[], None], *, seconds: float = 15) -> bool:
    """Wait for a moment; say whether it came."""
    until = time.monotonic() + seconds
    n = 0
    while time.monotonic() < until:
        if condition():
            return True
        n += 1
        if n % 200 == 0:
            meanwhile()
        time.sleep(0.0005)
    return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself just now
        os.kill(pid, number)


def _add_pairs(workspace: Workspace) -> None:
    """Append the pairs that the writers' candidates are on; they have no features, so `afrel label` leaves them."""
    numbers = np.arange(N_PAIRS, dtype=np.uint64)
    sizes, texts = store_rows.Sizes(n_candidates=N_PAIRS, n_queries=N_PAIRS, n_docs=N_PAIRS), store_rows.Texts(1)
    with Store.connect(workspace) as store:
        store.append({"queries": store_rows.queries(texts, numbers), "docs": store_rows.docs(texts, numbers)})
        store.append({"pairs": store_rows.pairs(sizes, numbers)})


def main() -> int:
    """Play the rounds and print what was found; 1 when anything was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play this round alone")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-crash")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    out: Path = given.out.resolve()
    remove(out)
    out.mkdir(parents=True)
    report = Report("crash", {"machine": machine(out), "seed": given.seed})
    report.say(machine_line(report.figures["machine"]))
    numbers = [given.only] if given.only is not None else range(1, given.rounds + 1)
    began = time.monotonic()
    outcome = crash(out, [Round.of(given.seed, number) for number in numbers], say=report.say)
    found = outcome.findings
    report.say(f"\n{sum(outcome.cases.values())} rounds, seed {given.seed}, {time.monotonic() - began:.0f} s:")
    for (victim, moment), n in sorted(outcome.cases.items()):
        report.say(f"  {n:>4}  {victim} killed at {moment}")
    waited = np.percentile(outcome.recover_seconds or [0.0], [50, 95, 100])
    report.say(
        f"{found.n_acknowledged:,} acknowledged rows: lost {len(found.lost)}, ids held twice {len(found.repeated)}, "
        f"unreadable files {len(found.unreadable)}, rebuilt tables that differ {len(found.differing)} of "
        f"{found.n_rebuilds}; {found.n_snapshots} snapshots verified; clients that gave up {len(outcome.failures)}; "
        f"writers got on after {waited[0]:.1f} s (median), {waited[1]:.1f} (p95), {waited[2]:.1f} (longest); in "
        f"{outcome.missed_moments} rounds the moment did not come and the kill fell under load"
    )
    for line in [*found.lost, *found.repeated, *found.unreadable, *found.differing, *outcome.failures][:40]:
        report.say(f"  {line}")
    report.put(
        "crash",
        cases={f"{victim} {moment}": n for (victim, moment), n in outcome.cases.items()},
        n_acknowledged=found.n_acknowledged,
        lost=found.lost,
        repeated=found.repeated,
        unreadable=found.unreadable,
        differing=found.differing,
        failures=outcome.failures,
        recover_seconds={"p50": waited[0], "p95": waited[1], "longest": waited[2]},
    )
    report.write(given.json)
    if outcome.is_sound:
        shutil.rmtree(out)
    else:
        report.say(f"left for looking at: {out}")
    return 0 if outcome.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
