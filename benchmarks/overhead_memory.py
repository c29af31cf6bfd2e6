"""How much memory our paid calls hold as a run grows: the resident set at points of one long run.

    python benchmarks/overhead_memory.py [--requests 200000] [--seconds 0.01] [--in-flight 64] [--json FILE]

A local server (a process of its own) answers after so many seconds; the asking is that of `evolution_overhead.py`:
ledger, synced spool, checked replies. Of an answer nothing has to be kept but where on the spool it lies, sixteen
bytes; the slope of the resident set over the last three quarters, in bytes a request, says whether that is all.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.chat_server import served  # noqa: E402
from benchmarks.latency import MIB, Cost, Report, machine, machine_line  # noqa: E402
from benchmarks.overhead_rivals import ask_afrel  # noqa: E402

N_POINTS = 20


@dataclass
class Points:
    """The resident set of this process in MiB, each time so many replies more are there."""

    every: int
    began: float = field(default_factory=time.perf_counter)
    n: list[int] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    def note(self, n_replies: int) -> None:
        """Read the resident set where a point is due."""
        if n_replies % self.every:
            return
        self.n.append(n_replies)
        self.mib.append(Cost.of(os.getpid()).now_mib)
        rate = n_replies / (time.perf_counter() - self.began)
        print(f"  {n_replies:>9,} replies  {self.mib[-1]:7.1f} MiB  {rate:6.0f} a second", file=sys.stderr, flush=True)

    def bytes_a_request(self) -> float:
        """Return the slope of the resident set over the last three quarters, in bytes a request."""
        start = len(self.n) // 4
        slope, _ = np.polyfit(self.n[start:], self.mib[start:], 1)
        return float(slope) * MIB


def trimmed_mib() -> float:
    """Return the resident set once the C library has given back what it held free."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return Cost.of(os.getpid()).now_mib


def main() -> None:
    """Ask so many times, note the resident set meanwhile, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=0.01, help="how long a reply takes")
    parser.add_argument("--in-flight", type=int, default=64, help="requests at a time")
    parser.add_argument("--dir", type=Path, help="where the spool goes meanwhile")
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    report = Report("overhead-memory")
    with tempfile.TemporaryDirectory(dir=given.dir) as folder, served(given.seconds) as url:
        os.environ["BENCH_DIR"] = folder
        found = machine(Path(folder))
        report.put("machine", **found)
        report.say(machine_line(found))
        points = Points(max(1, given.requests // N_POINTS))
        n_good = ask_afrel(url, 0, given.requests, given.in_flight, points.note)
        took = time.perf_counter() - points.began
    after = trimmed_mib()
    if n_good != given.requests:
        sys.exit(f"{given.requests - n_good} of {given.requests} requests without a reply")
    slope = points.bytes_a_request()
    report.put(
        "memory",
        n=points.n,
        mib=points.mib,
        seconds=took,
        bytes_a_request=slope,
        cpu=time.process_time(),
        trimmed_mib=after,
    )
    report.say(
        f"{given.requests:,} requests in {took:.0f} s with {time.process_time():.0f} CPU s: resident "
        + ", ".join(
            f"{mib:.1f} MiB at {n:,}" for n, mib in zip(points.n, points.mib, strict=True) if _is_told(n, points)
        )
        + f"; {slope:+.1f} bytes a request over the last three quarters; {after:.1f} MiB after "
        "malloc_trim"
    )
    if given.json:
        report.write(given.json)


def _is_told(n: int, points: Points) -> bool:
    return n in {points.n[0], points.n[len(points.n) // 4], points.n[len(points.n) // 2], points.n[-1]}


if __name__ == "__main__":
    main()
