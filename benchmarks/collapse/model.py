"""The model of the mode-collapse study: a decoder of some 125,000 weights that shares a prompt among its completions.

Written out because a group's G completions have one prompt: its keys and values are computed once and spread, which
makes a step three times as fast as running every rollout from its start.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.collapse.task import PROMPT_LENGTH, TRACE_LENGTH, VOCABULARY

WIDTH, N_LAYERS, N_HEADS = 64, 2, 4
Cache = list[tuple[torch.Tensor, torch.Tensor]]


class Block(nn.Module):
    """Attention and a feed-forward layer, each after a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project_in = nn.Linear(WIDTH, 3 * WIDTH)
        self.project_out = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(
        self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the output of x (B, T, width) after `past`, and the keys and values up to here."""
        n_rows, length, _ = x.shape
        q, k, v = (
            part.view(n_rows, length, N_HEADS, WIDTH // N_HEADS).transpose(1, 2)
            for part in self.project_in(self.norm_in(x)).split(WIDTH, dim=2)
        )
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        n_before = k.shape[2] - length
        may_see = torch.ones(length, k.shape[2], dtype=torch.bool).tril(n_before)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=may_see)
        x = x + self.project_out(seen.transpose(1, 2).reshape(n_rows, length, WIDTH))
        return x + self.feed(self.norm_out(x)), (k, v)


class Ranker(nn.Module):
    """Prompts of 12 tokens, completions of 4."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.place = nn.Embedding(PROMPT_LENGTH + TRACE_LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        nn.init.normal_(self.embed.weight, std=0.1)
        nn.init.normal_(self.place.weight, std=0.1)

    def forward(self, tokens: torch.Tensor, cache: Cache | None = None) -> tuple[torch.Tensor, Cache]:
        """Return the hidden states (B, T, width) of tokens (B, T) that follow a cache, and the cache after them."""
        start = cache[0][0].shape[2] if cache else 0
        x = self.embed(tokens) + self.place(torch.arange(start, start + tokens.shape[1]))
        after: Cache = []
        for at, block in enumerate(self.blocks):
            x, kept = block(x, cache[at] if cache else None)
            after.append(kept)
        return x, after

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return next-token logits (..., vocabulary)."""
        logits: torch.Tensor = self.head(self.norm(hidden))
        return logits

    def first_logits(self, prompts: torch.Tensor) -> torch.Tensor:
        """Return the logits of the first token after each prompt, (P, vocabulary): what an online ranker computes."""
        return self.logits(self(prompts)[0][:, -1])

    def completion_logits(self, prompts: torch.Tensor, completions: torch.Tensor) -> torch.Tensor:
        """Return the logits (P, G, 4, vocabulary) that predict each token of completions (P, G, 4)."""
        n_prompts, group_size, length = completions.shape
        hidden, cache = self(prompts)
        last = hidden[:, -1:].repeat_interleave(group_size, dim=0)
        after, _ = self(completions.reshape(-1, length)[:, :-1], _spread(cache, group_size))
        logits = self.logits(torch.cat([last, after], dim=1))
        return logits.view(n_prompts, group_size, length, VOCABULARY)

    @torch.no_grad()
    def complete(self, prompts: torch.Tensor, group_size: int, random: torch.Generator | None) -> torch.Tensor:
        """Return completions (P, G, 4), sampled at temperature 1, or the most probable ones without `random`."""
        hidden, cache = self(prompts)
        logits = self.logits(hidden[:, -1]).repeat_interleave(group_size, dim=0)
        cache = _spread(cache, group_size)
        tokens: list[torch.Tensor] = []
        for at in range(TRACE_LENGTH):
            chosen = logits.argmax(dim=1) if random is None else _sample(logits, random)
            tokens.append(chosen)
            if at < TRACE_LENGTH - 1:
                hidden, cache = self(chosen.unsqueeze(1), cache)
                logits = self.logits(hidden[:, -1])
        return torch.stack(tokens, dim=1).view(len(prompts), group_size, TRACE_LENGTH)


def log_probs_of(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of each token, in the tokens' shape; logits have one axis more."""
    return logits.log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def _spread(cache: Cache, group_size: int) -> Cache:
    return [(k.repeat_interleave(group_size, dim=0), v.repeat_interleave(group_size, dim=0)) for k, v in cache]


def _sample(logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    return torch.multinomial(logits.softmax(dim=1), 1, generator=random).squeeze(1)
