"""Sends calls from one event loop: as many at a time as the server bears, none twice, each reply on disk before use.

A job is one call: an exchange, and one more to repair a reply that cannot be used. A request that was refused or broke
down waits its turn and goes out again; the slot it had is free meanwhile. Every job ends in exactly one delivery: an
answer, or the error the run stopped for. After a stop nothing new is sent; what is under way is paid for and is waited
for.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from curation.completion import escape_block, one_line
from evolution.calls.budget import Budget, BudgetSpentError, Use
from evolution.calls.call_rows import call_row, failure_id, stored_row
from evolution.calls.failure_watch import AGAIN, Failure, FailureWatch
from evolution.calls.ledger import Ledger
from evolution.calls.llm import Check, Exchange, Message, Outcome, Reply, Request, ServedLLM
from evolution.calls.pace import Pace, backoff_seconds
from storage.errors import UserError

N_REPAIRS = 1
PATIENCE_SECONDS = 600.0  # of refusals, for one request
MAX_HOLD_SECONDS = 300.0  # a server that wants to be left alone for longer is asked again by another run


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one call: `text` when it is good, else `failure`.

    `rows` are the exchanges it took, as rows of `llm_calls`; none when the reply was held already.
    """

    llm_call_id: str
    text: str | None
    failure: str | None
    rows: tuple[Mapping[str, Any], ...] = ()


Deliver = Callable[[Answer | BaseException], None]


@dataclass(slots=True)
class Job:
    """A call to be made, and how far it is. `asked` is the request, or its repair."""

    call_id: str
    request: Request
    check: Check
    deliver: list[Deliver]
    asked: Request = field(init=False)
    n_exchanges: int = 0
    n_broken: int = 0
    refused_at: float | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked = self.request


