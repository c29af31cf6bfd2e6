"""Paid calls: each reply is on the worker's spool before anything else happens to it, and none is bought twice.

A good reply is stored under the name of its call, so a later run finds it; a failure is stored under a name of its own
and the call is made again. One exchange that came back unusable is repaired once, by showing the model its reply and
what is wrong with it. Callers are ordinary threads; the calls are made in one event loop.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from evolution.calls.budget import Budget
from evolution.calls.call_rows import call_key, reply_id, split_spool
from evolution.calls.dispatch import N_REPAIRS, Answer, Deliver, Dispatcher, Job
from evolution.calls.ledger import Ledger
from evolution.calls.llm import LLM, Check, Request, ServedLLM
from evolution.calls.loop_thread import LoopThread
from evolution.calls.threaded_llm import ThreadedLLM
from storage.errors import UserError
from storage.spool import Spool, drain
from storage.store import Store

__all__ = ["N_REPAIRS", "Answer", "Answers", "Ask", "Calls", "DrainReport", "call_key", "drain_calls", "reply_id"]

DEFAULT_CEILING = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """A request about a subject, and what its reply must be."""

    subject: T
    request: Request
    check: Check


class Calls:
    """Makes the calls of one run. `ask` may be called by any number of threads, `ask_all` by one at a time.

    `held` are good replies paid for earlier, by `llm_call_id`. At most `ceiling` requests are under way.
    """

    def __init__(
        self,
        llm: LLM,
        *,
        folder: Path,
        run_id: str,
        held: Mapping[str, str],
        ceiling: int = DEFAULT_CEILING,
        budget: Budget | None = None,
    ) -> None:
        self._llm: ServedLLM = llm if isinstance(llm, ServedLLM) else ThreadedLLM(llm)
        self._held = held
        self._ceiling = ceiling
        self.budget = budget or Budget()
        self._ledger = Ledger(Spool(folder, run_id), provider=llm.provider, run_id=run_id)
        self._thread = LoopThread("calls")
        self._dispatcher = Dispatcher(self._llm, self._ledger, run_id=run_id, ceiling=ceiling, budget=self.budget)

    def ask(self, request: Request, check: Check) -> Answer:
        """Return the held reply, or ask, spool, check and repair once; a failure is an answer with its reason."""
        found = self._find(request, check)
        if isinstance(found, Answer):
            return found
        future: Future[Answer] = Future()

        def deliver(outcome: Answer | BaseException) -> None:
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        found.deliver.append(deliver)
        self._thread.soon(self._dispatcher.submit, found)
        return future.result()

    def ask_all(self, asks: Iterable[Ask[T]]) -> Answers[T]:
        """Return the answers as they come, each with its subject; a bounded number is asked ahead."""
        return Answers(self, asks, window=2 * self._ceiling + 16)

    def burn(self) -> str:
        """Say what is spent so far, and how many calls are under way."""
        return f"{self.budget.burn()}, {self._dispatcher.n_under_way} under way"

    def stop(self, reason: BaseException) -> None:
        """Send nothing more; what is under way goes on."""
        self._thread.soon(self._dispatcher.stop, reason)

    def abandon(self) -> None:
        """Give up what is under way."""
        self._thread.run(self._dispatcher.abandon())

    def close(self) -> None:
        """Give up what is still under way, close the spool and the connections."""
        self._thread.run(self._close())
        self._thread.close()

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit_all(self, jobs: list[Job]) -> None:
        """Hand jobs to the loop, all at once."""
        self._thread.soon(self._submit_all, jobs)

    def job_or_answer(self, ask: Ask[T]) -> Job | Answer:
        """Return the held answer to an ask, else the job that gets it."""
        return self._find(ask.request, ask.check)

    def _submit_all(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._dispatcher.submit(job)

    async def _close(self) -> None:
        self._dispatcher.stop(UserError("the run has ended"))
        await self._dispatcher.abandon()
        await self._ledger.close()
        await self._llm.close()

    def _find(self, request: Request, check: Check) -> Job | Answer:
        call_id = reply_id(request, self._llm.provider)
        text = self._held.get(call_id)
        return Job(call_id, request, check, []) if text is None else Answer(call_id, text, None)


class Answers(Generic[T]):
    """The answers to many asks, as they come. When the run must stop, what is under way comes first, then the error."""

    def __init__(self, calls: Calls, asks: Iterable[Ask[T]], *, window: int) -> None:
        self._calls, self._asks, self._window = calls, iter(asks), window
        self._outbox: _Outbox[T] = _Outbox()
        self._here: deque[tuple[T, Answer | BaseException]] = deque()
        self._n_out = 0
        self._is_asking = True
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[tuple[T, Answer]]:
        while True:
            if not self._here:
                self._ask_ahead()
            if not self._here:
                if not self._n_out:
                    break
                self._receive(None)
                continue
            subject, outcome = self._here.popleft()
            if isinstance(outcome, Answer):
                yield subject, outcome
            else:
                self._error, self._is_asking = self._error or outcome, False
        if self._error is not None:
            raise self._error

    def rest(self, *, seconds: float) -> Iterator[tuple[T, Answer]]:
        """Stop asking and yield what is under way, for so long; what takes longer is given up."""
        self._is_asking = False
        self._calls.stop(UserError("stopped"))
        until, is_given_up = time.monotonic() + seconds, False
        while self._n_out or self._here:
            while self._here:
                subject, outcome = self._here.popleft()
                if isinstance(outcome, Answer):
                    yield subject, outcome
            if self._n_out and not self._receive(max(0.0, until - time.monotonic())):
                if is_given_up:
                    return
                self._calls.abandon()
                until, is_given_up = time.monotonic() + 1.0, True

    def _ask_ahead(self) -> None:
        jobs: list[Job] = []
        while self._is_asking and self._n_out + len(self._here) < self._window:
            ask = next(self._asks, None)
            if ask is None:
                self._is_asking = False
                break
            found = self._calls.job_or_answer(ask)
            if isinstance(found, Answer):
                self._here.append((ask.subject, found))
            else:
                found.deliver.append(self._outbox.deliverer(ask.subject))
                jobs.append(found)
                self._n_out += 1
        if jobs:
            self._calls.submit_all(jobs)

    def _receive(self, timeout: float | None) -> bool:
        """Wait for deliveries; say whether any came."""
        try:
            came = self._outbox.delivered.get(timeout=timeout)
        except queue.Empty:
            return False
        self._here.extend(came)
        self._n_out -= len(came)
        return True


class _Outbox(Generic[T]):
    """Hands deliveries from the loop to the asking thread, those of one turn of the loop together."""

    def __init__(self) -> None:
        self.delivered: queue.SimpleQueue[list[tuple[T, Answer | BaseException]]] = queue.SimpleQueue()
        self._turn: list[tuple[T, Answer | BaseException]] = []

    def deliverer(self, subject: T) -> Deliver:
        def deliver(outcome: Answer | BaseException) -> None:
            if not self._turn:
                asyncio.get_running_loop().call_soon(self._hand_over)
            self._turn.append((subject, outcome))

        return deliver

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        self.delivered.put(turn)


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a restart found: replies the store had not taken yet, requests that were under way when their worker was
    cut short, and lines a crash cut short."""

    n_replies: int
    n_in_flight: int
    n_torn: int


def drain_calls(store: Store, folder: Path) -> DrainReport:
    """Store every reply that dead workers left on their spools, then remove those spools.

    A request without a reply becomes a failure with that reason; it is asked again by whoever needs it.
    """
    n_replies = n_in_flight = n_torn = 0
    for spool in drain(folder):
        replies, lost = split_spool(spool.records)
        if replies:
            n_replies += store.append({"llm_calls": replies}).get("llm_calls", 0)
        if lost:
            n_in_flight += store.append({"llm_calls": lost}).get("llm_calls", 0)
        n_torn += spool.n_torn
        spool.remove()
    return DrainReport(n_replies, n_in_flight, n_torn)
