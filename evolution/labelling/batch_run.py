"""Labelling by a provider's batches: sent at half a day's patience, collected into the same ledger.

A request is asked once, wherever: what is held or lies in an open batch is not sent again, and `label` leaves it alone.
What a batch gave back is spooled and stored under the name of its call, so that `label` finds it held; what expired or
failed is a failure with its reason, and free to be sent again. Collecting twice stores nothing twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolution.calls.budget import Budget
from evolution.calls.burn_bar import BurnBar
from evolution.calls.call_rows import call_row, failure_id, reply_id
from evolution.calls.chat_protocol import chat_body, grades_of, read_chat
from evolution.calls.failure_watch import kind_of
from evolution.calls.held_replies import HeldReplies
from evolution.calls.llm import Message, Reply, Request, Usage
from evolution.calls.openai_batches import BatchLine, BatchRefusedError, BatchState, OpenAIBatches, request_line
from evolution.calls.openai_llm import PROVIDER
from evolution.calls.paid_calls import drain_calls
from evolution.calls.prices import Price
from evolution.labelling.batch_files import BatchFile, locked, open_batches, waiting_calls, write_batch
from evolution.labelling.rationale import VotingRule
from evolution.labelling.request import ROLE, LabelMaterial, check_label, label_schema
from evolution.labelling.run import LabelPlan, asks_of, label_work
from storage.clock import now
from storage.grades import Scale
from storage.ids import new_session
from storage.runs import start_run
from storage.spool import Spool
from storage.store import Store

MAX_LINES = 50_000
MAX_BYTES = 64 << 20
SPOOLED_TOGETHER = 500
NOT_DONE = "not done by the batch"


@dataclass(slots=True)
class SubmitReport:
    """What was sent. `n_waiting` lay in batches already, `n_held` had a reply; `stopped`: the budget had no room."""

    batches: list[str] = field(default_factory=list)
    n_sent: int = 0
    n_waiting: int = 0
    n_held: int = 0
    is_budget_spent: bool = False


@dataclass(slots=True)
class CollectReport:
    """What came back. `failures` counts reasons; those calls are free to be sent again. `open` are not over yet."""

    n_good: int = 0
    n_new: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    open: list[BatchState] = field(default_factory=list)
    n_batches: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    """A request to be sent: as it is uploaded, and as its batch's file keeps it."""

    uploaded: bytes
    kept: Mapping[str, Any]


def submit_labels(
    store: Store,
    plan: LabelPlan,
    batches: OpenAIBatches,
    *,
    with_logprobs: bool,
    account: str | None,
    progress: BurnBar | None = None,
) -> SubmitReport:
    """Send what is to be labelled and neither held nor under way, in as many batches as it takes."""
    settle_unknown(plan.spool_dir, batches)
    drain_calls(store, plan.spool_dir)
    report = SubmitReport()
    lines = _lines(store, plan, with_logprobs, report, progress)
    with closing(lines):
        part = _take_part(lines)
        if not part:
            return report
        config = {"proposer": plan.proposer, "host": batches.host, "limits": plan.limits.told()}
        with start_run(store, verb="batch", config=config, account=account) as run:
            work = label_work(store, plan)
            if not work.instruction.is_stored:
                store.append({"instructions": [work.instruction.row(run.run_id)]})
            while part:
                report.batches.append(_begin(plan, batches, part, run.run_id))
                report.n_sent += len(part)
                run.counts.update(sent=report.n_sent, batches=len(report.batches))
                part = _take_part(lines)
    return report


def settle_unknown(folder: Path, batches: OpenAIBatches) -> None:
    """Find out what became of batches that a crash left without the provider's id; free what never began."""
    for batch in open_batches(folder):
        if batch.batch_id is None and batch.host == batches.host:
            batch_id = batches.find(batch.name)
            if batch_id is None:
                batch.remove()
            else:
                batch.note_begun(batch_id)


def collect_batches(
    store: Store,
    folder: Path,
    batches: OpenAIBatches,
    prices: Mapping[str, Price],
    *,
    progress: BurnBar | None = None,
) -> CollectReport:
    """Store what the batches of a host gave back; leave alone what is still under way there."""
    drain_calls(store, folder)
    settle_unknown(folder, batches)
    report = CollectReport()
    found = open_batches(folder)
    for n_done, batch in enumerate(found):
        if progress is not None:
            progress(n_done, len(found), "")
        if batch.host != batches.host or batch.batch_id is None:
            continue
        state = batches.state(batch.batch_id)
        if not state.is_over:
            report.open.append(state)
            continue
        with locked(batch.path) as is_ours:
            if is_ours:
                _spool(batch, state, batches, folder, prices.get(batch.model), report)
        report.n_new += drain_calls(store, folder).n_replies
        batch.remove()
        report.n_batches += 1
    return report


