"""A spool keeps every record it acknowledged, through a kill, and is drained by nobody while its worker lives."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.spool import Spool, drain
from tests.conftest import ROOT


def test_what_was_appended_is_drained_in_order(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as spool:
        spool.append({"n": 1, "text": "杯\u2028\n"})
        spool.append({"n": 2})
    (drained,) = drain(tmp_path)
    assert drained.records == ({"n": 1, "text": "杯\u2028\n"}, {"n": 2})
    assert drained.n_torn == 0


def test_a_living_workers_spool_is_left_alone(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as spool:
        spool.append({"n": 1})
        assert list(drain(tmp_path)) == []
    assert len(list(drain(tmp_path))) == 1


def test_a_line_the_crash_cut_short_is_counted_and_the_rest_kept(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as spool:
        spool.append({"n": 1})
    with spool.path.open("ab") as file:
        file.write(b'{"n": 2, "text": "ha')
    (drained,) = drain(tmp_path)
    assert (drained.records, drained.n_torn) == (({"n": 1},), 1)


def test_draining_deletes_only_when_told(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as spool:
        spool.append({"n": 1})
    for drained in drain(tmp_path):
        assert spool.path.exists()
        drained.remove()
    assert list(tmp_path.iterdir()) == []


def test_two_workers_of_one_run_have_files_of_their_own(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as first, Spool(tmp_path, "w") as second:
        first.append({"n": 1})
        second.append({"n": 2})
    assert sorted(drained.records[0]["n"] for drained in drain(tmp_path)) == [1, 2]


def test_a_killed_worker_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    code = (
        "import sys, itertools\nfrom pathlib import Path\nfrom storage.spool import Spool\n"
        f"spool = Spool(Path({str(tmp_path)!r}), 'w')\n"
        "for n in itertools.count():\n    spool.append({'n': n})\n    print(n, flush=True)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert worker.stdout is not None
    for _ in range(20):
        worker.stdout.readline()
    os.kill(worker.pid, signal.SIGKILL)
    acknowledged = 20 + len(worker.stdout.read().split())
    worker.wait()
    (drained,) = drain(tmp_path)
    kept = [record["n"] for record in drained.records]
    assert kept == list(range(len(kept)))
    assert len(kept) >= acknowledged - 1  # the last number may have been cut in the pipe


def test_many_records_share_a_sync_and_each_is_found_again_at_its_place(tmp_path: Path) -> None:
    with Spool(tmp_path, "w") as spool:
        spool.note({"n": 0})
        records = [{"n": n, "text": "杯" * 10_000 * n} for n in range(1, 4)]
        places = spool.append_all(records)
        assert [spool.read_at(place) for place in reversed(places)] == list(reversed(records))
    (drained,) = drain(tmp_path)
    assert [record["n"] for record in drained.records] == [0, 1, 2, 3]


def test_a_write_that_fails_half_way_leaves_no_torn_line(tmp_path: Path) -> None:
    """A file may grow to thirty bytes only, as on a disk that is full; then there is room again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Spool(tmp_path, "w") as spool:
        spool.append({"n": 1})
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (30, before[1]))
            with pytest.raises(OSError, match="File too large"):
                spool.append({"n": 2, "text": "x" * 1000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        spool.append({"n": 3})
    (drained,) = drain(tmp_path)
    assert ([record["n"] for record in drained.records], drained.n_torn) == ([1, 3], 0)
