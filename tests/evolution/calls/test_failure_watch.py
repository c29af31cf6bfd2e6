"""A run that cannot work stops early with the cause; one bad reply among good ones does not stop it."""

from __future__ import annotations

from evolution.calls.failure_watch import FIRST_ALIKE, IN_A_ROW, FailureWatch, kind_of


def test_the_first_failures_of_one_kind_stop_it() -> None:
    watch = FailureWatch()
    told = [watch.note(f"http 500: request {n}", limit=64) for n in range(FIRST_ALIKE)]
    assert told[:-1] == [None] * (FIRST_ALIKE - 1)
    assert told[-1] == f"the first {FIRST_ALIKE} calls all failed: http 500: request {FIRST_ALIKE - 1}"


def test_failures_of_different_kinds_and_such_among_good_ones_do_not() -> None:
    watch = FailureWatch()
    assert [watch.note(f"kind {n % 2}: x", limit=1) for n in range(IN_A_ROW - 1)] == [None] * (IN_A_ROW - 1)
    watch = FailureWatch()
    outcomes = [None if n % 15 == 14 else "http 500: x" for n in range(300)]
    watch.note(None, limit=1)
    assert [watch.note(outcome, limit=1) for outcome in outcomes] == [None] * 300


def test_after_something_worked_as_many_failures_as_three_rounds_stop_it() -> None:
    watch = FailureWatch()
    watch.note(None, limit=10)
    told = [watch.note("timeout: 5 s", limit=10) for _ in range(30)]
    assert told[28] is None and told[29] == "30 calls in a row failed, the last: timeout: 5 s"


def test_a_kind_is_the_reason_without_its_particulars() -> None:
    assert kind_of("no connection to 127.0.0.1:9: refused") == "no connection to 127.0.0.1:9"
    assert kind_of("empty reply") == "empty reply"
