"""What a run would take, before it starts: requests, tokens and money, each with an interval.

Prompts are measured by rendering some of them. What a byte is in tokens and how long replies are is learned from the
calls that were made before; with too few of those it is a wide guess, and the estimate says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evolution.calls.asking import Served
from evolution.calls.call_rows import call_row
from evolution.calls.llm import Reply, Request, Usage
from evolution.calls.prices import Price
from storage.store import Store

N_SAMPLE = 200
MIN_CALLS = 20  # before they say more than a guess
Z = 1.96
# Without calls to learn from. English is near four bytes a token, Chinese near three bytes a token or two.
GUESSED_TOKENS_A_BYTE = (0.2, 0.28, 0.5)
GUESSED_REPLY_TOKENS = (60.0, 150.0, 500.0)
GUESSED_EXCHANGES = (1.0, 1.05, 1.5)


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its 95% interval, or the bounds of a guess."""

    low: float
    middle: float
    high: float

    def __mul__(self, other: Range) -> Range:
        return Range(self.low * other.low, self.middle * other.middle, self.high * other.high)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Return the range of so many of these."""
        return Range(self.low * factor, self.middle * factor, self.high * factor)

    def told(self, decimals: int = 0) -> str:
        """Write it for people."""
        return f"{self.middle:,.{decimals}f} ({self.low:,.{decimals}f} to {self.high:,.{decimals}f})"

    def to_json(self) -> dict[str, float]:
        """Return it for machines."""
        return {"low": self.low, "estimate": self.middle, "high": self.high}


@dataclass(frozen=True, slots=True)
class CallSizes:
    """What earlier calls took; the means and deviations are None without any."""

    n: int
    n_good: int
    tokens_a_byte: float | None
    tokens_a_byte_deviation: float | None
    n_reply_tokens: float | None
    n_reply_tokens_deviation: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What so many calls would take. `cost` None: the model has no price. `n_learned`: calls it was learned from."""

    n_calls: int
    n_requests: Range
    n_prompt_tokens: Range
    n_reply_tokens: Range
    cost: Range | None
    n_learned: int

    def told(self) -> str:
        """Say it in a few lines."""
        lines = [
            f"estimate: {self.n_requests.told()} requests, {self.n_prompt_tokens.told()} prompt tokens, "
            f"{self.n_reply_tokens.told()} reply tokens"
        ]
        if self.cost is None:
            lines.append('cost unknown: afrel.toml has no [llm.prices."MODEL"] for it')
        else:
            lines.append(f"cost: {self.cost.told(4)}")
        basis = f"{self.n_learned} earlier calls" if self.n_learned else "the length of the texts alone, a wide guess"
        return "\n".join([*lines, f"learned from {basis}; replies held already cost nothing"])

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "calls": self.n_calls,
            "requests": self.n_requests.to_json(),
            "prompt_tokens": self.n_prompt_tokens.to_json(),
            "reply_tokens": self.n_reply_tokens.to_json(),
            "cost": None if self.cost is None else self.cost.to_json(),
            "learned_from": self.n_learned,
        }


def estimate_calls(store: Store, *, role: str, served: Served, n_calls: int, sample: Sequence[Request]) -> Estimate:
    """Estimate so many calls like those of a sample, from the like calls which the model answered before."""
    operators = sorted({request.operator for request in sample})
    sizes = call_sizes(store, role=role, operators=operators, provider=served.llm.provider, model=served.model)
    return estimate(n_calls, sample, sizes, served.prices.get(served.model))


def call_sizes(store: Store, *, role: str, operators: Sequence[str], provider: str, model: str) -> CallSizes:
    """Return what a model's calls of a role took, those by these operators: a grade is shorter than a rationale."""
    read = store.read("call_sizes", role=role, operators=list(operators), provider=provider, model=model)
    return CallSizes(**read.to_pylist()[0])


def estimate(n_calls: int, sample: Sequence[Request], sizes: CallSizes, price: Price | None) -> Estimate:
    """Estimate `n_calls` calls like those of a sample."""
    n_bytes = _mean_range([_n_bytes(request) for request in sample])
    if sizes.n >= MIN_CALLS and sizes.tokens_a_byte is not None and sizes.n_reply_tokens is not None:
        tokens_a_byte = _around(sizes.tokens_a_byte, sizes.tokens_a_byte_deviation, sizes.n)
        n_reply = _around(sizes.n_reply_tokens, sizes.n_reply_tokens_deviation, sizes.n)
        exchanges = _exchanges(sizes)
        n_learned = sizes.n
    else:
        tokens_a_byte, n_reply = Range(*GUESSED_TOKENS_A_BYTE), Range(*GUESSED_REPLY_TOKENS)
        exchanges, n_learned = Range(*GUESSED_EXCHANGES), 0
    n_requests = exchanges.times(n_calls)
    n_prompt_tokens, n_reply_tokens = n_requests * n_bytes * tokens_a_byte, n_requests * n_reply
    cost = None
    if price is not None:
        cost = n_prompt_tokens.times(price.prompt / 1e6) + n_reply_tokens.times(price.completion / 1e6)
    return Estimate(n_calls, n_requests, n_prompt_tokens, n_reply_tokens, cost, n_learned)


def _n_bytes(request: Request) -> int:
    """Return the size of a request as it is stored, which is what earlier calls are measured by."""
    row = call_row("", request, Reply(None, Usage(), 0.0), provider="", cost=None, run_id="")
    return len(row["request"].encode("utf-8", "surrogatepass"))


def _mean_range(values: Sequence[float]) -> Range:
    if not values:
        return Range(0.0, 0.0, 0.0)
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return _around(statistics.fmean(values), deviation, len(values))


def _around(mean: float, deviation: float | None, n: int) -> Range:
    half = Z * (deviation or 0.0) / math.sqrt(n)
    return Range(max(0.0, mean - half), mean, mean + half)


def _exchanges(sizes: CallSizes) -> Range:
    """Return exchanges a call: every failure was either repaired or is asked again. Wilson's interval of the share."""
    n, share = sizes.n, 1 - sizes.n_good / sizes.n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return Range(1 + max(0.0, centre - half), 1 + share, 1 + min(1.0, centre + half))
