"""Thirty reviewers at once, one in a browser, while labels are written: what each waits, and what the app holds.

One client works alone first, at the same pace and with nobody else about: its p95 is what the crowd's is held to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from playwright.sync_api import Browser

from benchmarks.latency import Cost, Latency, Report
from benchmarks.load.seed import store_pids
from benchmarks.load.writers import Done, WriterPlan, busy_share, cpu_times, run_load
from benchmarks.review.card import Card, Typed, log_in
from benchmarks.review.clients import Crew, Sent, Shift, Working
from benchmarks.review.memory import MemoryWatch, growth
from benchmarks.review.shop import PASSWORD, REVIEWERS, Served
from storage.clock import now
from storage.process.claims import LEASE
from storage.workspace import Workspace

MOST_ALONE_SECONDS = 120.0
PER_SECOND = 1.0
LABELS_AN_APPEND, APPENDS_PER_SECOND = 10, 2.0
MOST_TIMES_ALONE = 2.0
LEAST_RATE = 0.95  # of the pace: blind cards take the browser a second key, and the last second is cut short
NO_END = 1 << 30


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the crowd works: the workspace, the app over it, a browser, and how many pairs labels may name."""

    workspace: Workspace
    served: Served
    browser: Browser
    n_pairs: int


@dataclass(frozen=True, slots=True)
class Attended:
    """What the crowd's people did. `since` is when their leases began; None when some of them ran out meanwhile."""

    sent: list[Sent]
    since: datetime | None


def work_alone(stage: Stage, report: Report, *, seconds: float) -> dict[str, Latency]:
    """Let one client work by itself; return its latencies of acts and of claims."""
    report.say(f"\ncrowd: first one client alone, {PER_SECOND:.0f} response a second, {seconds:.0f} s")
    working = Working(Shift(stage.served.port, (REVIEWERS[1],), PASSWORD, seconds, PER_SECOND, seed=1))
    working.begin()
    alone = _latencies(working.end())
    for what, latency in alone.items():
        report.say(f"  {what}: {latency}")
    return alone


def work_together(stage: Stage, report: Report, *, minutes: float) -> Attended:
    """Run the crowd; hold what it took against one client alone."""
    seconds = 60 * minutes
    alone = work_alone(stage, report, seconds=min(MOST_ALONE_SECONDS, seconds))
    report.say(
        f"  then a browser and {len(REVIEWERS) - 1} clients, {PER_SECOND:.0f} response a second each, "
        f"{minutes:g} min; {LABELS_AN_APPEND * APPENDS_PER_SECOND:.0f} candidates a second are written meanwhile"
    )
    since = now()
    context = log_in(stage.browser, stage.served.url, REVIEWERS[0], PASSWORD)
    card = Card(context, stage.served.url, REVIEWERS[0])
    working = Working(Shift(stage.served.port, tuple(REVIEWERS[1:]), PASSWORD, seconds, PER_SECOND, seed=2))
    pids = {"the app": stage.served.pid, "the store process": store_pids(stage.workspace.root)[0]}
    before: dict[str, Cost] = {}
    cpu_before: list[int] = []
    found: dict[str, Typed] = {}

    def beside() -> None:
        before.update({name: Cost.of(pid) for name, pid in pids.items()})
        cpu_before.extend(cpu_times())
        working.begin()
        until = time.monotonic() + seconds
        found["browser"] = card.work(NO_END, gap=1 / PER_SECOND, rng=random.Random(3), until=until)

    plan = WriterPlan(
        stage.workspace.root, "candidate", LABELS_AN_APPEND, seconds, stage.n_pairs, 9, 0, APPENDS_PER_SECOND
    )
    with MemoryWatch(pids) as watch:
        (written,) = run_load([plan], beside=beside)
        crew = working.end()
    share = busy_share(cpu_before, cpu_times())
    context.close()
    spent = {name: Cost.of(pid).cpu_seconds - before[name].cpu_seconds for name, pid in pids.items()}
    typed = found["browser"]
    _tell_latencies(report, alone, crew, typed, written)
    _tell_people(report, crew, typed, seconds)
    _tell_costs(report, watch, spent, crew, share)
    sent = [*typed.sent, *(one for own in crew.worked for one in own.sent)]
    return Attended(sent, since if seconds < LEASE.total_seconds() else None)