def _lines(
    store: Store, plan: LabelPlan, with_logprobs: bool, report: SubmitReport, progress: BurnBar | None
) -> Generator[_Line, None, None]:
    """Yield what is to be sent, as far as the budget goes."""
    held = HeldReplies(store.read("good_replies", role=ROLE, provider=PROVIDER, model=plan.model))
    waiting = waiting_calls(plan.spool_dir)
    budget = Budget(plan.limits, plan.prices)
    work = label_work(store, plan)
    for n_done, ask in enumerate(asks_of(work.materials(store, plan), work.form(plan))):
        if progress is not None:
            progress(n_done, len(work.pairs), "")
        call_id = reply_id(ask.request, PROVIDER)
        if call_id in held:
            report.n_held += 1
        elif call_id in waiting:
            report.n_waiting += 1
        elif budget.reserve(ask.request) is None:
            report.is_budget_spent = True
            return
        else:
            body = chat_body(ask.request, with_logprobs=with_logprobs)
            yield _Line(request_line(call_id, body), _kept(call_id, ask.request, ask.subject))


def _take_part(lines: Iterator[_Line]) -> list[_Line]:
    """Take as many lines as one batch may hold."""
    part: list[_Line] = []
    n_bytes = 0
    while len(part) < MAX_LINES and n_bytes < MAX_BYTES and (line := next(lines, None)) is not None:
        part.append(line)
        n_bytes += len(line.uploaded)
    return part


def _begin(plan: LabelPlan, batches: OpenAIBatches, part: list[_Line], run_id: str) -> str:
    """Write down a batch, send it, and note what the provider calls it."""
    head = {
        "batch": new_session(),
        "host": batches.host,
        "provider": PROVIDER,
        "model": plan.model,
        "run_id": run_id,
        "created_at": now().isoformat(),
    }
    batch = write_batch(plan.spool_dir, head, [{**line.kept, "run_id": run_id} for line in part])
    with locked(batch.path):
        try:
            batch_id = batches.begin(batch.name, [line.uploaded for line in part])
        except BatchRefusedError:
            batch.remove()  # the server said no: nothing of it is there
            raise
        batch.note_begun(batch_id)
    return batch_id


def _kept(call_id: str, request: Request, material: LabelMaterial) -> dict[str, Any]:
    """Return a request as its batch's file keeps it: a row without a reply, and what the reply is checked against."""
    row = call_row(call_id, request, Reply(None, Usage(), 0.0), provider=PROVIDER, cost=None, run_id="")
    names = ("llm_call_id", "role", "operator", "provider", "model", "template_digest", "request")
    check = {
        "pair_id": material.pair_id,
        "values": list(material.scale.values),
        "names": list(material.scale.names),
        "rule_ids": [rule.rule_id for rule in material.rules],
    }
    return {**{name: row[name] for name in names}, "check": check}


def _spool(
    batch: BatchFile,
    state: BatchState,
    batches: OpenAIBatches,
    folder: Path,
    price: Price | None,
    report: CollectReport,
) -> None:
    """Put everything a batch gave back on a spool: each reply under its call, each failure under its reason."""
    left = dict(batch.requests)
    rows: list[dict[str, Any]] = []
    with Spool(folder, batch.run_id) as spool:
        for line in batches.lines(state):
            record = left.pop(line.call_id, None) if line.call_id is not None else None
            if record is None:
                reason = "answered twice" if line.call_id in batch.requests else "about another call: it was not sent"
                report.failures[kind_of(line.failure or reason) if line.call_id is None else reason] += 1
                continue
            if record.get("failure") == "erased":
                continue  # its text was erased meanwhile, and the reply goes with it
            rows.append(_row(record, line, price, report))
            if len(rows) >= SPOOLED_TOGETHER:
                spool.append_all(rows)
                rows = []
        for record in left.values():
            reason = f"{NOT_DONE}: {state.reason or state.status}"
            rows.append(_row(record, BatchLine(None, None, reason), price, report))
        spool.append_all(rows)


def _row(record: Mapping[str, Any], line: BatchLine, price: Price | None, report: CollectReport) -> dict[str, Any]:
    """Return an exchange of a batch as a spool record, and count it."""
    asked, check = json.loads(record["request"]), record["check"]
    scale = Scale(tuple(check["values"]), tuple(check["names"]))
    schema = label_schema(scale)
    messages = tuple(Message(role, content) for role, content in asked.get("messages", []))
    request = Request(
        record["role"],
        record["operator"],
        messages,
        schema,
        None,
        record["model"],
        record["template_digest"],
        asked.get("parameters", {}),
    )
    read = read_chat(line.body or "", grades=grades_of(schema))
    wrong = line.failure or read.failure
    if wrong is None and read.text is not None:
        rules = tuple(VotingRule(rule_id, "", 0, 0.0) for rule_id in check["rule_ids"])
        material = LabelMaterial(check["pair_id"], "", "", "", {}, {}, "", rules, scale)
        wrong = check_label(read.text, material)
    call_id = str(record["llm_call_id"])
    name = call_id if wrong is None else failure_id(call_id, record["run_id"], "batch")
    if wrong is None:
        report.n_good += 1
    else:
        report.failures[kind_of(wrong)] += 1
    text = None if line.body is None else read.text
    reply = Reply(text, read.usage, 0.0, wrong, read.grade_logprobs)
    cost = None if price is None or line.body is None else price.cost(read.usage, is_batch=True)
    return {**call_row(name, request, reply, provider=PROVIDER, cost=cost, run_id=record["run_id"]), "seconds": None}
