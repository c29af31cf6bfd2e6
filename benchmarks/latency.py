"""What benchmarks measure and print alike: latencies, what a process costs, the disk, the machine, a report.

Latencies are kept as they are and summed up at the end, so that measuring costs a measured process one clock call.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of n acts."""

    n: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float] | npt.NDArray[np.float64]) -> Latency:
        """Sum up durations in seconds; zeros for none."""
        taken = np.asarray(seconds, np.float64) * 1000
        if not len(taken):
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = np.percentile(taken, [50, 95, 99])
        return cls(len(taken), float(p50), float(p95), float(p99), float(taken.max()))

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.1f}, p95 {self.p95:.1f}, p99 {self.p99:.1f}, longest {self.longest:.0f} ms (n {self.n:,})"
        )


def longest_gap(moments: Sequence[npt.NDArray[np.float64]], began: float, ended: float) -> float:
    """Return the longest stretch in seconds without any of these moments, within the time measured."""
    all_moments = np.sort(np.concatenate([*moments, [began, ended]]))
    return float(np.diff(all_moments[(all_moments >= began) & (all_moments <= ended)]).max())


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the machine is just now, the best of five: rented cores differ twofold from one day to the next."""

    sha256_mb_per_second: float  # one thread
    loop_ms: float  # a million additions of the interpreter
    random_reads_per_us: float  # of a table of 256 MiB, far larger than the caches

    @classmethod
    def measured(cls) -> Speed:
        """Measure it, in about two seconds."""
        block = bytes(32 * MIB)
        table = np.arange(32 * MIB, dtype=np.int64)
        places = np.random.default_rng(0).integers(0, len(table), 1_000_000)
        acts = (lambda: hashlib.sha256(block), lambda: _add_up(1_000_000), lambda: np.take(table, places))
        hashing, looping, reading = (min(_seconds(act) for _ in range(5)) for act in acts)
        return cls(len(block) / 1e6 / hashing, looping * 1000, len(places) / 1e6 / reading)

    def __str__(self) -> str:
        return (
            f"SHA-256 {self.sha256_mb_per_second:,.0f} MB/s, a million additions in Python {self.loop_ms:.0f} ms, "
            f"{self.random_reads_per_us:.0f} random reads a us"
        )


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _add_up(n: int) -> int:
    total = 0
    for number in range(n):
        total += number
    return total


def machine(folder: Path) -> dict[str, Any]:
    """Return cores, processor, memory, how fast they are and the fsync latency of the disk a folder is on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model,
        "memory_gib": round(gib, 1),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "speed": asdict(Speed.measured()),
        "fsync": asdict(fsync_latency(folder)),
    }


def machine_line(found: dict[str, Any]) -> str:
    """Return the machine as one line."""
    fsync = Latency(**found["fsync"])
    return (
        f"{found['cores']} cores of {found['processor']}, {found['memory_gib']} GiB, Python {found['python']}, load "
        f"{found['load_before']:.1f} before; {Speed(**found['speed'])}; disk: 75 kB and fdatasync {fsync}"
    )


def fsync_latency(folder: Path, *, n: int = 200, n_bytes: int = 75_000) -> Latency:
    """Append to a file and put it on disk, n times."""
    path = folder / f".fsync-{os.getpid()}"
    block, taken = os.urandom(n_bytes), []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(n):
            began = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return Latency.of(taken)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a process so far, its peak and present memory in MiB, and the bytes it has written."""

    cpu_seconds: float
    peak_mib: float
    now_mib: float
    written_mib: float

    @classmethod
    def of(cls, pid: int) -> Cost:
        """Read it from /proc; children are left aside."""
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        memory = {}
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(("VmHWM:", "VmRSS:")):
                memory[line[:5]] = int(line.split()[1]) / 1024
        written = 0
        for line in Path(f"/proc/{pid}/io").read_text(encoding="utf-8").splitlines():
            if line.startswith("write_bytes:"):
                written = int(line.split()[1])
        ticks = os.sysconf("SC_CLK_TCK")
        cpu = (int(fields[11]) + int(fields[12])) / ticks
        return cls(cpu, memory.get("VmHWM", 0.0), memory.get("VmRSS", 0.0), written / MIB)


class CheckpointWatch:
    """Counts the checkpoints of a workspace's database from outside: each time its log is cut or replaced.

    `sizes` has the largest log seen and the database's growth, in MiB.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.moments: list[float] = []
        self.largest_log_mib = 0.0
        self.grown_mib = 0.0

    def __enter__(self) -> CheckpointWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        database, log = self._root / "afrel.duckdb", self._root / "afrel.duckdb.wal"
        first, before = _size(database)[1], (0, 0)
        while not self._done.wait(0.02):
            inode, size = _size(log)
            if size < before[1] or (before[1] and inode != before[0]):
                self.moments.append(time.monotonic())
            before = (inode, size)
            self.largest_log_mib = max(self.largest_log_mib, size / MIB)
        self.grown_mib = (_size(database)[1] - first) / MIB


def _size(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_size


@dataclass(slots=True)
class Report:
    """What a benchmark says: lines as they come, figures for `--json`, and what missed its target."""

    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def put(self, name: str, /, **figures: Any) -> None:
        """Keep figures under a name."""
        self.figures[name] = figures

    def hold(self, what: str, value: float, *, target: float, at_most: bool, unit: str) -> None:
        """Print a figure beside its target and remember a miss."""
        is_met = value <= target if at_most else value >= target
        sign = "<=" if at_most else ">="
        self.say(f"  {'met   ' if is_met else 'MISSED'}  {what}: {value:,.1f} {unit} (target {sign} {target:,.0f})")
        self.figures.setdefault("targets", {})[what] = {"value": value, "target": target, "is_met": is_met}
        if not is_met:
            self.missed.append(what)

    def write(self, path: Path | None) -> None:
        """Write all figures as JSON when a path is given."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = {"benchmark": self.title, **self.figures, "missed": self.missed}
            path.write_text(json.dumps(whole, indent=1, default=str), encoding="utf-8")
            self.say(f"written: {path}")
