"""A workspace of millions: how fast it takes rows in, answers a curator, cuts and verifies; and with how much memory.

    python benchmarks/store_scale.py [--seeded DIR | --keep DIR] [--candidates 5000000] [--phases …] [--json FILE]

Phases, in this order, on a copy of the seeded workspace:
  ingest     rows/s of the appends that seeded it, by table, and what it takes on disk
  claim      a claim of one candidate, the first after a start and then 50
  snapshot   the tier relation of all judged pairs, `write_snapshot`, `verify_snapshot`, three times; then the verbs
             `afrel snapshot` and `afrel verify`, which also fill tier_members
  why        `curation.lineage.why` of 50 judged candidates: one source, rules, call, people and snapshot each
  publish    the whole published copy, which paces itself at a quarter of a core
  questions  see benchmarks.scale.questions: over the published copy, and by DuckDB and Polars over Parquet files

`--keep DIR` keeps what is seeded here, for `--seeded DIR` of this benchmark and of benchmarks/store.py. Rates of
ingest are those noted when the folder was seeded. Peak memory is of each process by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import MIB, Cost, Latency, Report, machine, machine_line  # noqa: E402
from benchmarks.load.seed import (  # noqa: E402
    Filled,
    prepare,
    remove,
    running_store,
    seed,
    seeded_tables,
    seeding_peak_mib,
    store_pids,
)
from benchmarks.scale.compare import compare, in_child, spread  # noqa: E402
from benchmarks.scale.questions import GENEROUS_MB  # noqa: E402
from benchmarks.scale.rows import fill_up, n_repeated  # noqa: E402
from benchmarks.scale.snapshot import CURATOR  # noqa: E402
from benchmarks.store_rows import AT, Sizes, ids  # noqa: E402
from curation.lineage import why  # noqa: E402
from storage.people.keys import create_key  # noqa: E402
from storage.rows import AccountRow, RunRow  # noqa: E402
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

PHASES = ("ingest", "claim", "snapshot", "why", "publish", "questions")
N_REPEATS = 3
N_ACTS = 50
MIB_IN_6_GB = 6e9 / MIB


@dataclass(slots=True)
class Bench:
    """The workspace, where to write, and the peak MiB of every process of ours so far."""

    workspace: Workspace
    sizes: Sizes
    out: Path
    report: Report
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.workspace.root

    def note_peak(self, process: str, mib: float) -> None:
        """Remember the most a kind of process took."""
        self.peaks[process] = max(self.peaks.get(process, 0.0), mib)


def main() -> int:
    """Run the phases; 1 when two ways of asking gave different answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--seeded", type=Path, help="a folder seeded before; it is copied")
    source.add_argument("--keep", type=Path, help="seed this new folder, then work on a copy of it")
    parser.add_argument("--candidates", type=int, default=Sizes().n_candidates)
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-scale")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    phases = given.phases.split(",")
    if set(phases) - set(PHASES):
        parser.error(f"phases are {', '.join(PHASES)}; not {sorted(set(phases) - set(PHASES))}")
    if given.keep is not None and given.keep.exists():
        parser.error(f"{given.keep} is there already; use it: --seeded {given.keep}")
    out: Path = given.out.resolve()
    remove(out)
    out.mkdir(parents=True)
    report = Report("store_scale")
    report.figures["machine"] = machine(out)
    report.say(machine_line(report.figures["machine"]))
    seeded: Path | None = given.seeded
    if given.keep is not None:
        seeded = given.keep.resolve()
        seed(seeded, Sizes.of(given.candidates))
    workspace, sizes = prepare(out / "workspace", seeded=seeded, n_candidates=given.candidates)
    bench = Bench(workspace, sizes, out, report)
    report.put("sizes", **asdict(sizes))
    report.say(
        f"\nn: {sizes.n_candidates:,} candidates on as many pairs of {sizes.n_queries:,} queries and {sizes.n_docs:,} "
        f"docs, {sizes.n_responses:,} responses, {sizes.n_judgments:,} judgments, {sizes.n_votes:,} rule votes"
    )
    try:
        is_sound = _measure(bench, phases)
    finally:  # what was measured before something broke took long
        report.say(f"\nmissed: {', '.join(report.missed) or 'nothing'}")
        report.write(given.json)
    remove(out)
    return 0 if is_sound else 1