class Dispatcher:
    """Jobs in, deliveries out. Used in its loop only."""

    def __init__(self, llm: ServedLLM, ledger: Ledger, *, run_id: str, ceiling: int, budget: Budget) -> None:
        self._llm, self._ledger, self._run_id, self._budget = llm, ledger, run_id, budget
        self.pace = Pace(ceiling)
        self._watch = FailureWatch()
        self._chance = random.Random()
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._again: list[tuple[float, int, Job]] = []  # by the time from which they may go out again
        self._n_again = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._stopped_for: BaseException | None = None

    @property
    def n_under_way(self) -> int:
        """Requests that are out now."""
        return len(self._tasks)

    def submit(self, job: Job) -> None:
        """Take a job in; one that asks what another asks shares its answer, one that was answered is not asked."""
        same = self._jobs.get(job.call_id)
        if same is not None:
            same.deliver += job.deliver
            return
        self._jobs[job.call_id] = job
        text = self._ledger.find(job.call_id)
        if text is not None:
            self._deliver(job, Answer(job.call_id, text, None))
        elif self._stopped_for is not None:
            self._deliver(job, self._stopped_for)
        else:
            self._waiting.append(job)
            self._pump()

    def stop(self, reason: BaseException) -> None:
        """Send nothing more: every job that is not out is delivered the reason."""
        if self._stopped_for is not None:
            return
        self._stopped_for = reason
        left = [*self._waiting, *(job for _, _, job in self._again)]
        self._waiting.clear()
        self._again.clear()
        for job in left:
            self._deliver(job, reason)

    async def abandon(self) -> None:
        """Give up what is under way; its lines on the spool say so to the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pump(self) -> None:
        """Start as many calls as may start now."""
        loop = asyncio.get_running_loop()
        at = loop.time()
        n_free = self.pace.n_free(len(self._tasks), at)
        while n_free > 0 and self._stopped_for is None:
            job = self._next(at)
            if job is None:
                break
            try:
                worst = self._budget.reserve(job.asked)
            except UserError as error:
                self._put_back(job, at)
                self.stop(error)
                return
            if worst is None:
                self._put_back(job, at)
                if not self._tasks:
                    self.stop(BudgetSpentError(f"stopped before the line of {self._budget.limits.told()}. {AGAIN}"))
                return
            task = loop.create_task(self._attempt(job, worst))
            self._tasks.add(task)
            task.add_done_callback(self._finished)
            n_free -= 1
        self._wake_later(loop, at)

    def _next(self, at: float) -> Job | None:
        if self._again and self._again[0][0] <= at:
            return heapq.heappop(self._again)[2]
        return self._waiting.popleft() if self._waiting else None

    def _put_back(self, job: Job, at: float) -> None:
        self._n_again += 1
        heapq.heappush(self._again, (at, self._n_again, job))

    def _wake_later(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Pump again when a pause ends; the end of a call pumps by itself."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if not self._waiting and not self._again:
            return
        held = self.pace.seconds_held(at)
        due = 0.0 if self._waiting else max(0.0, self._again[0][0] - at)
        if self._again:
            due = min(due, max(0.0, self._again[0][0] - at)) if self._waiting else due
        wait = max(held, due)
        if wait > 0:
            self._wake = loop.call_later(wait, self._pump)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop(error)
        self._pump()

    async def _attempt(self, job: Job, worst: Use) -> None:
        """Send a job's request once; what ends it otherwise than by a reply ends the job."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        exchange: Exchange | None = None
        try:
            number = self._ledger.note_sent(job.call_id, job.asked)
            exchange = await self._llm.exchange(job.asked)
            self._budget.settle(job.asked, worst, exchange)
            self._learn(exchange, sent_at, loop.time())
            if not self._is_sent_again(job, exchange, number, loop.time()):
                await self._take(job, exchange, number)
        except BaseException as error:
            if exchange is None:
                is_refusal = isinstance(error, UserError)
                self._budget.settle(job.asked, Use(1) if is_refusal else worst, None)
            self._deliver(job, error if isinstance(error, Exception) else _interrupted())
            raise

    def _learn(self, exchange: Exchange, sent_at: float, at: float) -> None:
        if exchange.hold_seconds is not None:
            if exchange.hold_seconds > MAX_HOLD_SECONDS:
                wait = f"{self._llm.host} wants no request for {exchange.hold_seconds:.0f} s"
                self.stop(UserError(f"{wait}. {AGAIN} after that time"))
            self.pace.hold(exchange.hold_seconds, at)
        if exchange.outcome is Outcome.ANSWERED:
            self.pace.note_reply(exchange.reply.seconds, n_under_way=len(self._tasks))
        else:
            self.pace.note_trouble(sent_at=sent_at, at=at)

    def _is_sent_again(self, job: Job, exchange: Exchange, number: int, at: float) -> bool:
        """Put a job that got no reply back in line, if it is worth another try."""
        if exchange.outcome is Outcome.ANSWERED or self._stopped_for is not None:
            return False
        if exchange.outcome is Outcome.REFUSED:
            job.refused_at = at if job.refused_at is None else job.refused_at
            if at - job.refused_at > PATIENCE_SECONDS:
                return False
        elif job.n_broken >= self._llm.max_retries:
            return False
        else:
            job.n_broken += 1
        self._ledger.note_sent_back(number)
        wait = backoff_seconds(max(0, job.n_broken - 1), exchange.retry_seconds, self._chance)
        self._put_back(job, at + wait)
        return True

    async def _take(self, job: Job, exchange: Exchange, number: int) -> None:
        """Keep a reply, then use it: deliver the answer, or ask for a repair."""
        reply = exchange.reply
        job.n_exchanges += 1
        wrong, broken = _wrong_with(reply, job.check)
        name = job.call_id if wrong is None else failure_id(job.call_id, self._run_id, job.n_exchanges)
        price = self._budget.prices.get(job.asked.model)
        row = call_row(
            name,
            job.asked,
            replace(reply, failure=wrong),
            provider=self._llm.provider,
            cost=None if price is None else price.cost(reply.usage),
            run_id=self._run_id,
        )
        await self._ledger.keep(number, row)
        if broken is not None:
            raise broken
        job.rows.append(stored_row(row))
        if wrong is not None and reply.text is not None and job.n_exchanges <= N_REPAIRS and self._stopped_for is None:
            job.asked = _repair(job.request, reply.text, wrong)
            self._put_back(job, 0.0)
            return
        text = reply.text if wrong is None else None
        self._deliver(job, Answer(name, text, wrong, tuple(job.rows)))
        is_answer = exchange.outcome is Outcome.ANSWERED
        failure = None if wrong is None else Failure(wrong, reply.text, is_answer=is_answer)
        reason = self._watch.note(failure, limit=self.pace.limit)
        if reason is not None:
            self.stop(UserError(reason))

    def _deliver(self, job: Job, outcome: Answer | BaseException) -> None:
        self._jobs.pop(job.call_id, None)
        for place, deliver in enumerate(job.deliver):
            # the exchanges are stored once, however many asked
            deliver(replace(outcome, rows=()) if place and isinstance(outcome, Answer) else outcome)


def _wrong_with(reply: Reply, check: Check) -> tuple[str | None, Exception | None]:
    """Return why a reply cannot be used; and what the check raised, which must not cost the reply."""
    if reply.failure or reply.text is None:
        return reply.failure or "empty reply", None
    try:
        return check(reply.text), None
    except Exception as error:
        return f"not checked: {type(error).__name__}", error


def _interrupted() -> UserError:
    return UserError(f"given up while under way. {AGAIN}")


def _repair(request: Request, text: str, wrong: str) -> Request:
    """Return the request with the reply and what is wrong with it; the reason may quote the reply, and that a doc."""
    complaint = (
        f"That reply cannot be used.\n<reason>\n{one_line(escape_block(wrong))}\n</reason>\n"
        "Answer again with one JSON object of the given schema, only that."
    )
    return replace(request, messages=(*request.messages, Message("assistant", text), Message("user", complaint)))
