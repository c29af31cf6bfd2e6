"""Grade probabilities at the cost of one prefill: a softmax over the grade tokens at the cue, nothing is generated.

A prompt names its query first, so the docs of one query begin alike. Where that beginning is a good part of what there
is to read, it is read once and its keys and values are lent to every doc of the query; the probabilities stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from storage.grades import Scale

QUERY_END = "</query>"  # no text of a query can hold it
MIN_SHARING = 8  # docs of a query; fewer are read faster among others of like length
MIN_SAVED_RATE = 0.2  # of a query's tokens; what is saved below that, a batch of its own and a mask cost again
Ids = list[int]


def score_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    grade_token_ids: Sequence[int],
    batch_size: int = 64,
    *,
    min_saved_rate: float = MIN_SAVED_RATE,
) -> NDArray[np.float64]:
    """Return the probability of each grade for each prompt, shape (n, K), rows summing to 1.

    Prompts of like length share a batch. They are padded on the right, where a causal model does not look, so a
    prompt's result does not depend on its neighbours (but for the last bits of a float).
    """
    encoded: list[Ids] = tokenizer(list(prompts))["input_ids"] if prompts else []
    probabilities = np.zeros((len(encoded), len(grade_token_ids)))
    wanted = torch.tensor(list(grade_token_ids), device=model.device)
    alone = set(range(len(encoded)))
    with torch.inference_mode():
        for group, n_shared in _sharing(prompts, encoded, min_saved_rate) if _lends_its_past(model) else ():
            alone.difference_update(group)
            for batch in _batches(group, encoded, batch_size):
                past = _read_once(model, encoded[batch[0]][:n_shared], len(batch))
                rests = [encoded[at][n_shared:] for at in batch]
                probabilities[batch] = _at_cue(model, tokenizer, rests, wanted, past)
        for batch in _batches(sorted(alone), encoded, batch_size):
            probabilities[batch] = _at_cue(model, tokenizer, [encoded[at] for at in batch], wanted, None)
    return probabilities


def _sharing(prompts: Sequence[str], encoded: Sequence[Ids], min_saved_rate: float) -> Iterator[tuple[list[int], int]]:
    """Yield the places of a query's prompts and how many tokens all of them begin with, where that saves enough."""
    of_query: dict[str, list[int]] = {}
    for at, prompt in enumerate(prompts):
        of_query.setdefault(prompt.partition(QUERY_END)[0], []).append(at)
    for group in of_query.values():
        if len(group) < MIN_SHARING:
            continue
        rows = [encoded[at] for at in group]
        first, last = min(rows), max(rows)  # what these two begin with, all between them do
        alike = (at for at, (ours, theirs) in enumerate(zip(first, last, strict=False)) if ours != theirs)
        shortest = min(map(len, rows))
        n_shared = min(next(alike, shortest), shortest - 1)  # the cue is read with the rest
        if n_shared and (len(group) - 1) * n_shared >= min_saved_rate * sum(map(len, rows)):
            yield group, n_shared


def _lends_its_past(model: PreTrainedModel) -> bool:
    """Say whether every layer keeps all keys and values: one that keeps a window or a state of its own does not."""
    layers = getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"]
    return set(layers) == {"full_attention"} and not model._is_stateful


def _batches(places: Sequence[int], encoded: Sequence[Ids], batch_size: int) -> Iterator[list[int]]:
    order = sorted(places, key=lambda at: len(encoded[at]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _read_once(model: PreTrainedModel, beginning: Ids, n_rows: int) -> DynamicCache:
    """Return the keys and values of a beginning, for so many rows."""
    past = DynamicCache(config=model.config)
    model(input_ids=torch.tensor([beginning], device=model.device), past_key_values=past, logits_to_keep=1)
    past.batch_repeat_interleave(n_rows)
    return past


def _at_cue(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Ids],
    wanted: torch.Tensor,
    past: DynamicCache | None,
) -> NDArray[np.float64]:
    """Return the probabilities of the wanted tokens after each row, (B, K). past: what was read before all of them."""
    last = torch.tensor([len(row) - 1 for row in rows])
    input_ids = torch.full((len(rows), int(last.max()) + 1), tokenizer.pad_token_id)
    for place, row in enumerate(rows):
        input_ids[place, : len(row)] = torch.tensor(row)
    columns, of_row = torch.unique(last, return_inverse=True)
    logits = model(
        input_ids=input_ids.to(model.device), logits_to_keep=columns.to(model.device), past_key_values=past,
        use_cache=past is not None,
    ).logits  # (B, columns, V)  # fmt: skip
    at_cue = logits[torch.arange(len(rows)), of_row][:, wanted].double()  # (B, K)
    probabilities: NDArray[np.float64] = at_cue.softmax(dim=-1).cpu().numpy()
    return probabilities


def most_probable(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each row's most probable grade, shape (n,); of equals the lower grade."""
    places: NDArray[np.int64] = probabilities.argmax(axis=1).astype(np.int64)
    return places


def expected_grades(probabilities: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return the mean grade of each distribution, shape (n,): the score that ranks docs."""
    means: NDArray[np.float64] = probabilities @ np.array(scale.values, dtype=np.float64)
    return means