def _measure(bench: Bench, phases: Sequence[str]) -> bool:
    """Run the phases in their order; say whether all ways of asking gave the same answers."""
    is_sound = True
    if "ingest" in phases:
        _ingest(bench, seeded_tables(bench.root))
    if set(phases) & {"claim", "snapshot", "why", "publish", "questions"}:
        with running_store(bench.root), Store.connect(bench.workspace, sees_test=True) as store:
            _serve(bench, store, phases)
    if "questions" in phases:
        copy, n = bench.root / "published.duckdb", n_repeated(bench.sizes)
        is_sound, peak = compare(bench.report, copy, bench.out / "files", n_repeated=n, n_repeats=N_REPEATS)
        bench.note_peak("console", peak)
    _memory(bench)
    return is_sound


def _ingest(bench: Bench, filled: Mapping[str, Filled]) -> None:
    """Print what seeding noted, and the workspace's size on disk before anything is added."""
    report = bench.report
    report.say("\ningest: rows/s within the appends, Parquet hand-over written by the client, statuses maintained")
    if not filled:
        report.say("  nothing is noted in this folder; seed it anew: --keep DIR")
    for table, one in filled.items():
        size = one.n_bytes / max(1, one.n_rows)
        how = f"{one.n_rows:,} rows of {size:.0f} B, {one.n_handed_over} of {one.n_appends} appends as a file"
        report.say(f"  {table}: {one.rows_per_second:,.0f} rows/s ({how}, {one.seconds:.1f} s)")
    if "candidates" in filled:
        bench.note_peak("store process, seeding", seeding_peak_mib(bench.root))
        rate = filled["candidates"].rows_per_second
        report.hold("ingest candidates", rate, target=30_000, at_most=False, unit="rows/s")
    sizes = {
        "afrel.duckdb": (bench.root / "afrel.duckdb").stat().st_size / MIB,
        "index": _folder_mib(bench.root / "index"),
        "all": _folder_mib(bench.root),
    }
    report.say("  on disk: " + ", ".join(f"{what} {mib:,.0f} MiB" for what, mib in sizes.items()))
    report.put("ingest", tables={t: {**asdict(f), "rows_per_second": f.rows_per_second} for t, f in filled.items()})
    report.put("disk_mib", **sizes)


def _serve(bench: Bench, store: Store, phases: Sequence[str]) -> None:
    """What needs the store process: it runs until the block of the caller ends."""
    (pid,) = store_pids(bench.root)
    if "claim" in phases:
        _claim(bench, store)
    if set(phases) & {"snapshot", "why", "publish", "questions"}:
        began = time.monotonic()
        more = fill_up(store, bench.sizes)
        told = ", ".join(f"{one.n_rows:,} {table}" for table, one in more.items())
        bench.report.say(f"\nadded for what follows: {told} ({time.monotonic() - began:.0f} s)")
    if set(phases) & {"snapshot", "why", "questions"}:  # which ask for tiers
        try:
            _snapshot(bench, store)
        except RuntimeError as error:  # what a verb cannot do at this size is a finding; the rest is measured still
            bench.report.say(f"  FAILED  {error}")
            bench.report.missed.append("snapshot verbs")
    if "why" in phases:
        _why(bench, store)
    if set(phases) & {"publish", "questions"}:
        _publish(bench, store, pid)
    bench.note_peak("store process", Cost.of(pid).peak_mib)


def _claim(bench: Bench, store: Store) -> None:
    taken = []
    for number in range(N_ACTS + 1):
        began = time.monotonic()
        given = store.claim(f"reviewer{number % bench.sizes.n_accounts + 1:02d}", 1)
        taken.append(time.monotonic() - began)
        if given.num_rows != 1:
            raise ValueError(f"claim {number} gave {given.num_rows} candidates")
    latency = Latency.of(taken[1:])
    bench.report.say(
        f"\nclaim: the first {taken[0] * 1000:.0f} ms (the store process had just started); then {latency}"
    )
    bench.report.hold("claim p95", latency.p95, target=1000, at_most=True, unit="ms")
    bench.report.put("claim", first_ms=taken[0] * 1000, latency=asdict(latency))


