"""The labelling run: every pair that has no candidate yet under this proposer, instruction and rule book gets one.

The lexical provider answers in this thread; a server is asked by an event loop beside it, and this thread alone talks
to the store. What is answered is stored as it comes, so that a run cut short has lost nothing and its second half asks
only for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from curation.completion import steps_to_json
from curation.rule_votes import append_votes, vote_rows
from curation.rules import Rule
from evolution.calls.budget import Budget, BudgetSpentError, Limits
from evolution.calls.failure_watch import kind_of
from evolution.calls.held_replies import HeldReplies
from evolution.calls.llm import LLM
from evolution.calls.paid_calls import Answer, Ask, Calls, drain_calls, reply_id
from evolution.calls.prices import Price
from evolution.labelling.batch_files import waiting_calls
from evolution.labelling.lexical import PROVIDER as LEXICAL
from evolution.labelling.lexical import LexicalLLM
from evolution.labelling.materials import InstructionInForce, fit_on_train, instruction_in_force, materials
from evolution.labelling.request import ROLE, LabelForm, LabelMaterial, check_label, read_label
from evolution.rules.book import approved_rules, book_digest
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id
from storage.runs import start_run
from storage.store import Store

BATCH = 50  # answers of a server stored together
LEXICAL_BATCH = 2000
GRACE_SECONDS = 20.0  # for what is under way when the run is stopped: it is paid for
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """What a run labels with. `llm` None: the lexical provider."""

    scale: Scale
    llm: LLM | None
    model: str
    parameters: dict[str, Any]
    limit: int | None
    concurrency: int
    spool_dir: Path
    seed: int | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def proposer(self) -> str:
        return LEXICAL if self.llm is None else f"{self.llm.provider}:{self.model}"


@dataclass(slots=True)
class LabelReport:
    """What a labelling run did.

    `failures` counts reasons. `n_drained` are replies an earlier crash had left, `n_in_flight` the requests that were
    under way then. `n_in_batch` pairs are left to a provider's batch. `stopped` says why a budget ended the run, `burn`
    what a server's run used.
    """

    n_pairs: int
    n_labelled: int = 0
    n_new: int = 0
    n_held_replies: int = 0
    n_exchanges: int = 0
    n_drained: int = 0
    n_in_flight: int = 0
    n_in_batch: int = 0
    stopped: str | None = None
    burn: str = ""
    failures: Counter[str] = field(default_factory=Counter)
    grades: Counter[int] = field(default_factory=Counter)

    @property
    def n_failed(self) -> int:
        return sum(self.failures.values())


def label_pairs(
    store: Store,
    plan: LabelPlan,
    *,
    account: str | None,
    is_dry: bool = False,
    progress: Progress | None = None,
) -> LabelReport:
    """Label what is not labelled yet; a pair whose call failed stays without one and is asked again next time.

    What was under way when the user interrupts it, or a budget or a failing server stops it, is waited for and kept.
    """
    drained = None if is_dry else drain_calls(store, plan.spool_dir)
    work = label_work(store, plan)
    report = LabelReport(len(work.pairs))
    if drained is not None:
        report.n_drained, report.n_in_flight = drained.n_replies, drained.n_in_flight
    if work.pairs.is_empty() or is_dry:
        return report
    config = {
        "proposer": plan.proposer,
        "instruction_id": work.instruction_id,
        "rule_book": work.rule_book,
        "n_rules": len(work.rules),
        "n_pairs": len(work.pairs),
    }
    with start_run(store, verb="label", config=config, account=account) as run:
        append_votes(store, list(vote_rows(work.rules, work.features)) if work.rules else [], run.run_id)
        if plan.llm is not None and not work.instruction.is_stored:
            store.append({"instructions": [work.instruction.row(run.run_id)]})
        writer = _Writer(store, plan, _Stamp(run.run_id, work.instruction_id, work.rule_book), report)
        try:
            if plan.llm is None:
                _label_here(store, work, plan, writer, progress)
            else:
                _label_by_server(store, work, plan, plan.llm, run.run_id, writer, progress)
        except BudgetSpentError as spent:
            report.stopped = str(spent)
        finally:
            writer.flush()
            run.counts.update(
                pairs=report.n_pairs,
                labelled=report.n_labelled,
                new_candidates=report.n_new,
                exchanges=report.n_exchanges,
                held_replies=report.n_held_replies,
                failed=report.n_failed,
            )
    drain_calls(store, plan.spool_dir)  # the store holds all of it by now, so this only clears the spools away
    return report


@dataclass(frozen=True, slots=True)
class LabelWork:
    """The pairs a plan has to label, and what they are labelled under."""

    pairs: pl.DataFrame
    features: pl.DataFrame
    rules: list[Rule]
    instruction: InstructionInForce
    instruction_id: str | None
    rule_book: str

    def materials(self, store: Store, plan: LabelPlan) -> Iterator[LabelMaterial]:
        """Yield what is known of each pair; the grader is fitted on judged train pairs only."""
        grader = fit_on_train(store, self.rules, plan.scale)
        yield from materials(self.pairs, self.features, self.rules, grader, with_proposals=plan.llm is None)

    def of_every(self, step: int) -> LabelWork:
        """Return the same work for every so-many-th pair only."""
        return replace(self, pairs=self.pairs.gather_every(step))

    def form(self, plan: LabelPlan) -> LabelForm:
        """Return the prompt of the run."""
        return LabelForm(self.instruction.text, plan.scale, plan.model, plan.parameters, plan.seed)


def label_work(store: Store, plan: LabelPlan) -> LabelWork:
    """Find what a plan has to do."""
    rules = list(approved_rules(store))
    instruction = instruction_in_force(store)
    instruction_id = None if plan.llm is None else instruction.instruction_id
    rule_book = book_digest(rules)
    pairs = store.frame("unlabelled_pairs", proposer=plan.proposer, instruction_id=instruction_id, rule_book=rule_book)
    pairs = pairs if plan.limit is None else pairs.head(plan.limit)
    features = store.frame("all_features").join(pairs.select("pair_id"), on="pair_id", how="semi")
    return LabelWork(pairs, features, rules, instruction, instruction_id, rule_book)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What every candidate of a run carries. The rule book is part of a candidate's content: it decides its reasons."""

    run_id: str
    instruction_id: str | None
    rule_book: str


