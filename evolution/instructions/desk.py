"""The calls of one run of evolution: labels, edits and critique, one kind after the other, out of one budget.

Each kind has its own model and its own held replies. They never run at the same time, so one budget serves them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from evolution.calls.budget import Budget
from evolution.calls.failure_watch import kind_of
from evolution.calls.held_replies import HeldReplies
from evolution.calls.llm import LLM
from evolution.calls.paid_calls import Answer, Ask, Calls
from evolution.labelling.request import LabelForm
from storage.errors import UserError
from storage.grades import Scale
from storage.store import Store

BATCH = 50  # exchanges stored together
GRACE_SECONDS = 20.0  # for what is under way when the run is stopped: it is paid for
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServedRole:
    """The model that does one kind of work: label, evolver or critic. `llm` None: a dry run, which asks nobody."""

    work: str
    llm: LLM | None
    provider: str
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    @property
    def name(self) -> str:
        """What rows call it."""
        return f"{self.provider}:{self.model}"

    def label_form(self, instruction: str, scale: Scale) -> LabelForm:
        """Return the prompt of labelling under an instruction: that of `afrel label`, so that its replies serve."""
        return LabelForm(instruction, scale, self.model, dict(self.parameters), self.seed)


@dataclass(slots=True)
class CallCounts:
    """What the calls of a run came to; `failures` by reason."""

    n_exchanges: int = 0
    n_held: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def n_failed(self) -> int:
        """Calls without a usable reply."""
        return sum(self.failures.values())


class Desk:
    """Asks, stores what came, and counts. The only one that talks to a server during a run."""

    def __init__(self, store: Store, *, folder: Path, run_id: str, budget: Budget, ceiling: int) -> None:
        self._store, self._folder, self._run_id = store, folder, run_id
        self._budget, self._ceiling = budget, ceiling
        self.counts = CallCounts()
        self._open: dict[str, Calls] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def burn(self) -> str:
        """Say what is spent so far."""
        return self._budget.burn()

    def ask_all(
        self, asks: Iterable[Ask[T]], role: ServedRole, tell: Callable[[], None] = lambda: None
    ) -> list[tuple[T, Answer]]:
        """Return every answer with its subject; `tell` is called after each.

        Where the run is interrupted, out of budget or the server gone, what is under way is waited for and stored
        before the error goes on.
        """
        answers = self._calls(role).ask_all(asks)
        told: list[tuple[T, Answer]] = []
        rows: list[Mapping[str, Any]] = []
        try:
            for subject, answer in answers:
                told.append((subject, answer))
                self._take(answer, rows)
                tell()
        except (KeyboardInterrupt, UserError):
            for _, answer in answers.rest(seconds=GRACE_SECONDS):
                self._take(answer, rows)
            raise
        finally:
            self._flush(rows)
        return told

    def _take(self, answer: Answer, rows: list[Mapping[str, Any]]) -> None:
        self.counts.n_exchanges += len(answer.rows)
        if answer.text is None:
            self.counts.failures[kind_of(answer.failure or "")] += 1
        else:
            self.counts.n_held += not answer.rows
        rows += answer.rows
        if len(rows) >= BATCH:
            self._flush(rows)

    def _flush(self, rows: list[Mapping[str, Any]]) -> None:
        if rows:
            self._store.append({"llm_calls": list(rows)})
            rows.clear()

    def _calls(self, role: ServedRole) -> Calls:
        calls = self._open.get(role.work)
        if calls is None:
            assert role.llm is not None, "a dry run asks nobody"
            held = HeldReplies(
                self._store.read("good_replies", role=role.work, provider=role.provider, model=role.model)
            )
            calls = Calls(
                role.llm,
                folder=self._folder,
                run_id=self._run_id,
                held=held,
                ceiling=self._ceiling,
                budget=self._budget,
            )
            self._open[role.work] = self._stack.enter_context(calls)
        return calls
