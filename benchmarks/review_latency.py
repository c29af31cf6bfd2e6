"""The review app at a million candidates: the real app, the real store, a real Chromium; what a reviewer waits for.

    python benchmarks/review_latency.py [--seeded DIR | --keep DIR] [--candidates 1000000] [--minutes 10]
                                        [--phases paint,ack,pages,crowd] [--json FILE]

Phases, on a copy of the seeded workspace, served by `afrel serve` as a process of its own:
  paint   300 keys that bring the next card, typed 300 ms apart: from the key as the browser stamped it until the frame
          with the next card is painted; then 200 keys 50 ms apart, looked up in the store one by one
  ack     of the same acts, from being written to the browser's journal until the store's receipt is there
  pages   the first useful paint of every page of the navigation, the browser and the server warm
  crowd   one client alone; then a browser and 29 clients, a response a second each, while labels are written; the
          memory of the app and of the store process, as a line with its interval
Beside them stand the limits: the disk's fsync, a round trip to the route that does nothing, and a key on a page that
does nothing. "Painted" is when the page's own thread is done with the frame that shows the card (`review/probe.js`).
At the end the app and the store process leave, and every acknowledged act is looked up in the database.

Exits 1 when a target is missed. `--keep DIR` keeps what is seeded here, for `--seeded DIR`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Cost, Latency, Report, fsync_latency, machine, machine_line  # noqa: E402
from benchmarks.load.seed import prepare, remove, seed  # noqa: E402
from benchmarks.load.writers import busy_share, cpu_times  # noqa: E402
from benchmarks.review import books  # noqa: E402
from benchmarks.review.card import Card, Typed, key_floor, log_in, opened  # noqa: E402
from benchmarks.review.clients import Client, Sent  # noqa: E402
from benchmarks.review.crowd import Attended, Stage, work_together  # noqa: E402
from benchmarks.review.pages import not_built, visit_all  # noqa: E402
from benchmarks.review.shop import (  # noqa: E402
    PASSWORD,
    REVIEWERS,
    Served,
    look,
    make_ready,
    served,
    working_store,
)
from benchmarks.store_rows import Sizes  # noqa: E402
from storage.store import Store  # noqa: E402

PHASES = ("paint", "ack", "pages", "crowd")
N_CARDS, HUMAN_GAP = 300, 0.3
N_BURST, BURST_GAP = 200, 0.05
N_WARM_CARDS = 10
N_VISITS = 7
N_FLOOR = 100
FLOOR_GAP = 0.05
SMALL_WRITE = 4_096


@dataclass(slots=True)
class Kept:
    """What was acknowledged, for the books at the end."""

    typed: list[Sent] = field(default_factory=list)
    attended: Attended | None = None


def main() -> int:
    """Run the phases; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--seeded", type=Path, help="a folder seeded before; it is copied")
    source.add_argument("--keep", type=Path, help="seed this new folder, then work on a copy of it")
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the crowd")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-review")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    phases = given.phases.split(",")
    if set(phases) - set(PHASES):
        parser.error(f"phases are {', '.join(PHASES)}; not {sorted(set(phases) - set(PHASES))}")
    if given.keep is not None and given.keep.exists():
        parser.error(f"{given.keep} is there already; use it: --seeded {given.keep}")
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("no chromium is found on PATH")
    out: Path = given.out.resolve()
    remove(out)
    out.mkdir(parents=True)
    report = Report("review_latency", {"minutes": given.minutes})
    report.figures["machine"] = machine(out)
    report.say(machine_line(report.figures["machine"]))
    seeded: Path | None = given.seeded
    if given.keep is not None:
        seeded = given.keep.resolve()
        seed(seeded, Sizes.of(given.candidates))
    try:
        _measure(out, seeded, given.candidates, phases, given.minutes, chromium, report)
    except BaseException:
        report.missed.append("the end of the run")
        raise
    finally:  # what was measured before something broke took long
        report.say(f"\nmissed: {', '.join(report.missed) or 'nothing'}")
        report.write(given.json)
    remove(out)
    return 1 if report.missed else 0


