"""The same questions asked in four ways, one after the other: are the answers the same, and how long does each take.

Ways take turns within each round, so that a machine that grows busier is so for all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.latency import MIB, Report  # noqa: E402
from benchmarks.scale.questions import CONSOLE_MB, CONSOLE_SECONDS, ENGINES, QUESTIONS  # noqa: E402


def compare(report: Report, copy: Path, files: Path, *, n_repeated: int, n_repeats: int) -> tuple[bool, float]:
    """Ask every question every way in turn, so many times.

    Return whether all answers were the same and as many duplicates found as were put in, and the console's peak MiB.
    """
    exported = in_child("benchmarks.scale.questions", ["export", "-", str(copy), str(files)])
    report.say(
        f"\nquestions: {exported['n_bytes'] / MIB:,.0f} MiB of Parquet files of the same rows written in "
        f"{exported['seconds']:.1f} s; each asking is a process of its own; median of {n_repeats} (least–most)"
    )
    starts = [_ask("console", "start", copy, files)["seconds"] for _ in range(2 * n_repeats)]
    start = median(starts[1:])  # the first one reads Python and DuckDB from disk
    report.say(f"  the console's fixed start, within its times below: {start:.2f} s")
    report.put("questions", start_seconds=start, export=exported)
    is_same, peak = True, 0.0
    for name, question in QUESTIONS.items():
        asked: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
        for _ in range(n_repeats):
            for engine in ENGINES:
                asked[engine].append(_ask(engine, name, copy, files))
        default = _ask("console-default", name, copy, files)
        peak = max(peak, *(one.get("peak_mib", 0.0) for one in asked["console"]))
        answers = {one.get("digest") or one["refused"] for tries in asked.values() for one in tries}
        is_same &= len(answers) == 1
        seconds = {engine: [one["seconds"] for one in tries] for engine, tries in asked.items()}
        _tell(report, name, asked, seconds, default, start=start, n_answers=len(answers))
        if question.target is not None:
            net = _past_start(asked["console"], start)
            report.hold(f"{name}, past the start", net, target=question.target, at_most=True, unit="s")
    n_found = report.figures["question exact duplicates"]["n_rows"]
    if n_found != n_repeated:
        report.say(f"\nexact duplicates: {n_found} sayings found, {n_repeated} were put in")
        is_same = False
    return is_same, peak


def _tell(
    report: Report,
    name: str,
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    seconds: Mapping[str, Sequence[float]],
    default: Mapping[str, Any],
    *,
    start: float,
    n_answers: int,
) -> None:
    """Print one question's times and ratios."""
    first = asked["console"][0]
    answer = f"{first['n_rows']:,} rows" if "n_rows" in first else "no answer"
    same = "all four ways the same" if n_answers == 1 else f"{n_answers} DIFFERENT answers"
    report.say(f"\n{name}: {answer}, {same}")
    net = _past_start(asked["console"], start)
    for engine in ENGINES:
        peak = max(one.get("peak_mib", 0.0) for one in asked[engine])
        ratio = (
            "" if engine == "console" else f"; the console past its start: {net / median(seconds[engine]):.1f} times"
        )
        report.say(f"  {engine:<8} {spread(seconds[engine])}, peak {peak:,.0f} MiB{ratio}")
        for refusal in sorted({one["refused"] for one in asked[engine] if "refused" in one}):
            report.say(f"           refused: {refusal}")
    told = f"refused: {default['refused']}" if "refused" in default else f"answered in {default['seconds']:.2f} s"
    report.say(f"  within `afrel sql`'s own {CONSOLE_SECONDS:.0f} s and {CONSOLE_MB} MB: {told}")
    report.put(
        f"question {name}",
        n_rows=first.get("n_rows"),
        seconds={engine: list(tries) for engine, tries in seconds.items()},
        console_past_start=net,
        peak_mib={engine: max(one.get("peak_mib", 0.0) for one in tries) for engine, tries in asked.items()},
        within_own_limits=default,
        n_answers=n_answers,
    )


def _past_start(tries: Sequence[Mapping[str, Any]], start: float) -> float:
    """Return the console's median seconds without its start; infinite when it gave no answer."""
    if any("refused" in one for one in tries):
        return float("inf")
    seconds = [float(one["seconds"]) for one in tries]
    return max(0.0, median(seconds) - start)


def spread(seconds: Sequence[float]) -> str:
    """Return the median with the least and the most."""
    return f"{median(seconds):.2f} s ({min(seconds):.2f}–{max(seconds):.2f})"


def _ask(engine: str, name: str, copy: Path, files: Path) -> dict[str, Any]:
    """Ask once; a way that fails, for want of memory say, is told of like one that refuses."""
    try:
        return in_child("benchmarks.scale.questions", [engine, name, str(copy), str(files)])
    except RuntimeError as error:
        return {"seconds": float("nan"), "refused": str(error).splitlines()[-1]}


def in_child(module: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a module of this benchmark in a process of its own; return the JSON it prints last."""
    done = subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
