"""How fast the bridge to Argilla and its search index are: records and responses a second, milliseconds a search.

    AFREL_ARGILLA_PYTHON=…/bin/python python benchmarks/argilla.py [--records 2000] [--rounds 5]
                                       [--indexed 50000] [--times 30] [--phases bridge,index] [--json FILE]

Phases:
  bridge  a real Argilla server on our search index, with no webhook. Each round, on a store and a dataset of its own:
          push candidates with a suggested grade and rationale to a dataset of four questions, push again; one person
          answers them all; pull, pull again, and pull after one in a hundred was edited
  index   the questions of `benchmarks/argilla_search.py`, without the server
A rate is the median of the rounds (least–most) by the clock. Beside it stands what a thousand cost in processor seconds
of the server and of the bridge with the store inside it, which other work on the machine hardly changes.

Exits 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import argilla_search  # noqa: E402
from benchmarks.latency import Cost, Report, machine, machine_line  # noqa: E402
from review_app.argilla_bridge.api import ArgillaApi  # noqa: E402
from review_app.argilla_bridge.pull import pull  # noqa: E402
from review_app.argilla_bridge.push import look, push  # noqa: E402
from review_app.argilla_bridge.target import Target  # noqa: E402
from storage.clock import now  # noqa: E402
from storage.people.accounts import Pin, Role  # noqa: E402
from storage.store import Store  # noqa: E402
from tests.review_app.argilla_bridge.running import PYTHON, Server, argilla_server  # noqa: E402

PHASES = ("bridge", "index")
KEY_VARIABLE = "AFREL_BENCHMARK_ARGILLA_KEY"
PINS = {"ana": Pin("ana", Role.REVIEWER, "k", "p")}
LEAST_PUSHED, LEAST_PULLED = 100, 300  # a second, on two cores
WORDS = ("sofa", "red", "linen", "three-seater", "茶几", "oak", "with", "storage", "for", "small", "rooms", "grey")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one round: how many it moved, and what that took in seconds."""

    n: int
    seconds: float
    server_cpu: float
    bridge_cpu: float


