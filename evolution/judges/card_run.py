"""The run that makes a judge's card: train pairs that experts graded, asked about as they are and changed on purpose.

A card is written whole or not at all: when a budget or the user ends the run, the replies are kept and the next run
asks only for the rest. Test and dev pairs are never shown.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from evolution.calls.asking import Asked, Served, ask_served
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.paid_calls import Answer, Ask
from evolution.judges.bias_lines import BOUNDS, MIN_N, BiasLine, Rated, card_lines
from evolution.judges.perturbations import PERTURBATIONS, Bias, Shown, shortened
from evolution.judges.rating import ROLE, check_rating, rating_request, read_rating
from evolution.labelling.materials import instruction_in_force
from evolution.prompts import load_prompt
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id, digest
from storage.runs import finished_run, start_run
from storage.store import Store

VERB = "judge card"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class CardPlan:
    """Which judge is asked about how many pairs; `seed` is of their draw."""

    scale: Scale
    served: Served
    n_pairs: int
    seed: int = 0


@dataclass(slots=True)
class CardReport:
    """What came of it: `lines` are empty where no card was made. `finished_before` names the run that made this one."""

    judge: str
    n_pairs: int
    n_asks: int
    lines: tuple[BiasLine, ...] = ()
    asked: Asked = field(default_factory=Asked)
    estimate: Estimate | None = None
    finished_before: str | None = None

    @property
    def is_passed(self) -> bool:
        return bool(self.lines) and all(line.is_passed for line in self.lines)


@dataclass(frozen=True, slots=True)
class _View:
    """A pair in one of its forms; `bias` None: as it is."""

    pair_id: str
    bias: Bias | None


class _UnfinishedError(Exception):
    """The card is no last word: some calls failed, or a budget ended the run."""


def make_card(
    store: Store, plan: CardPlan, *, account: str | None, is_dry: bool = False, progress: Progress | None = None
) -> CardReport:
    """Ask the judge and write its card; nothing is done twice for the same pairs, judge and prompts.

    UserError where fewer train pairs are judged than a card needs.
    """
    served, asked = plan.served, Asked()
    if not is_dry:
        asked.drain(store, served.spool_dir)
    pairs = _drawn(store, plan)
    instruction = instruction_in_force(store).text
    work = _Work(plan, pairs, instruction)
    report = CardReport(served.name, len(pairs), work.n_asks, asked=asked)
    if before := finished_run(store, VERB, work.digest):
        report.finished_before = before
        return report
    if is_dry:
        sample = [ask.request for ask in work.asks()][:: max(1, work.n_asks // 200)]
        report.estimate = estimate_calls(store, role=ROLE, served=served, n_calls=work.n_asks, sample=sample)
        return report
    try:
        with start_run(store, verb=VERB, config=work.config(), input_digest=work.digest, account=account) as run:
            try:
                ask_served(
                    store,
                    served,
                    work.asks(),
                    role=ROLE,
                    run_id=run.run_id,
                    asked=asked,
                    take=work.take,
                    progress=None if progress is None else lambda done, burn: progress(done, work.n_asks, burn),
                )
            finally:
                run.counts.update(pairs=len(pairs), **asked.counts())
            if asked.stopped is None:
                report.lines = card_lines(list(work.rated.values()), plan.scale)
                store.append({"judge_cards": _rows(report, run.run_id)})
                run.counts.update(is_passed=report.is_passed, lines={one.bias: one.value for one in report.lines})
            if not asked.is_complete:
                raise _UnfinishedError
    except _UnfinishedError:
        pass  # all is stored; the run is marked as failed so that the next one asks again
    asked.drain(store, served.spool_dir)  # the store holds all of it by now, so this only clears the spools away
    return report


class _Work:
    """The pairs of a card, what is asked about them, and what the judge said."""

    def __init__(self, plan: CardPlan, pairs: pl.DataFrame, instruction: str) -> None:
        self._plan, self._instruction = plan, instruction
        self._shown = [_shown(row) for row in pairs.iter_rows(named=True)]
        self.rated = {row["pair_id"]: Rated(row["grade"]) for row in pairs.iter_rows(named=True)}
        self.n_asks = len(self._shown) * (1 + len(PERTURBATIONS))
        shown = [pairs.sort("pair_id").rows(), instruction, load_prompt("judge_grade").digest]
        bounds = {bias.value: bound for bias, bound in BOUNDS.items()}
        served = plan.served
        self.digest = digest([served.name, dict(served.parameters), served.seed, shown, bounds, MIN_N])

    def config(self) -> dict[str, Any]:
        """Return what the run says of itself."""
        plan = self._plan
        return {"judge": plan.served.name, "n_pairs": len(self._shown), "seed": plan.seed, "n_asks": self.n_asks}

    def asks(self) -> Iterator[Ask[_View]]:
        """Yield the requests, a pair's together."""
        for shown in self._shown:
            yield self._ask(shown, None)
            for bias, change in PERTURBATIONS.items():
                yield self._ask(change(shown), bias)

    def take(self, view: _View, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """Keep what the judge said of one form of a pair; the card is stored when all is said."""
        grade = read_rating(answer.text or "", pair_id=view.pair_id, scale=self._plan.scale)
        if view.bias is None:
            self.rated[view.pair_id].plain = grade
        else:
            self.rated[view.pair_id].changed[view.bias] = grade
        return {}

    def _ask(self, shown: Shown, bias: Bias | None) -> Ask[_View]:
        plan = self._plan
        request = rating_request(shown, instruction=self._instruction, scale=plan.scale, served=plan.served)
        check = partial(check_rating, pair_id=shown.pair_id, scale=plan.scale)
        return Ask(_View(shown.pair_id, bias), request, check)


def _drawn(store: Store, plan: CardPlan) -> pl.DataFrame:
    """Draw judged train pairs, every grade as often as there are pairs of it; nobody's mutation is among them."""
    judged = store.frame("train_pairs", judgments="all").filter(pl.col("origin") != "mutation")
    if len(judged) < MIN_N:
        raise UserError(
            f"{len(judged)} train pairs are judged, and a card needs {MIN_N}. "
            "Bring judgments: afrel ingest FILE --map query=…,title=…,grade=…"
        )
    order = judged["pair_id"].to_list()
    random.Random(plan.seed).shuffle(order)
    place = {pair_id: at for at, pair_id in enumerate(order)}
    drawn = judged.with_columns(place=pl.col("pair_id").replace_strict(place, return_dtype=pl.Int64)).with_columns(
        turn=pl.col("place").rank("ordinal").over("grade")
    )
    return drawn.sort("turn", "grade").head(plan.n_pairs).select("pair_id", "query", "title", "body", "fields", "grade")


def _shown(row: dict[str, Any]) -> Shown:
    fields = {name: str(value) for name, value in json.loads(row["fields"] or "{}").items()}
    return shortened(Shown(row["pair_id"], row["query"], row["title"], row["body"], fields))


def _rows(report: CardReport, run_id: str) -> list[dict[str, Any]]:
    at = now()
    return [
        {
            "judge_card_id": content_id("jc", run_id, report.judge, line.bias.value),
            "judge": report.judge,
            "bias": line.bias.value,
            "value": line.value,
            "low": None if line.interval is None else line.interval.low,
            "high": None if line.interval is None else line.interval.high,
            "n": line.n,
            "bound": line.bound,
            "is_passed": line.is_passed,
            "run_id": run_id,
            "created_at": at,
        }
        for line in report.lines
    ]
