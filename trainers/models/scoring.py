"""Grade probabilities at the cost of one prefill: a softmax over the grade tokens at the cue, nothing is generated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from storage.grades import Scale


def score_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    grade_token_ids: Sequence[int],
    batch_size: int = 64,
) -> NDArray[np.float64]:
    """Return the probability of each grade for each prompt, shape (n, K), rows summing to 1.

    Prompts of like length share a batch. They are padded on the right, where a causal model does not look, so a
    prompt's result does not depend on its neighbours (but for the last bits of a float).
    """
    encoded = tokenizer(list(prompts))["input_ids"] if prompts else []
    probabilities = np.zeros((len(encoded), len(grade_token_ids)))
    order = sorted(range(len(encoded)), key=lambda at: len(encoded[at]))
    wanted = torch.tensor(list(grade_token_ids), device=model.device)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            last = torch.tensor([len(encoded[at]) - 1 for at in batch])
            input_ids = torch.full((len(batch), int(last.max()) + 1), tokenizer.pad_token_id)
            for place, at in enumerate(batch):
                input_ids[place, : len(encoded[at])] = torch.tensor(encoded[at])
            columns, of_row = torch.unique(last, return_inverse=True)
            logits = model(
                input_ids=input_ids.to(model.device), logits_to_keep=columns.to(model.device), use_cache=False
            ).logits  # (B, columns, V)
            at_cue = logits[torch.arange(len(batch)), of_row][:, wanted].double()  # (B, K)
            probabilities[batch] = at_cue.softmax(dim=-1).cpu().numpy()
    return probabilities


def most_probable(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each row's most probable grade, shape (n,); of equals the lower grade."""
    return probabilities.argmax(axis=1).astype(np.int64)


def expected_grades(probabilities: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return the mean grade of each distribution, shape (n,): the score that ranks docs."""
    return probabilities @ np.array(scale.values, dtype=float)
