"""A run stops before its line: what is under way counts with the worst it can cost."""

from __future__ import annotations

import pytest

from evolution.calls.budget import TOKENS_A_MESSAGE, Budget, Limits
from evolution.calls.llm import Exchange, Message, Outcome, Reply, Request, Usage
from evolution.calls.prices import Price
from storage.errors import UserError

PRICES = {"m": Price(prompt=1.0, completion=10.0)}


def request(**parameters: int) -> Request:
    """A request of 2 + 10 bytes and one message: at most 28 prompt tokens."""
    return Request("label", "label", (Message("user", "0123456789"),), {}, None, "m", "d", parameters)


def answered(n_prompt: int | None, n_reply: int | None, failure: str | None = None) -> Exchange:
    return Exchange(Reply("x", Usage(n_prompt, n_reply), 0.1, failure), Outcome.ANSWERED)


def test_the_worst_of_a_request_is_its_bytes_and_the_longest_reply() -> None:
    worst = Budget(Limits(cost=1.0), PRICES).worst_of(request(max_completion_tokens=100))
    assert worst.n_tokens == 2 + 10 + TOKENS_A_MESSAGE + 100
    assert worst.cost == pytest.approx((28 * 1 + 100 * 10) / 1e6)


def test_what_is_under_way_counts_in_full_until_it_is_settled() -> None:
    """128 tokens at worst; 300 hold two of them. Settled at 40 in all, there is room for two more."""
    budget = Budget(Limits(n_tokens=300))
    asked = request(max_completion_tokens=100)
    first, second = budget.reserve(asked), budget.reserve(asked)
    assert first is not None and second is not None and budget.reserve(asked) is None
    budget.settle(asked, first, answered(10, 10))
    budget.settle(asked, second, answered(10, 10))
    assert (budget.spent.n_tokens, budget.reserved.n_tokens) == (40, 0)
    assert [budget.reserve(asked) is not None for _ in range(3)] == [True, True, False]


def test_requests_are_counted_also_when_they_fail() -> None:
    budget = Budget(Limits(n_requests=2))
    for outcome in (Outcome.REFUSED, Outcome.BROKEN):
        worst = budget.reserve(request())
        assert worst is not None
        budget.settle(request(), worst, Exchange(Reply(None, Usage(), 0.1, "http 500: x"), outcome))
    assert budget.reserve(request()) is None
    assert (budget.spent.n_requests, budget.spent.n_tokens) == (2, 0)


def test_what_was_cut_off_or_not_counted_by_the_server_counts_as_bought_in_full() -> None:
    asked = request(max_completion_tokens=100)
    for exchange in (Exchange(Reply(None, Usage(), 1.0, "timeout"), Outcome.LOST), answered(None, None), None):
        budget = Budget(Limits(n_tokens=1000))
        worst = budget.reserve(asked)
        assert worst is not None
        budget.settle(asked, worst, exchange)
        assert budget.spent.n_tokens == 128


def test_a_cost_is_the_price_of_the_tokens_used() -> None:
    budget = Budget(Limits(cost=1.0), PRICES)
    asked = request(max_completion_tokens=100)
    worst = budget.reserve(asked)
    assert worst is not None
    budget.settle(asked, worst, answered(1000, 50))
    assert budget.spent.cost == pytest.approx((1000 + 500) / 1e6)
    assert "cost 0.0015 of --max-cost 1" in budget.burn()


def test_a_limit_that_cannot_be_kept_is_told_before_anything_is_sent() -> None:
    with pytest.raises(UserError, match=r'\[llm.prices."m"\]'):
        Budget(Limits(cost=1.0)).reserve(request(max_completion_tokens=5))
    with pytest.raises(UserError, match="max_reply_tokens"):
        Budget(Limits(n_tokens=1000)).reserve(request())
