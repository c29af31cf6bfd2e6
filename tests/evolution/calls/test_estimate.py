"""An estimate before the start: worked by hand, wider without calls to learn from, and of nothing it is nothing."""

from __future__ import annotations

import pytest

from evolution.calls.call_rows import call_row, stored_row
from evolution.calls.estimate import CallSizes, call_sizes, estimate
from evolution.calls.llm import Message, Reply, Request, Usage
from evolution.calls.prices import Price
from storage.store import Store

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


def test_a_short_kind_of_call_says_nothing_of_a_long_one(store: Store) -> None:
    """Of one role: three edits with replies of 400 tokens, five of another kind with 20."""
    rows = []
    for n in range(8):
        name, tokens = ("simplify", 400) if n < 3 else ("add_constraint", 20)
        asked = Request("evolver", name, (Message("user", f"case {n}"),), {}, None, "m", "d")
        reply = Reply("{}", Usage(10, tokens), 0.1)
        rows.append(stored_row(call_row(f"l_{n}", asked, reply, provider="openai", cost=None, run_id="r")))
    store.append({"llm_calls": rows})

    def sizes(*operators: str) -> CallSizes:
        return call_sizes(store, role="evolver", operators=operators, provider="openai", model="m")

    assert (sizes("simplify").n, sizes("simplify").n_reply_tokens) == (3, 400.0)
    both = sizes("simplify", "add_constraint")
    assert (both.n, both.n_reply_tokens) == (8, (3 * 400 + 5 * 20) / 8)
    assert sizes().n == 0
