"""An estimate before the start: worked by hand, wider without calls to learn from, and of nothing it is nothing."""

from __future__ import annotations

import pytest

from evolution.calls.estimate import CallSizes, estimate
from evolution.calls.llm import Message, Request
from evolution.calls.prices import Price

NO_CALLS = CallSizes(0, 0, None, None, None, None)


def request(text: str) -> Request:
    return Request("label", "label", (Message("user", text),), {}, None, "m", "d")


def test_with_earlier_calls_it_is_their_means() -> None:
    """A stored request is {"messages":[["user","…"]],"parameters":{}}: 41 bytes and the text's 59, a hundred.

    100 calls of 100 bytes at 0.3 tokens a byte, a fifth of them made twice: 120 requests, 3,600 and 1,200 tokens.
    """
    sizes = CallSizes(100, 80, 0.3, 0.0, 10.0, 0.0)
    told = estimate(100, [request("x" * 59)] * 5, sizes, Price(prompt=1.0, completion=10.0))
    assert told.n_requests.middle == pytest.approx(120)
    assert told.n_prompt_tokens.middle == pytest.approx(120 * 100 * 0.3, rel=0.02)
    assert told.n_reply_tokens.middle == pytest.approx(1200)
    assert told.cost is not None
    assert told.cost.middle == pytest.approx((told.n_prompt_tokens.middle + 10 * 1200) / 1e6)
    assert told.n_requests.low < 120 < told.n_requests.high
    assert "100 earlier calls" in told.told()


def test_without_earlier_calls_it_is_a_wide_guess_and_says_so() -> None:
    told = estimate(100, [request("x" * 59)], NO_CALLS, None)
    assert told.n_prompt_tokens.high / told.n_prompt_tokens.low > 3
    assert told.cost is None and "cost unknown" in told.told() and "wide guess" in told.told()


def test_of_no_calls_it_is_nothing() -> None:
    told = estimate(0, [], NO_CALLS, Price(1.0, 1.0))
    assert (told.n_requests.high, told.n_prompt_tokens.high, told.cost and told.cost.high) == (0, 0, 0)
