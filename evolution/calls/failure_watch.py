"""When a run should stop instead of failing on: nothing has ever worked, or nothing works any more."""

from __future__ import annotations

FIRST_ALIKE = 10  # failures of one kind before anything worked: a wrong setting, not bad luck
IN_A_ROW = 20  # failures after something worked: the server is gone


def kind_of(failure: str) -> str:
    """Return what failures are counted by: the reason without its particulars."""
    return failure.partition(": ")[0]


class FailureWatch:
    """Counts failures; `note` returns why to stop."""

    def __init__(self) -> None:
        self._n_good = 0
        self._n_in_a_row = 0
        self._n_alike = 0
        self._kind = ""

    def note(self, failure: str | None, *, limit: float) -> str | None:
        """Learn how a call ended (None: well), with so many allowed at a time; return the reason to stop, if any."""
        if failure is None:
            self._n_good += 1
            self._n_in_a_row = self._n_alike = 0
            return None
        kind = kind_of(failure)
        self._n_alike = self._n_alike + 1 if kind == self._kind else 1
        self._kind = kind
        self._n_in_a_row += 1
        if not self._n_good and self._n_alike >= FIRST_ALIKE:
            return f"the first {self._n_alike} calls all failed: {failure}"
        if self._n_in_a_row >= max(IN_A_ROW, 3 * limit):
            return f"{self._n_in_a_row} calls in a row failed, the last: {failure}"
        return None
