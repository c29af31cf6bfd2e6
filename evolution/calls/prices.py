"""What tokens cost: `[llm.prices."MODEL"]` of `afrel.toml`, in money a million tokens, whatever the money.

A call whose tokens are not known has no cost, which is not a cost of zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from evolution.calls.llm import Usage

PRICE_KEYS = {"prompt", "completion", "batch_rate"}


@dataclass(frozen=True, slots=True)
class Price:
    """Money a million tokens. A batch costs `batch_rate` of it."""

    prompt: float
    completion: float
    batch_rate: float = 1.0

    def cost(self, usage: Usage, *, is_batch: bool = False) -> float | None:
        """Return what an exchange cost; None where the server did not count its tokens."""
        if usage.n_prompt_tokens is None or usage.n_completion_tokens is None:
            return None
        return self.cost_of(usage.n_prompt_tokens, usage.n_completion_tokens) * (self.batch_rate if is_batch else 1.0)

    def cost_of(self, n_prompt_tokens: float, n_completion_tokens: float) -> float:
        """Return what so many tokens cost."""
        return (n_prompt_tokens * self.prompt + n_completion_tokens * self.completion) / 1e6
