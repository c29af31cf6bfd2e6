"""argilla-server's own tests, run from its source package, against our search engine and under our cures.

    AFREL_ARGILLA_PYTHON=…/bin/python python benchmarks/argilla_server_tests.py [--sdist FILE] [--suites engine,server]
                                                                            [--keep DIR] [--json FILE]

Downloads the source package of argilla-server 2.8.0 (or takes FILE) and the tools its tests name into a folder that
goes at the end (or DIR, where both are found again), and changes nothing in it: `argilla_tests/pointed.py` is a plugin.
  engine  the tests of the search engines, pointed at ours
  server  all other tests with the cures of `quick_settings`, and what fails once more without them
Prints passed, failed and skipped. A failure is right where it is about something only Elasticsearch has, where it is
one of RIGHT below, or in the second suite where it fails without the cures as well. Exits 1 for any other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report  # noqa: E402
from tests.review_app.argilla_bridge.running import PYTHON  # noqa: E402

PACKAGE = "argilla-server==2.8.0"
# What its tests name (`[tool.pdm.dev-dependencies]`), with what those need; the rest is the server's own.
TOOLS = (
    "pytest==7.4.4",
    "iniconfig==2.0.0",
    "pluggy==1.5.0",
    "pytest-asyncio==0.21.2",
    "pytest-mock==3.14.0",
    "factory-boy==3.2.1",
    "Faker==33.1.0",
    "respx==0.21.1",
    "lupa==2.4",  # the scripts of fakeredis
)
SUITES = ("engine", "server")
LOOKED_INSIDE = "pointed.LookedInside"
_ALL = "tests/unit/search_engine/test_commons.py::TestBaseElasticAndOpenSearchEngine::"
_NO_NUMBER = "it gives an integer property texts, which Elasticsearch reads as numbers and the server refuses"
_WORDS = "the same ValueError in other words"
RIGHT = {
    **dict.fromkeys(
        (f"{_ALL}test_search_with_metadata_filter[filter{at}]" for at in ("3-2", "4-1", "5-6", "6-5", "11-1")),
        _NO_NUMBER,
    ),
    f"{_ALL}test_compute_metrics_for[textId-expected_metrics1]": _NO_NUMBER,
    f"{_ALL}test_compute_metrics_for[seq_float-expected_metrics2]": "it expects numbers rounded to 32 bits",
    f"{_ALL}test_similarity_search_with_incomplete_inputs": _WORDS,
    f"{_ALL}test_similarity_search_with_too_much_inputs": _WORDS,
    "tests/unit/search_engine/test_elastisearch.py::TestElasticSearchEngine::test_create_index_with_existing_index": (
        "it expects Elasticsearch's refusal; our index is made anew"
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test ended: passed, failed or skipped, and the last words of a failure."""

    outcome: str
    why: str


def main() -> int:
    """Run the suites; 1 when a failure is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdist", type=Path, help="the source package, downloaded before")
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--keep", type=Path, help="where package and tools are kept")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    suites = given.suites.split(",")
    if set(suites) - set(SUITES):
        parser.error(f"suites are {', '.join(SUITES)}; not {sorted(set(suites) - set(SUITES))}")
    if PYTHON is None:
        parser.error(
            "AFREL_ARGILLA_PYTHON must name the python of an environment with argilla-server 2.8 and fakeredis"
        )
    report = Report("argilla_server_tests")
    with tempfile.TemporaryDirectory(prefix="argilla-tests-") as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        source = fetch(folder, given.sdist)
        if "engine" in suites:
            found = run(folder, source, Path(scratch), ["tests/unit/search_engine"], has_cures=False)
            _tell_engine(found, report)
        if "server" in suites:
            rest = ["tests/unit", "--ignore", "tests/unit/search_engine"]
            cured = run(folder, source, Path(scratch), rest, has_cures=True)
            failed = sorted(test for test, one in cured.items() if one.outcome == "failed")
            plain = run(folder, source, Path(scratch), failed, has_cures=False) if failed else {}
            _tell_server(plain, cured, report)
    report.say(f"\nnot right: {', '.join(report.missed) or 'none'}")
    report.write(given.json)
    return 1 if report.missed else 0


def fetch(folder: Path, sdist: Path | None) -> Path:
    """Return the unpacked source package, with the tools of its tests beside it in `tools`."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "-q"]
    if not (folder / "tools").is_dir():
        subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "tools"), *TOOLS], check=True)
    if not list(folder.glob("argilla_server-*/tests")):
        if sdist is None:
            to = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
            subprocess.run([*pip, "download", *to, PACKAGE], check=True)
            (sdist,) = folder.glob("argilla_server-*.tar.gz")
        with tarfile.open(sdist) as packed:
            packed.extractall(folder, filter="data")
    (source,) = (found.parent for found in folder.glob("argilla_server-*/tests"))
    return source


