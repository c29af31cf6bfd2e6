"""The labelling run: every pair that has no candidate yet under this proposer, instruction and rule book gets one.

The lexical provider answers in this thread; a server is asked by several, each with its own spool, and this thread
alone talks to the store. What is answered is stored as it comes, so that a run cut short has lost nothing and its
second half asks only for the rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from curation.completion import steps_to_json
from curation.features import FEATURE_SCHEMA, evidence_line
from curation.rule_votes import append_votes, vote_rows
from curation.rules import ABSTAIN, Rule, vote_matrix
from evolution.calls import Answer, Calls, drain_calls
from evolution.grading import Grader, fit_grader
from evolution.labelling import ROLE, LabelForm, LabelMaterial, check_label, read_label
from evolution.lexical import PROVIDER as LEXICAL
from evolution.lexical import LexicalLLM
from evolution.llm import LLM
from evolution.prompts import load_prompt
from evolution.rationale import VotingRule
from evolution.rule_book import approved_rules, book_digest
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id
from storage.runs import start_run
from storage.store import Store

BATCH = 50  # answers of a server stored together
LEXICAL_BATCH = 2000
FAILURES_IN_A_ROW = 20  # then the server is gone and the run stops
Progress = Callable[[int, int], None]


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

    @property
    def proposer(self) -> str:
        return LEXICAL if self.llm is None else f"{self.llm.provider}:{self.model}"


@dataclass(slots=True)
class LabelReport:
    """What a labelling run did. `failures` counts reasons; `n_drained` are replies an earlier crash had left."""

    n_pairs: int
    n_labelled: int = 0
    n_new: int = 0
    n_held_replies: int = 0
    n_exchanges: int = 0
    n_drained: int = 0
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
    """Label what is not labelled yet; a pair whose call failed stays without one and is asked again next time."""
    drained = 0 if is_dry else drain_calls(store, plan.spool_dir).n_replies
    rules = approved_rules(store)
    instruction = _instruction(store)
    instruction_id = None if plan.llm is None else instruction.instruction_id
    rule_book = book_digest(rules)
    pairs = store.frame("unlabelled_pairs", proposer=plan.proposer, instruction_id=instruction_id, rule_book=rule_book)
    pairs = pairs if plan.limit is None else pairs.head(plan.limit)
    report = LabelReport(len(pairs), n_drained=drained)
    shown = progress or (lambda _done, _total: None)
    if pairs.is_empty() or is_dry:
        return report
    config = {
        "proposer": plan.proposer,
        "instruction_id": instruction_id,
        "rule_book": rule_book,
        "n_rules": len(rules),
        "n_pairs": len(pairs),
    }
    with start_run(store, verb="label", config=config, account=account) as run:
        features = store.frame("all_features").join(pairs.select("pair_id"), on="pair_id", how="semi")
        append_votes(store, list(vote_rows(rules, features)) if rules else [], run.run_id)
        if plan.llm is not None and not instruction.is_stored:
            store.append({"instructions": [instruction.row(run.run_id)]})
        materials = _materials(store, pairs, features, rules, plan)
        form = LabelForm(instruction.text, plan.scale, plan.model, plan.parameters)
        writer = _Writer(store, plan, _Stamp(run.run_id, instruction_id, rule_book), report)
        try:
            if plan.llm is None:
                _label_here(materials, form, writer, shown)
            else:
                replies = store.read("good_replies", role=ROLE, provider=plan.llm.provider, model=plan.model)
                held = {row["llm_call_id"]: row["reply"] for row in replies.to_pylist()}
                with Calls(plan.llm, folder=plan.spool_dir, run_id=run.run_id, held=held) as calls:
                    _label_by_server(materials, form, calls, plan.concurrency, writer, shown)
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
class _Stamp:
    """What every candidate of a run carries. The rule book is part of a candidate's content: it decides its reasons."""

    run_id: str
    instruction_id: str | None
    rule_book: str


@dataclass(frozen=True, slots=True)
class _Instruction:
    text: str
    is_stored: bool

    @property
    def instruction_id(self) -> str:
        return content_id("i", self.text)

    def row(self, run_id: str) -> dict[str, Any]:
        return {
            "instruction_id": self.instruction_id,
            "text": self.text,
            "parent_id": None,
            "operator": "built-in",
            "generation": 0,
            "run_id": run_id,
            "created_at": now(),
        }


def _instruction(store: Store) -> _Instruction:
    """Return the approved instruction of the latest generation, else the workspace's first, else the built-in one."""
    rows = store.read("instruction_in_force").to_pylist()
    return _Instruction(rows[0]["text"], True) if rows else _Instruction(load_prompt("instruction").text, False)


