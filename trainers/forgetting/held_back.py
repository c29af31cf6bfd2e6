"""The held-back pairs a run is measured on while it trains: a fixed draw of the snapshot's dev rows, never test rows.

What is asked is what is served and what is trained: the grade by one prefill, a whole completion as the model would
most likely write it, and how likely it finds the expert's own. The dice are left as they were found, so that a measured
run and an unmeasured one train alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from curation.completion import parse
from curation.prompt_parts import prompt_parts
from storage.ids import digest
from storage.snapshots.manifest import Manifest
from trainers.forgetting.alarms import Answers, Slice, SliceKind, draw_evenly, grade_entropy
from trainers.grpo.judging import golds_of, rewarded
from trainers.models.ranker import Ranker
from trainers.models.scoring import most_probable, score_texts
from trainers.objectives.losses import IGNORED
from trainers.objectives.rewards import REWARDS, Gold
from trainers.objectives.token_log_probs import completion_log_probs
from trainers.rollouts.completions import Sampling, sample_completions
from trainers.rows.encoding import EncodedRow, encode_rows, fit_prompt
from trainers.rows.evidence_source import EvidenceSource
from trainers.rows.padding import RightPadding
from trainers.rows.snapshot_rows import load

BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The pairs, one list in one order. truth (n,): places on the scale. n_left_out: dev rows too long to be asked."""

    prompts: Sequence[str]
    experts: Sequence[EncodedRow]
    golds: Sequence[Gold]
    truth: NDArray[np.int64]
    slices: Sequence[Slice]
    n_left_out: int

    @property
    def digest(self) -> str:
        """What names the pairs as they are asked."""
        return digest([[row.prompt, row.completion] for row in self.experts])


@dataclass(frozen=True, slots=True)
class Measured:
    """A model on the held-back pairs. rewards: mean by name over those that could be judged, None for none."""

    answers: Answers
    rewards: Mapping[str, float | None]
    grade_entropy: float

    @property
    def reward(self) -> float:
        """The strict outcome: the share of completions that parse and have the settled grade."""
        return self.rewards["exact_grade"] or 0.0


def held_back_rows(
    snapshot: Path,
    manifest: Manifest,
    ranker: Ranker,
    source: EvidenceSource,
    *,
    tiers: Sequence[int] | None,
    n_pairs: int,
    n_completion_tokens: int,
    seed: int,
) -> HeldBack | None:
    """Return at most `n_pairs` dev rows of the tiers that are trained on; None where there are none to be asked."""
    entries = manifest.tiers if tiers is None else [manifest.find_tier(tier) for tier in tiers]
    if not any(entry.n_rows["dev"] for entry in entries):
        return None
    rows = load(snapshot, splits=["dev"], tiers=tiers, has_evidence=ranker.has_evidence)["dev"]
    golds = golds_of(rows, source)
    deciding = [deciding_rules(cited, gold) for cited, gold in zip(rows["rule_ids"], golds, strict=True)]
    drawn = draw_evenly(deciding, n_pairs, seed=seed)
    fitted = [
        fit_prompt(prompt_parts(row, has_evidence=ranker.has_evidence), ranker.tokenizer, ranker.max_prompt_tokens)
        for row in rows.select(drawn)
    ]
    asked = [(row, prompt) for row, prompt in zip(drawn, fitted, strict=True) if prompt is not None]
    encoded = encode_rows(
        [prompt for _, prompt in asked],
        [rows["completion"][row] for row, _ in asked],
        ranker.tokenizer,
        max_completion_tokens=n_completion_tokens,
    )
    kept = [(row, prompt, expert) for (row, prompt), expert in zip(asked, encoded, strict=True) if expert is not None]
    if not kept:
        return None
    places = [row for row, _, _ in kept]
    return HeldBack(
        [prompt for _, prompt, _ in kept],
        [expert for _, _, expert in kept],
        [golds[row] for row in places],
        np.array([manifest.scale.position(golds[row].grade) for row in places], dtype=np.int64),
        _slices(rows.select(places), [deciding[row] for row in places]),
        len(drawn) - len(kept),
    )