def _snapshot(bench: Bench, store: Store) -> None:
    """Time the functions behind the verbs, then the verbs."""
    report, home = bench.report, bench.out / "home"
    home.mkdir()
    password = home / "password"
    password.write_text("a password of the bench", encoding="utf-8")
    password.chmod(0o600)
    public_key = create_key(home, CURATOR, password.read_text(encoding="utf-8"))
    curator = AccountRow(
        account_event_id=f"a_{'c' * 16}",
        account=CURATOR,
        role="curator",
        public_key=public_key,
        pseudonym="person_cc",
        created_at=AT,
    )
    store.append({"accounts": [curator]})
    words = [str(bench.root), str(bench.out / "cuts"), str(home), str(N_REPEATS)]
    found = in_child("benchmarks.scale.snapshot", words)
    bench.note_peak("cutting, step by step", found["peak_mib"])
    n, row_mb, file_mb = found["n_rows"], found["n_row_bytes"] / 1e6, found["n_file_bytes"] / 1e6
    left = ", ".join(f"{count:,} {reason}" for reason, count in found["left_out"].items())
    tiers = ", ".join(f"{rows:,} in tier {tier}" for tier, rows in found["tiers"].items())
    report.say(f"\nsnapshot: {n:,} rows of {found['n_judged']:,} settled pairs ({tiers}; left out: {left})")
    report.say(f"  their texts are {row_mb:,.0f} MB, {file_mb:,.0f} MB as the snapshot's files")
    reads = sum(found["reads"].values())
    longest = ", ".join(
        f"{name} {s:.1f} s" for name, s in sorted(found["reads"].items(), key=lambda kept: -kept[1])[:4]
    )
    report.say(
        f"  the tier relation: {found['relation_seconds']:.1f} s, of which named reads {reads:.1f} s ({longest}), peak "
        f"{found['relation_mib']:,.0f} MiB; giving tiers {found['assign_seconds']:.1f} s, looking for leaks "
        f"{found['leak_seconds']:.1f} s"
    )
    report.say(f"  write_snapshot: {spread(found['written'])}; verify_snapshot: {spread(found['verified'])}")
    writing, verifying = median(found["written"]), median(found["verified"])
    report.hold("snapshot", n / writing, target=40_000, at_most=False, unit="rows/s")
    report.hold("verify, bytes of texts", row_mb / verifying, target=300, at_most=False, unit="MB/s")
    report.say(f"  verify: {file_mb / verifying:,.0f} MB/s of files, {n / verifying:,.0f} rows/s")
    taken = {}
    for verb in (["--as", CURATOR, "snapshot", "--json"], ["verify", "--json"]):
        name = f"afrel {verb[-2]}"
        taken[name], mib = _verb(bench, verb, home)
        bench.note_peak(name, mib)
        report.say(f"  {name}: {taken[name]:.1f} s, {n / taken[name]:,.0f} rows/s, peak {mib:,.0f} MiB")
    report.put("snapshot", **found, verbs=taken)


def _why(bench: Bench, store: Store) -> None:
    rng = random.Random(3)
    numbers = [rng.randrange(bench.sizes.n_judgments) for _ in range(N_ACTS)]
    taken, kinds = _ask_why(store, [ids("c", [number])[0].as_py() for number in numbers])
    bench.report.say(f"\nwhy of a candidate: {taken}; links of the kinds {', '.join(sorted(kinds))}")
    bench.report.hold("why of a candidate, p95", taken.p95, target=200, at_most=True, unit="ms")
    bench.report.put("why", latency=asdict(taken), kinds=sorted(kinds))
    snapshot_ids = store.read("snapshots").column("snapshot_id").to_pylist()
    if not snapshot_ids:
        return
    taken, kinds = _ask_why(store, _predict(store, snapshot_ids[-1], numbers))
    bench.report.say(f"why of a prediction: {taken}; links of the kinds {', '.join(sorted(kinds))}")
    bench.report.hold("why of a prediction, p95", taken.p95, target=200, at_most=True, unit="ms")
    bench.report.put("why of a prediction", latency=asdict(taken), kinds=sorted(kinds))


