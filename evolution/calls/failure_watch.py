"""When a run should stop instead of failing on: nothing has ever worked, or nothing works any more.

Why it stops is told by the failure that was most frequent, with what came back and what can be done about it: a server
that breaks down is waited for, a model whose replies are no use is not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from curation.completion import one_line

FIRST_ALIKE = 10  # failures of one kind before anything worked: a wrong setting, not bad luck
IN_A_ROW = 20  # failures after something worked: the server is gone
MAX_SAMPLE_CHARACTERS = 160  # of a reply that is quoted
AGAIN = "What was answered is kept; run the command again to go on with the rest"
READ_REPLIES = 'afrel sql "select failure, reply from llm_calls where failure is not null order by created_at desc"'


def kind_of(failure: str) -> str:
    """Return what failures are counted by: the reason without its particulars."""
    return failure.partition(": ")[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call failed: the reason, the text that came, and whether it is the model's or host's answer.

    Asking again buys the same answer; a call that was refused or broke down is another matter.
    """

    reason: str
    reply: str | None = None
    is_answer: bool = False


class FailureWatch:
    """Counts failures; `note` returns why to stop."""

    def __init__(self) -> None:
        self._n_good = 0
        self._n_alike = 0
        self._kind = ""
        self._in_a_row: Counter[str] = Counter()
        self._last: dict[str, Failure] = {}

    def note(self, failure: Failure | None, *, limit: float) -> str | None:
        """Learn how a call ended (None: well), with so many allowed at a time; return the reason to stop, if any."""
        if failure is None:
            self._n_good += 1
            self._n_alike = 0
            self._in_a_row.clear()
            self._last.clear()
            return None
        kind = kind_of(failure.reason)
        self._n_alike = self._n_alike + 1 if kind == self._kind else 1
        self._kind = kind
        self._in_a_row[kind] += 1
        self._last[kind] = failure
        n = self._in_a_row.total()
        if not self._n_good and self._n_alike >= FIRST_ALIKE:
            return self._told(f"the first {n} calls all failed")
        if n >= max(IN_A_ROW, 3 * limit):
            return self._told(f"{n} calls in a row failed")
        return None

    def _told(self, what: str) -> str:
        ((kind, n),) = self._in_a_row.most_common(1)
        last, n_all = self._last[kind], self._in_a_row.total()
        share = f", {n} of them" if n < n_all else ""
        told = f"{what}{share}: {last.reason}"
        if not last.is_answer:
            return f"{told}. {AGAIN}, when the server is well"
        said = f". A reply began “{_shortened(last.reply)}”" if last.reply else ""
        return (
            f"{told}{said}. What was answered is kept. Name another model, or the right base_url, in afrel.toml [llm] "
            f"and run the command again. What came back: {READ_REPLIES}"
        )


def _shortened(reply: str) -> str:
    line = one_line(reply[: 4 * MAX_SAMPLE_CHARACTERS])
    return line if len(line) <= MAX_SAMPLE_CHARACTERS else f"{line[:MAX_SAMPLE_CHARACTERS]}…"