def deciding_rules(cited: Sequence[str], gold: Gold) -> list[str]:
    """Return the rules a pair's grade rests on: those its rationale cites, and those that vote the settled grade."""
    return sorted({*cited, *(rule_id for rule_id, grade in gold.votes.items() if grade == gold.grade)})


def _slices(rows: Dataset, deciding: Sequence[Sequence[str]]) -> list[Slice]:
    """Return the rules', the tiers' and the grades' pairs, each kind in order of names."""
    kinds: list[tuple[SliceKind, Sequence[Sequence[str]]]] = [
        (SliceKind.RULE, deciding),
        (SliceKind.TIER, [[str(tier)] for tier in rows["tier"]]),
        (SliceKind.GRADE, [[str(grade)] for grade in rows["grade"]]),
    ]
    slices = []
    for kind, names_of_row in kinds:
        held: dict[str, list[int]] = {}
        for place, names in enumerate(names_of_row):
            for name in names:
                held.setdefault(name, []).append(place)
        slices += [Slice(kind, name, tuple(places)) for name, places in sorted(held.items())]
    return slices


def measure(held: HeldBack, ranker: Ranker, *, n_completion_tokens: int, n_rows: int) -> Measured:
    """Ask the ranker's model, as it is now, for every held-back pair.

    n_rows: expert rows at once, no more than a training step holds.
    """
    model, was_training = ranker.model, ranker.model.training
    model.eval()
    try:
        probabilities = score_texts(model, ranker.tokenizer, held.prompts, ranker.grade_token_ids, BATCH_SIZE)
        rewards = _rewards(held, ranker, n_completion_tokens)
        trace_nll = _trace_nll(held.experts, model, ranker.tokenizer.pad_token_id, n_rows)
    finally:
        model.train(was_training)
    answers = Answers(most_probable(probabilities) == held.truth, trace_nll)
    return Measured(answers, rewards, grade_entropy(probabilities))


def _rewards(held: HeldBack, ranker: Ranker, n_tokens: int) -> dict[str, float | None]:
    """Return the mean of each reward over the likeliest completions, None where none could be judged."""
    likeliest = Sampling(n_samples=1, temperature=1.0, top_k=1, max_tokens=n_tokens)
    order = sorted(range(len(held.prompts)), key=lambda place: len(held.experts[place].prompt))
    earned: dict[str, list[float]] = {name: [] for name in REWARDS}
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        texts = sample_completions(
            ranker.model, ranker.tokenizer, [held.prompts[at] for at in batch], likeliest, seed=0
        )
        for place, (text,) in zip(batch, texts, strict=True):
            completion = parse(text, ranker.scale)
            for name in REWARDS:
                if (value := rewarded(name, completion, held.golds[place], ranker.scale, text)) is not None:
                    earned[name].append(value)
    return {name: sum(values) / len(values) if values else None for name, values in earned.items()}


def _trace_nll(
    experts: Sequence[EncodedRow], model: PreTrainedModel, pad_token_id: int, n_rows: int
) -> NDArray[np.float64]:
    """Return of each expert's completion the mean of its tokens' negative log-probabilities, (n,) in nats."""
    padding, found = RightPadding(pad_token_id), np.zeros(len(experts))
    order = sorted(range(len(experts)), key=lambda at: len(experts[at].prompt) + len(experts[at].completion))
    with torch.inference_mode():
        for start in range(0, len(order), n_rows):
            places = order[start : start + n_rows]
            batch = padding(
                [
                    {"input_ids": r.prompt + r.completion, "labels": [IGNORED] * len(r.prompt) + r.completion, "row": 0}
                    for r in (experts[at] for at in places)
                ]
            )
            log_probs, is_counted = completion_log_probs(
                model, batch["input_ids"].to(model.device), batch["labels"].to(model.device)
            )
            sums = (log_probs.double() * is_counted).sum(dim=1)
            found[places] = (-sums / is_counted.sum(dim=1)).cpu().numpy()
    return found
