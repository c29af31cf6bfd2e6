"""From rows to token ids, so that what is trained and what is scored are the same tokens in the same places.

A prompt that is too long loses text in a fixed order: body, then field values, then title. The query, the evidence and
the cue stay whole, and the grade token always has its place. A rationale is cut at its end, and then no end-of-text
token follows, so that no model learns to stop in mid-sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from curation.prompt_parts import PromptParts

MAX_BODY_CHARACTERS = 600  # what the prompt shows of a body at most; cutting starts there


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """Token ids of one row. `completion` starts with the grade token."""

    prompt: list[int]
    completion: list[int]
    is_completion_cut: bool


def fit_prompt(parts: PromptParts, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> str | None:
    """Return the prompt with as much text as fits into `max_tokens`; None when not even query and evidence do."""
    if count_tokens(parts.render(), tokenizer) <= max_tokens:
        return parts.render()
    fields = dict(parts.fields or {})
    longest = max((len(value) for value in fields.values()), default=0)
    stages: list[tuple[int, Callable[[PromptParts, int], PromptParts]]] = [
        (min(len(parts.body), MAX_BODY_CHARACTERS), lambda it, n: replace(it, body=it.body[:n])),
        (longest, lambda it, n: replace(it, fields={k: v[:n] for k, v in fields.items()} if n else {})),
        (len(parts.title), lambda it, n: replace(it, title=it.title[:n])),
    ]
    for size, cut in stages:
        if count_tokens(cut(parts, 0).render(), tokenizer) > max_tokens:
            parts = cut(parts, 0)
            continue
        fits, too_long = 0, size + 1  # bisection; token counts grow with the text but for a merge at its end
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if count_tokens(cut(parts, middle).render(), tokenizer) <= max_tokens:
                fits = middle
            else:
                too_long = middle
        return cut(parts, fits).render()
    return None


def encode_row(
    prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase, *, max_completion_tokens: int
) -> EncodedRow | None:
    """Return the ids of a row; None when the prompt's ids are not a prefix of the whole text's ids.

    In that case the model would be asked about another context than it was trained on.
    """
    return encode_rows([prompt], [completion], tokenizer, max_completion_tokens=max_completion_tokens)[0]


def encode_rows(
    prompts: Sequence[str],
    completions: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_completion_tokens: int,
) -> list[EncodedRow | None]:
    """Encode rows, see `encode_row`; much faster than one by one."""
    if not prompts:
        return []  # which a tokenizer cannot say
    before = tokenizer(list(prompts))["input_ids"]
    whole = tokenizer([p + c for p, c in zip(prompts, completions, strict=True)])["input_ids"]
    encoded: list[EncodedRow | None] = []
    for prompt_ids, ids in zip(before, whole, strict=True):
        if ids[: len(prompt_ids)] != prompt_ids or len(ids) == len(prompt_ids):
            encoded.append(None)
            continue
        completion_ids = [*ids[len(prompt_ids) :], tokenizer.eos_token_id]
        kept = completion_ids[:max_completion_tokens]
        encoded.append(EncodedRow(prompt_ids, kept, len(kept) < len(completion_ids)))
    return encoded


def count_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the number of tokens of a text."""
    return len(tokenizer(text)["input_ids"])
