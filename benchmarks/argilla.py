"""How fast the bridge to Argilla is: `AFREL_ARGILLA_PYTHON=…/bin/python python benchmarks/argilla.py [--records 1000]`.

Starts a real Argilla server on our search engine, pushes candidates with two suggestions each to datasets of four
questions, pushes them again, has one person answer them all, pulls, pulls again, and pulls after twenty were edited.
Prints records or responses a second by the clock, and the processor seconds of server and bridge, which other work on
the machine does not change. Targets on two cores: push 100 records/s, pull 300 responses/s.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.pull import pull
from review_app.argilla_bridge.push import look, push
from review_app.argilla_bridge.target import Target
from storage.people.accounts import Pin, Role
from storage.store import Store
from tests.review_app.argilla_bridge.running import PYTHON, Server, argilla_server
from tests.review_app.review_rows import STAMP, add_pair

KEY_VARIABLE = "AFREL_BENCHMARK_ARGILLA_KEY"
PINS = {"ana": Pin("ana", Role.REVIEWER, "k", "p")}


def server_seconds(pid: int) -> float:
    """Return the processor time a process has used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(name: str, pid: int, do: Callable[[], Any], count: Callable[[Any], int]) -> None:
    """Print how long one step took."""
    before, own = server_seconds(pid), resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    n = count(do())
    took = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    bridge = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    print(
        f"{name:28} {n:7,} in {took:7.1f} s = {n / took:7.0f}/s; "
        f"processor: server {server_seconds(pid) - before:6.1f} s, bridge {bridge:5.1f} s"
    )


def main() -> None:
    """Push, answer, pull."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    n_records = parser.parse_args().records
    if PYTHON is None:
        sys.exit("AFREL_ARGILLA_PYTHON must name the python of an environment with argilla-server 2.8 and fakeredis")
    os.environ[KEY_VARIABLE] = ("root" * 80)[:80]
    with (
        tempfile.TemporaryDirectory() as folder,
        argilla_server(Path(folder)) as server,
        Store.embedded(_made(Path(folder) / "store"), sees_test=True) as store,
    ):
        names = enumerate(("bad", "fair", "good", "top"))
        made = STAMP["created_at"]
        grades = [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": made} for n, name in names]
        store.append({"grades": grades})
        for n in range(n_records):
            add_pair(store, n, confidence=0.6)
        _measure(store, server)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _measure(store: Store, server: Server) -> None:
    target = Target(server.url, "review", KEY_VARIABLE)

    def tell(*_: object) -> None:
        return

    with ArgillaApi(target) as api:
        send = lambda: push(store, api, target, look(store, api, target, tell), tell)  # noqa: E731
        take = lambda: pull(store, api, target, PINS, tell, account="cleo")  # noqa: E731
        pid = server.pid
        measured("push", pid, send, lambda done: int(done.n_sent))
        measured("push again, nothing to do", pid, send, lambda done: int(done.n_lying))
        ((name, records),) = server.records(target.dataset).items()
        ids = [one["external_id"] for one in records]
        server.answer_many("ana", server.datasets(target.dataset)[name], ids, "1")
        measured("full pull", pid, take, lambda done: int(done.n_new))
        measured("pull, no activity", pid, take, lambda done: int(done.n_new))
        for one in records[:: max(1, len(records) // 20)]:
            server.answer("ana", one["id"], grade="3")
        measured("pull of twenty edits", pid, take, lambda done: int(done.n_new))


if __name__ == "__main__":
    main()