def _measure(
    out: Path,
    seeded: Path | None,
    n_candidates: int,
    phases: Sequence[str],
    minutes: float,
    chromium: str,
    report: Report,
) -> None:
    workspace, sizes = prepare(out / "workspace", seeded=seeded, n_candidates=n_candidates)
    report.put("sizes", **asdict(sizes))
    report.say(f"\nn: {sizes.n_candidates:,} candidates, {sizes.n_responses:,} answers given before")
    found, kept = look(workspace.root), Kept()
    with working_store(workspace) as store:
        make_ready(store, out / "home", found)
        with (
            served(workspace, out / "home", out / "serve.log") as app,
            sync_playwright() as playwright,
            opened(playwright, chromium) as browser,
        ):
            stage = Stage(workspace, app, browser, sizes.n_candidates)
            _floors(stage, out, report)
            if {"paint", "ack"} & set(phases):
                _type(stage, store, phases, kept, report)
            if "pages" in phases:
                _pages(stage, report)
            if "crowd" in phases:
                kept.attended = work_together(stage, report, minutes=minutes)
    _logged(app, report)
    _check(workspace.root, kept, report)


def _floors(stage: Stage, out: Path, report: Report) -> None:
    """Measure what no app here could go below: the disk, a round trip over loopback, a key on an empty page."""
    client = Client(stage.served.port, REVIEWERS[0])
    client.log_in(PASSWORD)
    trips = []
    for _ in range(3 * N_FLOOR):
        began = time.perf_counter()
        client.get("/api/me")
        trips.append(time.perf_counter() - began)
    client.close()
    limits = {
        "4 kB and fdatasync": fsync_latency(out, n_bytes=SMALL_WRITE),
        "a round trip to /api/me": Latency.of(trips),
        "a key on an empty page": _of_ms(key_floor(stage.browser, n=N_FLOOR, gap=FLOOR_GAP)),
    }
    report.say("\nlimits:")
    for what, latency in limits.items():
        report.say(f"  {what}: {latency}")
    report.put("limits", **{what: asdict(latency) for what, latency in limits.items()})


def _type(stage: Stage, store: Store, phases: Sequence[str], kept: Kept, report: Report) -> None:
    """One reviewer in the browser, at a human pace and then as fast as nobody types."""
    account, rng = REVIEWERS[0], random.Random(5)
    context = log_in(stage.browser, stage.served.url, account, PASSWORD)
    card = Card(context, stage.served.url, account)
    warm = card.work(N_WARM_CARDS, gap=HUMAN_GAP, rng=rng)
    before, cpu = cpu_times(), Cost.of(stage.served.pid).cpu_seconds
    typed = card.work(N_CARDS, gap=HUMAN_GAP, rng=rng)
    share, cpu = busy_share(before, cpu_times()), Cost.of(stage.served.pid).cpu_seconds - cpu
    report.say(f"\none reviewer in the browser: machine {share['busy']:.0%} busy; the app took {cpu:.1f} CPU s")
    kept.typed += warm.sent + typed.sent
    if "paint" in phases:
        _tell_paint(typed, report)
    if "ack" in phases:
        acked = _of_ms(typed.acked)
        report.say(f"\nack: from the browser's journal to the store's receipt: {acked}")
        report.hold("submit to acknowledged p95", acked.p95, target=150, at_most=True, unit="ms")
        report.hold("acts never acknowledged", typed.n_not_acked, target=0, at_most=True, unit="")
        report.put("ack", latency=asdict(acked))
    if "paint" in phases:
        kept.typed += _burst(card, store, kept.typed[-1], rng, report)
    context.close()


def _tell_paint(typed: Typed, report: Report) -> None:
    painted, gaps = _of_ms(typed.painted), _of_ms(typed.gaps)
    slow = _of_ms(typed.timings)
    report.say(f"\npaint: {typed.n_keys} keys {gaps.p50:.0f} ms apart, {painted.n} of them brought another card")
    report.say(f"  key to card: {painted}")
    report.say(f"  the browser's own Event Timing of the {slow.n} keys that took 16 ms or more: {slow}")
    report.hold("key to next card p50", painted.p50, target=30, at_most=True, unit="ms")
    report.hold("key to next card p95", painted.p95, target=80, at_most=True, unit="ms")
    report.hold("cards", painted.n, target=N_CARDS, at_most=False, unit="")
    report.put("paint", latency=asdict(painted), event_timing=asdict(slow), n_keys=typed.n_keys)