def main() -> int:
    """Run the phases; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2000, help="pushed and pulled in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--indexed", type=int, default=50_000, help="records in the index")
    parser.add_argument("--times", type=int, default=30, help="how often each question is asked of the index")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    phases = given.phases.split(",")
    if set(phases) - set(PHASES):
        parser.error(f"phases are {', '.join(PHASES)}; not {sorted(set(phases) - set(PHASES))}")
    if "bridge" in phases and PYTHON is None:
        parser.error(
            "AFREL_ARGILLA_PYTHON must name the python of an environment with argilla-server 2.8 and fakeredis"
        )
    report = Report("argilla")
    with tempfile.TemporaryDirectory(prefix="argilla-bench-") as scratch:
        report.figures["machine"] = machine(Path(scratch))
        report.say(machine_line(report.figures["machine"]))
        if "bridge" in phases:
            measure_bridge(Path(scratch) / "bridge", given.records, given.rounds, report)
        if "index" in phases:
            argilla_search.measure(Path(scratch) / "index", given.indexed, given.times, report)
    report.say(f"\nmissed: {', '.join(report.missed) or 'nothing'}")
    report.write(given.json)
    return 1 if report.missed else 0


def measure_bridge(folder: Path, n_records: int, n_rounds: int, report: Report) -> None:
    """Push, answer and pull in each round; report the medians."""
    folder.mkdir()
    os.environ[KEY_VARIABLE] = ("root" * 80)[:80]
    steps: dict[str, list[Step]] = defaultdict(list)
    with argilla_server(folder) as server:
        for at in range(n_rounds):
            (folder / f"store{at}").mkdir()
            with Store.embedded(folder / f"store{at}", sees_test=True) as store:
                fill(store, n_records)
                _round(store, server, f"round{at}", steps)
    report.say(f"\nbridge: {n_rounds} rounds of {n_records:,} records; median (least–most)")
    for name, taken in steps.items():
        report.say(f"  {name}: {_told(taken)}")
        report.put(name, steps=[asdict(one) for one in taken])
    for name, target in (("push", LEAST_PUSHED), ("full pull", LEAST_PULLED)):
        rate = median(one.n / one.seconds for one in steps[name])
        report.hold(name, rate, target=target, at_most=False, unit="records/s" if name == "push" else "responses/s")


def fill(store: Store, n_records: int) -> None:
    """Add candidates that wait for one answer each, with texts of some 450 characters."""
    stamp = {"run_id": "run_1", "created_at": now()}
    made = {"source": "bench", **stamp}
    names = enumerate(("bad", "fair", "good", "top"))
    steps = '[["intent", "a sofa for a small room"], ["verdict", "substantially what was asked for"]]'
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows["grades"] = [
        {"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": stamp["created_at"]} for n, name in names
    ]
    rows["queries"] = [{"query_id": "q_1", "text": "sofa 茶几", "root_query_id": "q_1", "split": "train", **made}]
    for n in range(n_records):
        body = " ".join(WORDS[(n + at * (1 + n % 7)) % len(WORDS)] for at in range(75))
        doc = {"doc_id": f"d_{n}", "title": f"Sofa {n}", "body": body, "fields": '{"brand": "Nest"}', **made}
        pair = {"pair_id": f"p_{n:016x}", "query_id": "q_1", "doc_id": f"d_{n}", "split": "train", "origin": "import"}
        candidate = {"candidate_id": f"c_{n}", "pair_id": pair["pair_id"], "grade": n % 4, "steps": steps, **stamp}
        own = {"rule_ids": [f"r_{n % 30}"], "confidence": 0.5 + n % 50 / 100, "proposer": "lexical"}
        passed = {"screening_id": f"s_{n}", "candidate_id": f"c_{n}", "screen": "all", "is_passed": True, "reason": ""}
        for table, row in (
            ("docs", doc),
            ("pairs", {**pair, **made}),
            ("candidates", {**candidate, **own}),
            ("screenings", {**passed, **stamp}),
        ):
            rows[table].append(row)
    store.append(rows)


def _round(store: Store, server: Server, dataset: str, steps: dict[str, list[Step]]) -> None:
    target = Target(server.url, "review", KEY_VARIABLE, dataset)

    def tell(*_: object) -> None:
        return

    def send(api: ArgillaApi) -> int:
        return push(store, api, target, look(store, api, target, tell), tell).n_sent

    def take(api: ArgillaApi) -> int:
        return pull(store, api, target, PINS, tell, account="cleo").n_new

    with ArgillaApi(target) as api:
        steps["push"].append(_measured(server, lambda: send(api)))
        steps["push again"].append(_measured(server, lambda: send(api)))
        ((name, records),) = server.records(dataset).items()
        ids = [one["external_id"] for one in records]
        server.answer_many("ana", server.datasets(dataset)[name], ids, "1")
        steps["full pull"].append(_measured(server, lambda: take(api)))
        steps["pull again"].append(_measured(server, lambda: take(api)))
        edited = records[:: min(100, len(records))]
        for one in edited:
            server.answer("ana", one["id"], grade="3")
        steps["pull of edits"].append(_measured(server, lambda: take(api)))
    moved = [steps[name][-1].n for name in ("push", "push again", "full pull", "pull again", "pull of edits")]
    if moved != [len(ids), 0, len(ids), 0, len(edited)]:
        raise RuntimeError(f"of {len(ids)} records and {len(edited)} edits were moved: {moved}")


def _measured(server: Server, act: Callable[[], int]) -> Step:
    """Do something that returns how many it moved."""
    before, own = Cost.of(server.pid).cpu_seconds, _own_seconds()
    started = time.perf_counter()
    n = act()
    took = time.perf_counter() - started
    return Step(n, took, Cost.of(server.pid).cpu_seconds - before, _own_seconds() - own)


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _told(taken: list[Step]) -> str:
    seconds = sorted(one.seconds for one in taken)
    n = taken[0].n
    rates = sorted(one.n / one.seconds for one in taken)
    moved = f"{n:,} at {median(rates):,.0f}/s ({rates[0]:,.0f}–{rates[-1]:,.0f}), " if n else "0, "
    server, bridge = median(one.server_cpu for one in taken), median(one.bridge_cpu for one in taken)
    share = 1000 / n if n > 100 else 1
    per = "a thousand cost" if n > 100 else "it cost"
    return (
        f"{moved}{median(seconds):.2f} s ({seconds[0]:.2f}–{seconds[-1]:.2f}); {per} {server * share:.2f} processor "
        f"seconds of the server, {bridge * share:.2f} of the bridge"
    )


if __name__ == "__main__":
    sys.exit(main())
