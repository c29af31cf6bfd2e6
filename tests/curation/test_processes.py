"""Work in several processes: the same answers in the same order, errors passed on, nobody left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from curation.processes import Processes
from tests.conftest import ROOT


def test_small_work_is_done_here_one_piece_at_a_time() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    with Processes(2, alone_seconds=60) as processes:
        done = processes.map(lambda number: (number, os.getpid()), pieces())
        assert next(done) == (0, os.getpid()) and taken == [0]
        assert list(done) == [(1, os.getpid()), (2, os.getpid())]


MAPS = """
from curation.processes import Processes

if __name__ == "__main__":
    with Processes(2, alone_seconds=0) as processes:
        print(*processes.map(abs, range(-20, 0)))
        list(processes.map(chr, [65, -1]))
"""


def test_long_work_is_done_elsewhere_in_order_and_a_mistake_in_it_is_told(tmp_path: Path) -> None:
    # a program of its own, as a verb is: whoever runs the tests may be none that processes can be started from
    (tmp_path / "maps.py").write_text(MAPS)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, tmp_path / "maps.py"], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(number) for number in range(20, 0, -1)]
    assert done.returncode == 1 and "ValueError: chr()" in done.stderr


STARTS_AND_WAITS = """
import os, sys, time
from curation.processes import Processes

if __name__ == "__main__":
    with Processes(2, alone_seconds=0) as processes:
        list(processes.map(abs, range(4)))
        print(*processes._executor._processes, flush=True)
        time.sleep(60)
"""


def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS_AND_WAITS)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, tmp_path / "starts.py"], env=env, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        children = [int(pid) for pid in one.stdout.readline().split()]
        one.kill()
    assert len(children) == 2
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(_is_alive(pid) for pid in children):
        time.sleep(0.05)
    assert [pid for pid in children if _is_alive(pid)] == []


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