def _latencies(crew: Crew) -> dict[str, Latency]:
    kinds: dict[str, Callable[[int], Sequence[float]]] = {
        "acts": lambda place: crew.worked[place].acts,
        "claims": lambda place: crew.worked[place].claims,
    }
    places = range(len(crew.worked))
    return {kind: Latency.of([s for place in places for s in of(place)]) for kind, of in kinds.items()}


def _tell_latencies(report: Report, alone: dict[str, Latency], crew: Crew, typed: Typed, written: Done) -> None:
    together = _latencies(crew)
    acked, painted = Latency.of([ms / 1000 for ms in typed.acked]), Latency.of([ms / 1000 for ms in typed.painted])
    for kind, latency in together.items():
        report.say(f"  {kind}: {latency}")
        ratio = latency.p95 / max(alone[kind].p95, 1e-9)
        report.hold(f"p95 of {kind} over alone", ratio, target=MOST_TIMES_ALONE, at_most=True, unit="times")
    report.say(f"  in the browser, key to card: {painted}\n  in the browser, act to receipt: {acked}")
    appends = Latency.of(written.taken["append"])
    report.say(f"  labels: {written.n_rows:,} candidates with screenings, {LABELS_AN_APPEND} an append: {appends}")
    report.put(
        "crowd",
        alone={kind: asdict(latency) for kind, latency in alone.items()},
        together={kind: asdict(latency) for kind, latency in together.items()},
        browser={"painted": asdict(painted), "acked": asdict(acked)},
        labels=asdict(appends),
        n_labels=written.n_rows,
    )


def _tell_people(report: Report, crew: Crew, typed: Typed, seconds: float) -> None:
    """Say how the work went by what people saw themselves; the books of the store come after."""
    stopped = [f"{own.account}: {own.trouble}" for own in crew.worked if own.trouble is not None]
    refused = [words for own in crew.worked for words in own.refused]
    again = sum(own.n_given_again for own in crew.worked)
    idle, retries = sum(own.n_idle for own in crew.worked), sum(own.n_retries for own in crew.worked)
    n_acts = sum(len(own.sent) for own in crew.worked)
    report.say(
        f"  {n_acts:,} acts of clients and {len(typed.sent):,} of the browser acknowledged; {retries} requests sent "
        f"again, {idle} moments without a card"
    )
    for words in [*stopped[:3], *refused[:3]]:
        report.say(f"  trouble: {words}")
    rate, wanted = (n_acts + len(typed.sent)) / seconds, LEAST_RATE * PER_SECOND * len(REVIEWERS)
    report.hold("responses", rate, target=wanted, at_most=False, unit="a second")
    report.hold("people who could not go on", len(stopped), target=0, at_most=True, unit="")
    report.hold("acts refused or never acknowledged", len(refused) + typed.n_not_acked, target=0, at_most=True, unit="")
    report.hold("cards given to a person twice", again, target=0, at_most=True, unit="")
    report.put("crowd people", n_acts=n_acts, stopped=stopped, refused=refused, again=again, idle=idle, retries=retries)


def _tell_costs(
    report: Report, watch: MemoryWatch, spent: dict[str, float], crew: Crew, share: dict[str, float]
) -> None:
    grown = {}
    for name, samples in watch.samples.items():
        whole, later = growth(samples), growth(samples[len(samples) // 2 :])
        report.say(f"  memory of {name}: {whole or 'too few samples for a line'}")
        if whole is not None and later is not None:
            report.say(f"    its second half: {later}")
        grown[name] = {"whole": whole and asdict(whole), "second half": later and asdict(later)}
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in {**spent, "the clients": crew.cpu_seconds}.items())
    report.say(f"  CPU s: {told}; machine: {', '.join(f'{part:.0%} {what}' for what, part in share.items())}")
    report.put("crowd costs", memory=grown, cpu_seconds=spent, clients_cpu_seconds=crew.cpu_seconds, machine=share)