def run(folder: Path, source: Path, scratch: Path, words: list[str], *, has_cures: bool) -> dict[str, Outcome]:
    """Run tests as they lie in the package; return each one's outcome."""
    home = Path(tempfile.mkdtemp(dir=scratch))
    outcomes = home / "outcomes.jsonl"
    told = {
        "ARGILLA_HOME_PATH": str(home),
        "ARGILLA_SEARCH_ENGINE": "elasticsearch",  # the name under which the tests of an engine run
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "AFREL_OUTCOMES": str(outcomes),
        "AFREL_WITH_CURES": "1" if has_cures else "",
        "PYTHONPATH": f"{folder / 'tools'}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["-p", "benchmarks.argilla_tests.pointed", "-p", "no:cacheprovider", "-q", "-o", "log_cli=false"]
    done = subprocess.run(
        [str(PYTHON), "-m", "pytest", *options, *words],
        cwd=source,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1) or not outcomes.exists():
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: dict[str, Outcome] = {}
    for line in outcomes.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if found.get(one["test"], Outcome("", "")).outcome != "failed":  # a test may pass and its end fail
            found[one["test"]] = Outcome(one["outcome"], one["why"])
    return found


def _tell_engine(found: dict[str, Outcome], report: Report) -> None:
    failed = {test: one.why for test, one in found.items() if one.outcome == "failed"}
    inside = [test for test, why in failed.items() if LOOKED_INSIDE in why]
    reasons = Counter(RIGHT[test] for test in failed if test in RIGHT)
    report.say(f"engine: {_counts(found)}")
    report.say(f"  {len(inside):3} failed, for they look into Elasticsearch's own index from outside")
    for reason, n in reasons.most_common():
        report.say(f"  {n:3} failed: {reason}")
    _tell_wrong({test: why for test, why in failed.items() if test not in inside and test not in RIGHT}, report)
    report.put("engine", **Counter(one.outcome for one in found.values()), inside=len(inside), right=dict(reasons))


def _tell_server(plain: dict[str, Outcome], cured: dict[str, Outcome], report: Report) -> None:
    as_well = [test for test, one in plain.items() if one.outcome == "failed"]
    report.say(f"server, with the cures: {_counts(cured)}")
    report.say(f"  {len(as_well):3} failed, and fail without the cures as well")
    for test in as_well:
        report.say(f"       {test}: {plain[test].why[:120]}")
    failed = {test: one.why for test, one in cured.items() if one.outcome == "failed"}
    _tell_wrong({test: why for test, why in failed.items() if test not in as_well}, report)
    report.put("server", **Counter(one.outcome for one in cured.values()), as_well=len(as_well))


def _tell_wrong(wrong: dict[str, str], report: Report) -> None:
    for test, why in wrong.items():
        report.say(f"  WRONG  {test}: {why[:160]}")
    report.missed += wrong


def _counts(found: dict[str, Outcome]) -> str:
    counts = Counter(one.outcome for one in found.values())
    return f"{counts['passed']:,} passed, {counts['failed']:,} failed, {counts['skipped']:,} skipped of {len(found):,}"


if __name__ == "__main__":
    sys.exit(main())
