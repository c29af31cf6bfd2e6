"""A run that cannot work stops early with the cause; one bad reply among good ones does not stop it."""

from __future__ import annotations

from evolution.calls.failure_watch import (
    FIRST_ALIKE,
    IN_A_ROW,
    MAX_SAMPLE_CHARACTERS,
    Failure,
    FailureWatch,
    kind_of,
)


def test_the_first_failures_of_one_kind_stop_it() -> None:
    watch = FailureWatch()
    told = [watch.note(Failure(f"http 500: request {n}"), limit=64) for n in range(FIRST_ALIKE)]
    assert told[:-1] == [None] * (FIRST_ALIKE - 1)
    assert told[-1] == (
        f"the first {FIRST_ALIKE} calls all failed: http 500: request {FIRST_ALIKE - 1}. What was answered is kept; "
        "run the command again to go on with the rest, when the server is well"
    )


def test_a_model_that_says_nothing_of_use_is_not_told_as_a_server_that_is_unwell() -> None:
    """Two time-outs, then ten replies that are no JSON: the reason of the ten, and the last of them as a sample."""
    watch = FailureWatch()
    failures = [Failure("timeout: 5 s")] * 2
    failures += [Failure("not JSON: no object", f"I\n cannot {n}\x1b[31m", is_answer=True) for n in range(10)]
    told = [watch.note(one, limit=64) for one in failures]
    assert told[:-1] == [None] * 11
    assert told[-1] is not None and "server is well" not in told[-1]
    assert told[-1].startswith(
        "the first 12 calls all failed, 10 of them: not JSON: no object. A reply began “I cannot 9 [31m”. "
        "What was answered is kept. Name another model, or the right base_url, in afrel.toml [llm]"
    )
    assert 'afrel sql "select failure, reply from llm_calls where failure is not null' in told[-1]


def test_a_long_reply_is_quoted_short_and_none_not_at_all() -> None:
    for reply, said in (("x" * 100_000, f". A reply began “{'x' * MAX_SAMPLE_CHARACTERS}…”."), (None, ": <html>.")):
        watch = FailureWatch()
        failure = Failure("not a chat completion: <html>", reply, is_answer=True)
        told = [watch.note(failure, limit=1) for _ in range(FIRST_ALIKE)][-1]
        assert told is not None and said in told and ("began" in told) == (reply is not None)


def test_failures_of_different_kinds_and_such_among_good_ones_do_not() -> None:
    watch = FailureWatch()
    unlike = [Failure(f"kind {n % 2}: x") for n in range(IN_A_ROW - 1)]
    assert [watch.note(one, limit=1) for one in unlike] == [None] * (IN_A_ROW - 1)
    watch = FailureWatch()
    outcomes = [None if n % 15 == 14 else Failure("http 500: x") for n in range(300)]
    watch.note(None, limit=1)
    assert [watch.note(outcome, limit=1) for outcome in outcomes] == [None] * 300


def test_after_something_worked_as_many_failures_as_three_rounds_stop_it() -> None:
    watch = FailureWatch()
    watch.note(None, limit=10)
    told = [watch.note(Failure("timeout: 5 s"), limit=10) for _ in range(30)]
    assert told[28] is None
    assert told[29] is not None and told[29].startswith("30 calls in a row failed: timeout: 5 s. What was answered")


def test_a_kind_is_the_reason_without_its_particulars() -> None:
    assert kind_of("no connection to 127.0.0.1:9: refused") == "no connection to 127.0.0.1:9"
    assert kind_of("empty reply") == "empty reply"
