"""What answer-first saves where a model serves: one token for a rationale, and a query read once for all its docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.rare_rules.pairs import HEADS, draw_pairs
from benchmarks.step_speed.material import MAX_COMPLETION_TOKENS, Material, now
from curation.completion import render_prompt
from trainers.models.scoring import score_texts
from trainers.rollouts.completions import Sampling, sample_completions

NEVER = 2.0  # no share of tokens saved is as high
WORDS = (
    "oak",
    "chair",
    "with",
    "a",
    "high",
    "back",
    "for",
    "the",
    "kitchen",
    "that",
    "does",
    "not",
    "creak",
    "at",
    "all",
)


def seconds_of(act: Callable[[], Any]) -> float:
    """Return how long something takes, the device's own work included."""
    began = now()
    act()
    return now() - began


def one_token(material: Material) -> Callable[[], Any]:
    """Return what scores the docs by one prefill."""
    prompts, model = material.prompts[: material.scale.n_scored], material.fresh_model().eval()
    ids = material.checked.grade_token_ids
    return lambda: score_texts(model, material.tokenizer, prompts, ids, min_saved_rate=NEVER)


def whole_completion(material: Material) -> Callable[[], Any]:
    """Return what writes grade and rationale of the same docs, in batches of the same size, nothing drawn by chance."""
    prompts, model = material.prompts[: material.scale.n_scored], material.fresh_model().eval()
    likeliest = Sampling(n_samples=1, temperature=1.0, top_k=1, max_tokens=MAX_COMPLETION_TOKENS)

    def write() -> None:
        for start in range(0, len(prompts), 64):
            sample_completions(model, material.tokenizer, prompts[start : start + 64], likeliest, seed=0)

    return write


def of_one_query(material: Material, n_words: int) -> tuple[Callable[[float], Any], float]:
    """Return what scores docs of one query of so many words, given from which share of saved tokens on its beginning is
    shared, and the share of tokens that sharing saves.
    """
    query = " ".join(WORDS[at % len(WORDS)] for at in range(n_words))
    docs = [pair for held in draw_pairs(dict.fromkeys(HEADS, 5), seed=2).values() for pair in held]
    prompts = [render_prompt(query, pair.title, fields=pair.fields) for pair in docs]
    model, ids = material.fresh_model().eval(), material.checked.grade_token_ids

    def score(min_saved_rate: float) -> Any:
        return score_texts(model, material.tokenizer, prompts, ids, min_saved_rate=min_saved_rate)

    lengths = [len(row) for row in material.tokenizer(prompts)["input_ids"]]
    beginning = len(material.tokenizer(prompts[0].partition("</query>")[0])["input_ids"])
    largest = float(np.abs(score(0.0) - score(NEVER)).max())
    assert largest < (1e-5 if material.device == "cpu" else 1e-3), f"sharing changes a probability by {largest}"
    return score, (len(docs) - 1) * beginning / sum(lengths)


QUERY_WORDS: Mapping[str, int] = {"4 words": 4, "20 words": 20, "60 words": 60, "150 words": 150}
