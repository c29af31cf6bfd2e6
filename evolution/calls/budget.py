"""What a run may spend, and a stop before the line: whatever is under way counts with the worst it can cost.

A request is sent only while what is spent, the worst of all that is under way and its own worst stay within every
limit. A token is at least a byte of what is sent, and a reply has at most as many tokens as it is allowed; what was
cut off in the middle counts as bought in full, for nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evolution.calls.llm import Exchange, Outcome, Request
from evolution.calls.prices import Price
from storage.errors import UserError
from storage.ids import canonical_json

TOKENS_A_MESSAGE = 16  # a chat template's own, at most
_REPLY_LIMITS = ("max_completion_tokens", "max_tokens")


class BudgetSpentError(UserError):
    """The next request might cross a limit; what is under way was waited for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a run may use; None: no limit. Tokens are those of prompts and replies together."""

    cost: float | None = None
    n_tokens: int | None = None
    n_requests: int | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens matter, so that their worst must be known before a request is sent."""
        return self.cost is not None or self.n_tokens is not None

    def told(self) -> str:
        """Say the limits as they were typed."""
        named = (("--max-cost", self.cost), ("--max-tokens", self.n_tokens), ("--max-requests", self.n_requests))
        return ", ".join(f"{name} {limit:g}" for name, limit in named if limit is not None)


@dataclass(frozen=True, slots=True)
class Use:
    """What requests used, or may use."""

    n_requests: int = 0
    n_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Use) -> Use:
        return Use(self.n_requests + other.n_requests, self.n_tokens + other.n_tokens, self.cost + other.cost)

    def __sub__(self, other: Use) -> Use:
        return Use(self.n_requests - other.n_requests, self.n_tokens - other.n_tokens, self.cost - other.cost)


@dataclass(slots=True)
class Budget:
    """Spent and reserved so far; used by one thread, read by any."""

    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, Price] = field(default_factory=dict)
    spent: Use = field(default_factory=Use)
    reserved: Use = field(default_factory=Use)
    n_unpriced: int = 0

    def check(self, request: Request) -> None:
        """Raise UserError where a limit could not be kept for requests like this one."""
        if self.limits.cost is not None and request.model not in self.prices:
            raise UserError(
                f"--max-cost needs the price of {request.model}. Name it in afrel.toml: "
                f'[llm.prices."{request.model}"] with prompt = and completion =, in money a million tokens'
            )
        if self.limits.counts_tokens and _reply_limit(request) is None:
            raise UserError(
                "--max-cost and --max-tokens need a limit to each reply, and afrel.toml [llm] has "
                "max_reply_tokens = 0. Name one: max_reply_tokens = 2000"
            )

    def reserve(self, request: Request) -> Use | None:
        """Set aside the worst a request can cost; None when a limit has no room for it."""
        worst = self.worst_of(request)
        after = self.spent + self.reserved + worst
        limits = self.limits
        if (
            (limits.n_requests is not None and after.n_requests > limits.n_requests)
            or (limits.n_tokens is not None and after.n_tokens > limits.n_tokens)
            or (limits.cost is not None and after.cost > limits.cost * (1 + 1e-12))
        ):
            return None
        self.reserved += worst
        return worst

    def settle(self, request: Request, worst: Use, exchange: Exchange | None) -> None:
        """Replace what was set aside by what was used; `exchange` None: it was given up half way."""
        self.reserved -= worst
        self.spent += self._used(request, worst, exchange)

    def worst_of(self, request: Request) -> Use:
        """Return the most a request can use; tokens only where a limit asks for them."""
        if not self.limits.counts_tokens:
            return Use(1)
        self.check(request)
        n_prompt = len(canonical_json(dict(request.schema)).encode()) + sum(
            len(message.content.encode("utf-8", "replace")) + TOKENS_A_MESSAGE for message in request.messages
        )
        n_reply = _reply_limit(request) or 0
        price = self.prices.get(request.model)
        return Use(1, n_prompt + n_reply, 0.0 if price is None else price.cost_of(n_prompt, n_reply))

    def burn(self) -> str:
        """Say what is spent, for the progress bar."""
        parts = [f"{self.spent.n_requests:,} requests", f"{self.spent.n_tokens:,} tokens"]
        if self.prices and not self.n_unpriced:
            parts.append(f"cost {self.spent.cost:.4f}")
        told = self.limits.told()
        return ", ".join(parts) + (f" of {told}" if told else "")

    def _used(self, request: Request, worst: Use, exchange: Exchange | None) -> Use:
        if exchange is None or exchange.outcome is Outcome.LOST:
            return worst
        usage, price = exchange.reply.usage, self.prices.get(request.model)
        if exchange.outcome is not Outcome.ANSWERED or (exchange.reply.failure or "").startswith("http "):
            return Use(1)
        if usage.n_prompt_tokens is None or usage.n_completion_tokens is None:
            self.n_unpriced += 1
            return worst
        cost = None if price is None else price.cost(usage)
        self.n_unpriced += cost is None
        return Use(1, usage.n_prompt_tokens + usage.n_completion_tokens, cost or 0.0)


def _reply_limit(request: Request) -> int | None:
    named = [request.parameters[name] for name in _REPLY_LIMITS if name in request.parameters]
    return min(named, default=None)