def _materials(
    store: Store, pairs: pl.DataFrame, features: pl.DataFrame, rules: Sequence[Rule], plan: LabelPlan
) -> list[LabelMaterial]:
    """Gather what is known of each pair; the lexical grader is fitted on train judgments only."""
    judged = store.frame("train_features", judgments="all")
    columns = list(FEATURE_SCHEMA)
    grader = fit_grader(
        judged.select(columns),
        judged["grade"].to_list(),
        vote_matrix(rules, judged.select(columns)) != ABSTAIN,
        [rule.grade for rule in rules],
        queries=judged["root_query_id"].to_list(),
        scale=plan.scale,
    )
    features = pairs.select("pair_id").join(features, on="pair_id", how="left", maintain_order="left")
    votes = vote_matrix(rules, features.select(columns)) != ABSTAIN
    proposals = grader.propose(features, votes) if plan.llm is None else [None] * len(pairs)
    return [
        LabelMaterial(
            pair_id=pair["pair_id"],
            query=pair["query"],
            title=pair["title"],
            body=pair["body"],
            fields={name: str(value) for name, value in json.loads(pair["fields"] or "{}").items()},
            features=row,
            evidence=evidence_line(row),
            rules=_voting(rules, votes[i], grader, plan.scale),
            scale=plan.scale,
            proposal=proposals[i],
        )
        for i, (pair, row) in enumerate(zip(pairs.iter_rows(named=True), features.iter_rows(named=True), strict=True))
    ]


def _voting(rules: Sequence[Rule], votes: Any, grader: Grader, scale: Scale) -> tuple[VotingRule, ...]:
    """Return the rules that vote on a pair, the weightiest first."""
    voting = [
        VotingRule(
            rules[k].rule_id, rules[k].text, rules[k].grade, float(grader.meanings[k, scale.position(rules[k].grade)])
        )
        for k in votes.nonzero()[0]
    ]
    return tuple(sorted(voting, key=lambda rule: (-rule.weight, rule.rule_id)))


class _Writer:
    """Turns answers into rows and stores them in batches; the only one that talks to the store during a run."""

    def __init__(self, store: Store, plan: LabelPlan, stamp: _Stamp, report: LabelReport) -> None:
        self._store, self._plan, self._stamp, self._report = store, plan, stamp, report
        self._batch = LEXICAL_BATCH if plan.llm is None else BATCH
        self._calls: list[Any] = []
        self._candidates: list[dict[str, Any]] = []

    def take(self, material: LabelMaterial, answer: Answer, *, is_paid: bool) -> None:
        """Count an answer and queue its rows."""
        self._calls += answer.rows
        self._report.n_exchanges += len(answer.rows)
        if answer.text is None:
            self._report.failures[(answer.failure or "").partition(":")[0]] += 1
        else:
            self._report.n_held_replies += is_paid and not answer.rows
            self._candidates.append(self._row(material, answer, is_paid))
        if len(self._candidates) + len(self._calls) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Store what is queued: calls and candidates in one transaction."""
        if self._calls or self._candidates:
            written = self._store.append({"llm_calls": self._calls, "candidates": self._candidates})
            self._report.n_new += written.get("candidates", 0)
            self._calls, self._candidates = [], []

    def _row(self, material: LabelMaterial, answer: Answer, is_paid: bool) -> dict[str, Any]:
        labelled = read_label(answer.text or "", material)
        completion = labelled.completion
        steps = steps_to_json(completion.steps)
        self._report.n_labelled += 1
        self._report.grades[completion.grade] += 1
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


def _label_here(materials: Sequence[LabelMaterial], form: LabelForm, writer: _Writer, progress: Progress) -> None:
    llm = LexicalLLM()
    for n_done, material in enumerate(materials, 1):
        reply = llm.complete(form.request(material))
        writer.take(material, Answer("", reply.text, reply.failure), is_paid=False)
        progress(n_done, len(materials))


def _label_by_server(
    materials: Sequence[LabelMaterial],
    form: LabelForm,
    calls: Calls,
    concurrency: int,
    writer: _Writer,
    progress: Progress,
) -> None:
    """Ask from several threads; UserError when the key is refused or nothing has worked for a while."""
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="label")
    in_a_row = 0
    try:
        for n_done, (material, answer) in enumerate(_ask_all(pool, calls, form, materials, concurrency), 1):
            writer.take(material, answer, is_paid=True)
            progress(n_done, len(materials))
            in_a_row = in_a_row + 1 if answer.text is None else 0
            if in_a_row >= max(FAILURES_IN_A_ROW, 3 * concurrency):
                raise UserError(
                    f"{in_a_row} calls in a row failed, the last: {answer.failure}. "
                    "What was answered is kept; when the server is well again: afrel label --provider openai"
                )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ask_all(
    pool: ThreadPoolExecutor, calls: Calls, form: LabelForm, materials: Sequence[LabelMaterial], concurrency: int
) -> Iterator[tuple[LabelMaterial, Answer]]:
    """Yield answers as they come; only a few requests wait at a time, so that a stop is quick."""

    def ask(material: LabelMaterial) -> Answer:
        return calls.ask(form.request(material), lambda text: check_label(text, material))

    waiting: dict[Future[Answer], LabelMaterial] = {}
    left = iter(materials)
    while True:
        while len(waiting) < 2 * concurrency and (material := next(left, None)) is not None:
            waiting[pool.submit(ask, material)] = material
        if not waiting:
            return
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield waiting.pop(future), future.result()
