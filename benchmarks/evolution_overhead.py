"""What asking costs: requests a second and microseconds a request, beside a bare loop and two frameworks.

    python benchmarks/evolution_overhead.py [--minutes 11] [--seconds 0.01,0.2] [--in-flight 1,64,512] [--json FILE]

A local server (asyncio, a process of its own) answers every request after a fixed time. Asked by: a bare loop of
`AsyncOpenAI` with as many tasks as may be in flight, the same of aiohttp, our paid calls as `afrel label` makes them
(ledger, synced spool, checked replies), distilabel and bespokelabs-curator, each in a process of its own; aiohttp and
the frameworks in environments this script makes from PyPI before its time begins, with the versions below.

Every way is run once at every size, the ways taking turns, so that a slower minute of the machine is nobody's alone;
then again, the frameworks at most twice, as long as the minutes last: a run that would outlast them is not begun. A
rate is that of the requests past a first small run, so what a framework takes to start is not counted against it but
told beside it. Overhead is the time a request took over what the server makes it wait: in_flight / rate - reply time,
per request in flight; CPU is that of the asking process. How memory grows with a run: `overhead_memory.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.chat_server import served  # noqa: E402
from benchmarks.latency import Report, machine, machine_line  # noqa: E402

PINNED = {
    "aiohttp": ["aiohttp==3.14.5"],
    "distilabel": ["distilabel[openai]==1.5.3", "openai==1.109.1", "requests==2.34.2"],
    "curator": ["bespokelabs-curator==0.1.31"],
}
WAYS = {"openai": 5, "aiohttp": 5, "afrel": 5, "distilabel": 2, "curator": 2}  # and how often each is run at most
SECONDS_A_RUN = 4.0  # what a run should take at the rate the server allows
MOST_A_SECOND = 1000.0  # what two cores bear, about
MOST_SECONDS = 300  # of a run
LEAST, MOST = 24, 6_000  # requests a run


@dataclass(frozen=True, slots=True)
class Size:
    """How long a reply takes, and how many requests are out at a time."""

    seconds: float
    in_flight: int

    @property
    def n(self) -> int:
        """Requests of the large run."""
        rate = min(self.in_flight / self.seconds, MOST_A_SECOND)
        return int(min(MOST, max(LEAST, 4 * self.in_flight, SECONDS_A_RUN * rate)))


Runs = dict[Size, dict[str, list[dict[str, Any]]]]


def main() -> None:
    """Measure every way at every size."""
    given = _arguments()
    report = Report("evolution-overhead")
    ways = [way for way in WAYS if way not in given.without.split(",")]
    sizes = [Size(float(s), int(n)) for s in given.seconds.split(",") for n in given.in_flight.split(",")]
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        found = machine(Path(folder))
        report.put("machine", **found)
        report.say(machine_line(found))
        pythons = {way: _python_of(way, given.venvs, report) for way in ways}
        runs = _measure(pythons, sizes, Path(folder), until=time.monotonic() + 60 * given.minutes)
    for size in sizes:
        _tell(size, runs[size], report)
    if given.json:
        report.write(given.json)


def _measure(pythons: dict[str, str], sizes: list[Size], folder: Path, *, until: float) -> Runs:
    """Run every way at every size once, and again while there is time."""
    runs: Runs = {size: {way: [] for way in pythons} for size in sizes}
    took: dict[tuple[Size, str], float] = {}
    failed: set[tuple[Size, str]] = set()
    for number in range(max(WAYS.values())):
        for seconds in dict.fromkeys(size.seconds for size in sizes):
            with served(seconds) as url:
                for size, (way, python) in product(sizes, pythons.items()):
                    place, began = (size, way), time.monotonic()
                    is_due = size.seconds == seconds and number < WAYS[way] and place not in failed
                    if not is_due or began + took.get(place, 0.0) > until:
                        continue
                    told = _run(way, python, url, size.in_flight, min(2 * size.in_flight, size.n // 2), size.n, folder)
                    took[place] = time.monotonic() - began
                    if told is None:
                        failed.add(place)
                    else:
                        runs[size][way].append(told)
                    print(f"  {way} {size} {took[place]:.0f} s", file=sys.stderr, flush=True)
    return runs


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", default="0.01,0.2", help="how long a reply takes")
    parser.add_argument("--in-flight", default="1,64,512", help="requests at a time")
    parser.add_argument("--minutes", type=float, default=11.0, help="no run is begun that would outlast them")
    parser.add_argument("--without", default="", help="ways to leave out, separated by commas")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "overhead", help="environments")
    parser.add_argument("--dir", type=Path, help="where spools go meanwhile")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


def _python_of(way: str, venvs: Path, report: Report) -> str:
    """Return the Python a way runs in; make its environment where it is not made yet."""
    if way not in PINNED:
        return sys.executable
    python = venvs / way / "bin" / "python"
    if not python.exists():
        report.say(f"making {venvs / way} with {' '.join(PINNED[way])}")
        subprocess.run([sys.executable, "-m", "venv", str(venvs / way)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PINNED[way]], check=True)
    return str(python)


def _tell(size: Size, runs: dict[str, list[dict[str, Any]]], report: Report) -> None:
    seconds, in_flight = size.seconds, size.in_flight
    report.say(f"replies after {seconds * 1000:g} ms, {in_flight} in flight, {size.n:,} requests a run:")
    bare = [one["rate"] for one in runs.get("openai", [])]
    for way, finished in runs.items():
        if not finished:
            report.say(f"  {way:<11} did not get through")
            continue
        rates = sorted(one["rate"] for one in finished)
        rate = statistics.median(rates)
        overhead = 1e6 * (1 / rate - seconds / in_flight)
        cpu = statistics.median(one["cpu_us"] for one in finished)
        start = statistics.median(one["start"] for one in finished)
        beside = rate / statistics.median(bare) if bare else None
        report.put(
            f"{way} {seconds} {in_flight}",
            n=size.n,
            rates=rates,
            rate=rate,
            overhead_us=overhead,
            cpu_us=cpu,
            start_seconds=start,
            beside_openai=beside,
            peak_mib=max(one["peak_mib"] for one in finished),
        )
        share = "" if beside is None else f", {beside:.2f} of the bare loop"
        report.say(
            f"  {way:<11} {rate:8.1f} requests/s ({rates[0]:.1f} to {rates[-1]:.1f}, {len(rates)} runs), "
            f"{overhead:8.0f} µs over the server's time, {cpu:6.0f} µs CPU, start {start:.1f} s{share}"
        )


def _run(way: str, python: str, url: str, in_flight: int, few: int, many: int, folder: Path) -> dict[str, Any] | None:
    """Run a way once; None when it failed, which is told."""
    script = str(ROOT / "benchmarks" / "overhead_rivals.py")
    environment = {
        **os.environ,
        "BENCH_DIR": str(folder),
        "OPENAI_API_KEY": "none",
        "CURATOR_DISABLE_CACHE": "1",
        "CURATOR_CACHE_DIR": str(folder / "curator"),
        "TELEMETRY_ENABLED": "false",
        "HF_HUB_OFFLINE": "1",
        "TIKTOKEN_CACHE_DIR": str(_token_files(python)),  # it counts tokens, and would fetch how from the network
        "HF_HOME": str(folder / "hf"),
        "PYTHONPATH": str(ROOT) if way == "afrel" else "",
    }
    words = [python, script, way, url, str(in_flight), str(few), str(many)]
    try:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"  {way} took over {MOST_SECONDS} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"  {way} failed: {done.stderr.strip()[-2000:]}", file=sys.stderr)
        return None
    told = json.loads(done.stdout.strip().splitlines()[-1])
    small, large = told["few"], told["many"]
    n, took = large["n"] - small["n"], large["seconds"] - small["seconds"]
    rate = n / took if took > 0 else large["n"] / large["seconds"]
    return {
        "rate": rate,
        "cpu_us": 1e6 * (large["cpu_seconds"] - small["cpu_seconds"]) / n,
        "start": max(0.0, small["seconds"] - small["n"] / rate),
        "peak_mib": told["peak_mib"],
    }


def _token_files(python: str) -> Path:
    """Return where litellm, which curator brings, keeps the files of tiktoken's encodings."""
    site = Path(python).parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    return site / "litellm" / "litellm_core_utils" / "tokenizers"


if __name__ == "__main__":
    main()