def _burst(card: Card, store: Store, before: Sent, rng: random.Random, report: Report) -> list[Sent]:
    """Type grades fast and ask the store what it has; a grade on a blind card that is answered replaces its answer."""
    keys = "".join(rng.choice("0123") for _ in range(N_BURST))
    seen = card.burst(keys, gap=BURST_GAP)
    rows = store.read("own_trail", account=before.account, before="9999-01-01", n=N_BURST + 1).to_pylist()
    ours = {row["sequence"]: row for row in rows if row["session"] == before.session}
    typed = [ours.get(before.sequence + place) for place in range(1, N_BURST + 1)]
    n_kept = sum(row is not None and str(row["grade"]) == key for row, key in zip(typed, keys, strict=True))
    moments = [row["effective_at"] for row in typed if row is not None]
    n_back = sum(later < earlier for earlier, later in pairwise(moments))
    gaps, painted = _of_ms(seen.gaps), _of_ms(seen.painted)
    report.say(f"  {N_BURST} keys {gaps.p50:.1f} ms apart (longest gap {gaps.longest:.0f} ms): key to card {painted}")
    report.hold("keys kept with their grades", n_kept, target=N_BURST, at_most=False, unit="")
    report.hold("keys stored as earlier than the one before", n_back, target=0, at_most=True, unit="")
    report.put("burst", latency=asdict(painted), gaps=asdict(gaps), n_kept=n_kept, n_back=n_back)
    return seen.sent


def _pages(stage: Stage, report: Report) -> None:
    report.say(f"\npages: first useful paint, warm, n = {N_VISITS} each (the first visit beside)")
    if missing := not_built():
        report.say(f"  not built, not measured: {', '.join(missing)}")
    for page, found in visit_all(stage.browser, stage.served.url, n=N_VISITS).items():
        if found.shown is not None:
            report.say(f"  MISSED  {page} by {found.account} showed nothing useful, only: {found.shown[:200]!r}")
            report.missed.append(page)
            continue
        latency = Latency.of(found.warm)
        report.say(f"  {page} by {found.account}: {latency}; cold {1000 * found.cold:.0f} ms")
        report.hold(f"{page}, longest", latency.longest, target=1500, at_most=True, unit="ms")
        report.put(f"page {page}", cold_seconds=found.cold, warm=asdict(latency))


def _logged(app: Served, report: Report) -> None:
    """Say what the app complained of: nothing of ours should make it."""
    said = app.log.read_text(encoding="utf-8")
    lines = [line for line in said.splitlines() if " WARNING " in line or " ERROR " in line]
    report.say(f"\nthe app's log: {len(lines)} warnings and errors")
    for line in lines[:5]:
        report.say(f"  {line[:200]}")
    report.put("log", n=len(lines), end=said[-20_000:] if lines else "")


def _check(root: Path, kept: Kept, report: Report) -> None:
    """Hold what was acknowledged against the database, now that nobody has it open."""
    lots: list[tuple[str, list[Sent], datetime | None]] = [("typed in the browser", kept.typed, None)]
    if kept.attended is not None:
        lots.append(("by the crowd", kept.attended.sent, kept.attended.since))
    for what, sent, since in lots:
        if not sent:
            continue
        found = books.check(root, sent, since=since)
        report.say(f"\nbooks of the acts {what}: {asdict(found)}")
        report.hold(f"{what}, lost or altered", found.n_lost + found.n_altered, target=0, at_most=True, unit="")
        doubled = found.n_extra + (found.n_answered_twice if what == "by the crowd" else 0)
        report.hold(f"{what}, doubled", doubled, target=0, at_most=True, unit="")
        report.hold(f"{what}, answered beyond the policy", found.answered.n, target=0, at_most=True, unit="pairs")
        if found.given is not None:
            report.hold(f"{what}, given beyond the policy", found.given.n, target=0, at_most=True, unit="pairs")
        report.put(f"books {what}", **asdict(found))


def _of_ms(taken: Sequence[float]) -> Latency:
    return Latency.of([ms / 1000 for ms in taken])


if __name__ == "__main__":
    sys.exit(main())
