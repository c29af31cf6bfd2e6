"""Several completions of each prompt, sampled from a model; the same seed gives the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. temperature > 0; top_k 0: of all tokens; max_tokens: of a completion."""

    n_samples: int
    temperature: float
    top_k: int
    max_tokens: int


def sample_completions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    sampling: Sampling,
    *,
    seed: int,
) -> list[list[str]]:
    """Return `n_samples` completions of each prompt, as text without the end token.

    Prompts stand on the right of their padding, so that all completions start in one column. Whatever the model's own
    defaults for generating are, only what `sampling` says applies.
    """
    encoded = tokenizer(list(prompts))["input_ids"]
    width = max(map(len, encoded))
    input_ids = torch.full((len(encoded), width), tokenizer.pad_token_id)
    is_text = torch.zeros((len(encoded), width), dtype=torch.long)
    for at, ids in enumerate(encoded):
        input_ids[at, width - len(ids) :] = torch.tensor(ids)
        is_text[at, width - len(ids) :] = 1
    settings = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=1.0,
        min_p=None,
        repetition_penalty=1.0,
        num_return_sequences=sampling.n_samples,
        max_new_tokens=sampling.max_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        generate: Any = model.generate  # whose decorator hides its types
        generated: torch.Tensor = generate(
            input_ids=input_ids.to(model.device), attention_mask=is_text.to(model.device), generation_config=settings
        )
    answers = [_until_end(ids, tokenizer.eos_token_id) for ids in generated[:, width:].tolist()]
    texts = tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [texts[at : at + sampling.n_samples] for at in range(0, len(texts), sampling.n_samples)]


def _until_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