def _ask_why(store: Store, asked: Sequence[str]) -> tuple[Latency, set[str]]:
    """Ask why of each id; return how long it took, without the first, and the kinds of links that were told."""
    taken, kinds = [], set()
    for one in asked:
        began = time.monotonic()
        links = why(store, one)
        taken.append(time.monotonic() - began)
        kinds |= {link.kind for link in links}
    return Latency.of(taken[1:]), kinds


def _predict(store: Store, snapshot_id: str, numbers: Sequence[int]) -> list[str]:
    """Store a training run on a snapshot and a prediction of it for each of some pairs; return the predictions' ids."""
    trained, scored = "run_trained", "run_scored"
    config = json.dumps({"snapshot_id": snapshot_id, "tiers": [1, 2, 3]})
    store.append(
        {
            "runs": [
                RunRow(run_id=run_id, verb=verb, status="finished", config=config, code_version="0", started_at=AT)
                for run_id, verb in ((trained, "train"), (scored, "evaluate"))
            ],
            "predictions": [
                {
                    "prediction_id": f"pr_{number:016x}",
                    "pair_id": ids("p", [number])[0].as_py(),
                    "train_run_id": trained,
                    "grade": 1,
                    "probabilities": [0.1, 0.6, 0.2, 0.1],
                    "run_id": scored,
                    "created_at": AT,
                }
                for number in dict.fromkeys(numbers)
            ],
        }
    )
    return [f"pr_{number:016x}" for number in numbers]


def _publish(bench: Bench, store: Store, pid: int) -> None:
    before, began = Cost.of(pid), time.monotonic()
    copy = store.publish()
    seconds = time.monotonic() - began
    cpu = Cost.of(pid).cpu_seconds - before.cpu_seconds
    mib = copy.stat().st_size / MIB
    bench.report.say(
        f"\npublish: the whole copy in {seconds:.1f} s with {cpu:.1f} CPU s ({cpu / seconds:.2f} of a core), "
        f"{mib:,.0f} MiB"
    )
    bench.report.put("publish", seconds=seconds, cpu_seconds=cpu, mib=mib)


def _memory(bench: Bench) -> None:
    bench.note_peak("this process", Cost.of(os.getpid()).peak_mib)
    bench.report.say(f"\npeak memory (the console was allowed {GENEROUS_MB} MB of DuckDB's):")
    for process, mib in bench.peaks.items():
        bench.report.say(f"  {process}: {mib:,.0f} MiB")
    bench.report.hold("peak memory", max(bench.peaks.values()), target=MIB_IN_6_GB, at_most=True, unit="MiB")
    bench.report.put("peaks_mib", **bench.peaks)


def _verb(bench: Bench, words: Sequence[str], home: Path) -> tuple[float, float]:
    """Run an afrel verb; return its seconds and peak MiB."""
    environment = {**os.environ, "AFREL_HOME": str(home), "AFREL_PASSWORD_FILE": str(home / "password")}
    began, peak = time.monotonic(), 0.0
    with open(bench.out / "verb.log", "wb") as log:
        command = [sys.executable, "-m", "afrel", "-w", str(bench.root), *words]
        verb = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while verb.poll() is None:
            peak = max(peak, _peak_of(verb.pid))
            time.sleep(0.02)
    if verb.returncode:
        said = (bench.out / "verb.log").read_text(encoding="utf-8")
        raise RuntimeError(f"afrel {' '.join(words)} ended with {verb.returncode}: {said[-2000:]}")
    return time.monotonic() - began, peak


def _peak_of(pid: int) -> float:
    try:
        return Cost.of(pid).peak_mib
    except (OSError, IndexError):  # it has just ended
        return 0.0


def _folder_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


if __name__ == "__main__":
    sys.exit(main())
