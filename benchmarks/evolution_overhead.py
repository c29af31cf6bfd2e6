"""What asking costs: requests a second and microseconds a request, beside a bare loop and two frameworks.

    python benchmarks/evolution_overhead.py [--seconds 0.01,0.2] [--in-flight 1,64,512] [--repeats 5] [--json FILE]

A local server (asyncio, a process of its own) answers every request after a fixed time. Asked by: a bare loop of
`AsyncOpenAI` with as many tasks as may be in flight, the same of aiohttp, our paid calls as `afrel label` makes them
(ledger, synced spool, checked replies), distilabel and bespokelabs-curator, each in a process of its own; aiohttp and
the frameworks in environments this script makes from PyPI, with the versions below. The ways take turns, so that a
slower hour of the machine is nobody's alone.

A rate is that of the requests past a first small run, so what a framework takes to start is not counted against it but
told beside it. Overhead is the time a request took over what the server makes it wait: in_flight / rate - reply time,
per request in flight; CPU is that of the asking process. `--memory N` asks N more by our paid calls alone and tells
how its peak memory differs from that of N / 10.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report, machine, machine_line  # noqa: E402

PINNED = {
    "aiohttp": ["aiohttp==3.14.5"],
    "distilabel": ["distilabel[openai]==1.5.3", "openai==1.109.1", "requests==2.34.2"],
    "curator": ["bespokelabs-curator==0.1.31"],
}
WAYS = ("openai", "aiohttp", "afrel", "distilabel", "curator")
SECONDS_A_RUN = 8.0  # what a run should take at the rate the server allows
MOST_A_SECOND = 1000.0  # what two cores bear, about
LEAST, MOST = 60, 12_000  # requests a run


def main() -> None:
    """Measure every way at every size."""
    given = _arguments()
    report = Report("evolution-overhead")
    ways = [way for way in WAYS if way not in given.without.split(",")]
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        found = machine(Path(folder))
        report.put("machine", **found)
        report.say(machine_line(found))
        pythons = {way: _python_of(way, given.venvs, report) for way in ways}
        for seconds in map(float, given.seconds.split(",")):
            with _server(seconds) as url:
                for in_flight in map(int, given.in_flight.split(",")):
                    _measure(pythons, url, seconds, in_flight, given.repeats, Path(folder), report)
        if given.memory:
            _measure_memory(given.memory, Path(folder), report)
    if given.json:
        report.write(given.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", default="0.01,0.2", help="how long a reply takes")
    parser.add_argument("--in-flight", default="1,64,512", help="requests at a time")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way at each size")
    parser.add_argument("--without", default="", help="ways to leave out, separated by commas")
    parser.add_argument("--memory", type=int, default=0, help="requests of the memory run; 0 leaves it out")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "overhead", help="environments")
    parser.add_argument("--dir", type=Path, help="where spools go meanwhile")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


@contextmanager
def _server(seconds: float) -> Iterator[str]:
    words = [sys.executable, "-m", "benchmarks.chat_server", "--seconds", str(seconds)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


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


def _measure(
    pythons: dict[str, str],
    url: str,
    seconds: float,
    in_flight: int,
    repeats: int,
    folder: Path,
    report: Report,
) -> None:
    n = int(min(MOST, max(LEAST, 4 * in_flight, SECONDS_A_RUN * min(in_flight / seconds, MOST_A_SECOND))))
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in pythons}
    for _ in range(repeats):
        for way, python in pythons.items():
            told = _run(way, python, url, in_flight, min(2 * in_flight, n // 2), n, folder)
            if told is not None:
                runs[way].append(told)
    report.say(f"replies after {seconds * 1000:g} ms, {in_flight} in flight, {n:,} requests, {repeats} runs each:")
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
            n=n,
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
            f"  {way:<11} {rate:8.1f} requests/s ({rates[0]:.1f} to {rates[-1]:.1f}), {overhead:8.0f} µs over the "
            f"server's time, {cpu:6.0f} µs CPU, start {start:.1f} s{share}"
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
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        print(f"  {way} took over 900 s", file=sys.stderr)
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


def _measure_memory(n: int, folder: Path, report: Report) -> None:
    """Tell how the peak memory of a run grows with its length."""
    peaks = {}
    with _server(0.01) as url:
        for size in (n // 10, n):
            words = [
                sys.executable,
                str(ROOT / "benchmarks" / "overhead_rivals.py"),
                "afrel",
                url,
                "64",
                "0",
                str(size),
            ]
            environment = {**os.environ, "BENCH_DIR": str(folder), "PYTHONPATH": str(ROOT)}
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            peaks[size] = json.loads(done.stdout.strip().splitlines()[-1])["peak_mib"]
    report.put("memory", **{str(size): peak for size, peak in peaks.items()})
    report.say(
        "peak memory of the asking process: " + ", ".join(f"{s:,} requests {p:.0f} MiB" for s, p in peaks.items())
    )


if __name__ == "__main__":
    main()
