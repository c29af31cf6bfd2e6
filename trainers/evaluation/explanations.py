"""What a model says after the grade: whether its reasons conclude with the grade it gave (METHODS §4).

The likeliest completion of each pair is asked for, in whole, which takes as many steps as it has tokens; so a draw of
the pairs is asked, the same for every model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from curation.completion import ParseFailure, parse
from trainers.evaluation.metrics import Measure, mean_measure
from trainers.models.ranker import Ranker
from trainers.objectives.rewards import Gold, consistent_rationale
from trainers.rollouts.completions import Sampling, sample_completions

BATCH_SIZE = 64


def drawn_places(n: int, n_wanted: int, *, seed: int = 0) -> list[int]:
    """Return which of n pairs are asked, ascending: all of them, or a draw of so many that is the same each time."""
    if n <= n_wanted:
        return list(range(n))
    return sorted(np.random.default_rng(seed).permutation(n)[:n_wanted].tolist())


def likeliest_completions(
    ranker: Ranker, prompts: Sequence[str], *, max_tokens: int, tell: Callable[[int, int], None]
) -> list[str]:
    """Return the likeliest completion of each prompt. `tell` hears how many are done, and of how many."""
    likeliest = Sampling(n_samples=1, temperature=1.0, top_k=1, max_tokens=max_tokens)
    found = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        texts = sample_completions(ranker.model, ranker.tokenizer, [prompts[at] for at in batch], likeliest, seed=0)
        for at, (text,) in zip(batch, texts, strict=True):
            found[at] = text
        tell(start + len(batch), len(order))
    return found


def explanation_measures(texts: Sequence[str], query_ids: Sequence[str], ranker: Ranker) -> list[Measure]:
    """Return the share of completions that do not parse, and of those with a verdict the share that concludes with
    another grade than was emitted: discriminative hallucination. The second is None where nothing has a verdict.
    """
    parsed = [parse(text, ranker.scale) for text in texts]
    failed = [float(isinstance(one, ParseFailure)) for one in parsed]
    nobody = Gold(ranker.scale.values[0], {})  # the check compares a completion with itself alone
    judged = [
        (1 - value, query_id)
        for one, query_id in zip(parsed, query_ids, strict=True)
        if (value := consistent_rationale(one, nobody, ranker.scale)) is not None
    ]
    return [
        mean_measure("unparsed_rate", failed, list(query_ids)),
        mean_measure("discriminative_hallucination", [value for value, _ in judged], [one for _, one in judged]),
    ]