class _Writer:
    """Turns answers into rows and stores them in batches; the only one that talks to the store during a run."""

    def __init__(self, store: Store, plan: LabelPlan, stamp: _Stamp, report: LabelReport) -> None:
        self._store, self._plan, self._stamp, self.report = store, plan, stamp, report
        self._batch = LEXICAL_BATCH if plan.llm is None else BATCH
        self._calls: list[Any] = []
        self._candidates: list[dict[str, Any]] = []
        self.n_done = 0

    def take(self, material: LabelMaterial, answer: Answer, *, is_paid: bool) -> None:
        """Count an answer and queue its rows."""
        self.n_done += 1
        self._calls += answer.rows
        self.report.n_exchanges += len(answer.rows)
        if answer.text is None:
            self.report.failures[kind_of(answer.failure or "")] += 1
        else:
            self.report.n_held_replies += is_paid and not answer.rows
            self._candidates.append(self._row(material, answer, is_paid))
        if len(self._candidates) + len(self._calls) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Store what is queued: calls and candidates in one transaction."""
        if self._calls or self._candidates:
            written = self._store.append({"llm_calls": self._calls, "candidates": self._candidates})
            self.report.n_new += written.get("candidates", 0)
            self._calls, self._candidates = [], []

    def _row(self, material: LabelMaterial, answer: Answer, is_paid: bool) -> dict[str, Any]:
        labelled = read_label(answer.text or "", material)
        completion = labelled.completion
        steps = steps_to_json(completion.steps)
        self.report.n_labelled += 1
        self.report.grades[completion.grade] += 1
        proposer = self._plan.proposer
        stamp = self._stamp
        content = (material.pair_id, completion.grade, steps, proposer, stamp.instruction_id, stamp.rule_book)
        return {
            "candidate_id": content_id("c", *content),
            "pair_id": material.pair_id,
            "grade": completion.grade,
            "steps": steps,
            "rule_ids": list(completion.rule_ids),
            "confidence": labelled.confidence,
            "proposer": proposer,
            "instruction_id": stamp.instruction_id,
            "llm_call_id": answer.llm_call_id if is_paid else None,
            "run_id": stamp.run_id,
            "created_at": now(),
        }


def _label_here(store: Store, work: LabelWork, plan: LabelPlan, writer: _Writer, progress: Progress | None) -> None:
    llm, form = LexicalLLM(), work.form(plan)
    for material in work.materials(store, plan):
        reply = llm.complete(form.request(material))
        writer.take(material, Answer("", reply.text, reply.failure), is_paid=False)
        if progress is not None:
            progress(writer.n_done, len(work.pairs), "")


def _label_by_server(
    store: Store,
    work: LabelWork,
    plan: LabelPlan,
    llm: LLM,
    run_id: str,
    writer: _Writer,
    progress: Progress | None,
) -> None:
    """Ask a server for all; UserError when the key is refused, nothing works, or the next call might cost too much."""
    held = HeldReplies(store.read("good_replies", role=ROLE, provider=llm.provider, model=plan.model))
    budget, waiting = Budget(plan.limits, plan.prices), waiting_calls(plan.spool_dir)

    def not_in_a_batch(ask: Ask[LabelMaterial]) -> bool:
        is_waiting = bool(waiting) and reply_id(ask.request, llm.provider) in waiting
        writer.report.n_in_batch += is_waiting
        return not is_waiting

    with Calls(llm, folder=plan.spool_dir, run_id=run_id, held=held, ceiling=plan.concurrency, budget=budget) as calls:
        asks = asks_of(work.materials(store, plan), work.form(plan))
        answers = calls.ask_all(filter(not_in_a_batch, asks))
        try:
            for material, answer in answers:
                writer.take(material, answer, is_paid=True)
                if progress is not None:
                    progress(writer.n_done, len(work.pairs), calls.burn())
        except (KeyboardInterrupt, UserError):
            for material, answer in answers.rest(seconds=GRACE_SECONDS):
                writer.take(material, answer, is_paid=True)
            raise
        finally:
            writer.report.burn = budget.burn()


def asks_of(found: Iterable[LabelMaterial], form: LabelForm) -> Iterator[Ask[LabelMaterial]]:
    """Yield the request for each material, with what its reply must be."""
    for material in found:
        yield Ask(material, form.request(material), partial(check_label, material=material))
