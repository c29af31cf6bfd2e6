"""Asking a server for many things at once: replies held already first, each exchange stored with what follows from it.

The event loop asks, this thread alone talks to the store. What is under way when a run is interrupted, or a budget or a
failing server ends it, is waited for and kept; what failed is counted by reason and asked again by the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from evolution.calls.budget import Budget, BudgetSpentError, Limits
from evolution.calls.failure_watch import kind_of
from evolution.calls.held_replies import HeldReplies
from evolution.calls.llm import LLM
from evolution.calls.paid_calls import Answer, Ask, Calls, drain_calls
from evolution.calls.prices import Price
from storage.errors import UserError
from storage.runs import start_run
from storage.store import Store

BATCH = 50  # rows stored together
GRACE_SECONDS = 20.0  # for what is under way when the run is stopped: it is paid for
T = TypeVar("T")
Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
# Takes a subject and the good answer about it; returns the rows that follow, by table.
Take: TypeAlias = Callable[[T, Answer], Rows]
# Takes a subject and the failure it got instead.
Lose: TypeAlias = Callable[[T, Answer], None]
Progress: TypeAlias = Callable[[int, str], None]  # how many are answered, what was used


@dataclass(frozen=True, slots=True)
class Served:
    """A model behind a server, and what a run may use of it. `seed` None: the server's own."""

    llm: LLM
    model: str
    parameters: Mapping[str, Any]
    spool_dir: Path
    seed: int | None = None
    concurrency: int = 64
    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model as its rows name it."""
        return f"{self.llm.provider}:{self.model}"


@dataclass(slots=True)
class Asked:
    """What came of asking. `failures` count reasons; `stopped` says why a budget ended it, `burn` what was used.

    `n_held` replies were paid for before, `n_drained` lay on the spool of a run that was cut short, `n_in_flight`
    requests were under way then.
    """

    n_answered: int = 0
    n_held: int = 0
    n_exchanges: int = 0
    n_drained: int = 0
    n_in_flight: int = 0
    stopped: str | None = None
    burn: str = ""
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def n_failed(self) -> int:
        return sum(self.failures.values())

    @property
    def is_complete(self) -> bool:
        """Whether everything was answered, so that there is nothing to ask again."""
        return self.stopped is None and not self.failures

    def counts(self) -> dict[str, Any]:
        """Return the figures for a run's row and for machines."""
        return {
            "answered": self.n_answered,
            "held_replies": self.n_held,
            "drained_replies": self.n_drained,
            "in_flight_when_cut_short": self.n_in_flight,
            "exchanges": self.n_exchanges,
            "failed": self.n_failed,
            "failures": dict(self.failures),
            "stopped": self.stopped,
            "used": self.burn or None,
        }

    def tell(self, *, again: str, lost: str = "") -> None:
        """Print it for people: `again` is the command that goes on, `lost` what the failed ones lack."""
        if self.n_held or self.n_drained:
            print(f"{self.n_held} replies were paid for before; {self.n_drained} came from a spool")
        if self.n_in_flight:
            print(
                f"{self.n_in_flight} requests were in flight when an earlier run was cut short; they were asked again"
            )
        if self.failures:
            reasons = "; ".join(f"{n} {reason}" for reason, n in self.failures.most_common())
            print(f"{self.n_failed} failed{lost}: {reasons}. Try those again: {again}")
        if self.burn:
            print(f"used: {self.burn}")
        if self.stopped:
            print(f"{self.stopped}: {again}")

    def drain(self, store: Store, folder: Path) -> None:
        """Take in what earlier runs left on their spools."""
        drained = drain_calls(store, folder)
        self.n_drained += drained.n_replies
        self.n_in_flight += drained.n_in_flight


def ask_served(
    store: Store,
    served: Served,
    asks: Iterable[Ask[T]],
    *,
    role: str,
    run_id: str,
    asked: Asked,
    take: Take[T],
    lose: Lose[T] | None = None,
    progress: Progress | None = None,
) -> None:
    """Ask for all and store what follows; a spent budget ends it and is told in `asked`.

    UserError when the key is refused or nothing works.
    """
    held = HeldReplies(store.read("good_replies", role=role, provider=served.llm.provider, model=served.model))
    budget, writer = Budget(served.limits, served.prices), _Writer(store, take, lose, asked)
    with Calls(
        served.llm,
        folder=served.spool_dir,
        run_id=run_id,
        held=held,
        ceiling=served.concurrency,
        budget=budget,
    ) as calls:
        answers = calls.ask_all(asks)
        try:
            for subject, answer in answers:
                writer.take(subject, answer)
                if progress is not None:
                    progress(asked.n_answered + asked.n_failed, calls.burn())
        except (KeyboardInterrupt, UserError) as error:
            for subject, answer in answers.rest(seconds=GRACE_SECONDS):
                writer.take(subject, answer)
            if not isinstance(error, BudgetSpentError):
                raise
            asked.stopped = str(error)
        finally:
            writer.flush()
            asked.burn = budget.burn()


def ask_in_run(
    store: Store,
    served: Served,
    asks: Iterable[Ask[T]],
    *,
    verb: str,
    role: str,
    config: Mapping[str, Any],
    account: str | None,
    asked: Asked,
    take_in: Callable[[str], Take[T]],
    counts: Callable[[], Mapping[str, Any]],
    progress: Progress | None = None,
) -> None:
    """Ask for all in a run of its own; `take_in` makes the taker of a run id, `counts` tells the run's other figures.

    What is not asked for in the end (a budget, an interrupt, a failing server) the next run asks for.
    """
    with start_run(store, verb=verb, config=config, account=account) as run:
        try:
            ask_served(
                store,
                served,
                asks,
                role=role,
                run_id=run.run_id,
                asked=asked,
                take=take_in(run.run_id),
                progress=progress,
            )
        finally:
            run.counts.update(**counts(), **asked.counts())
    asked.drain(store, served.spool_dir)  # the store holds all of it by now, so this only clears the spools away


class _Writer(Generic[T]):
    """Stores exchanges and what follows from them in one transaction, a batch at a time."""

    def __init__(self, store: Store, take: Take[T], lose: Lose[T] | None, asked: Asked) -> None:
        self._store, self._take, self._lose, self._asked = store, take, lose, asked
        self._rows: dict[str, list[Mapping[str, Any]]] = {}

    def take(self, subject: T, answer: Answer) -> None:
        self._add("llm_calls", answer.rows)
        self._asked.n_exchanges += len(answer.rows)
        if answer.text is None:
            self._asked.failures[kind_of(answer.failure or "no reply")] += 1
            if self._lose is not None:
                self._lose(subject, answer)
        else:
            self._asked.n_answered += 1
            self._asked.n_held += not answer.rows
            for table, rows in self._take(subject, answer).items():
                self._add(table, rows)
        if sum(map(len, self._rows.values())) >= BATCH:
            self.flush()

    def flush(self) -> None:
        rows, self._rows = self._rows, {}
        self._store.append(rows)

    def _add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows.setdefault(table, []).extend(rows)
