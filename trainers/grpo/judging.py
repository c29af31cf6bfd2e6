"""Rollouts as they come from a model, judged: rewards, verdicts and the part each token belongs to.

A reward that could not be computed is missing and counted, never a reward of 0; the others tell the rollouts apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from curation.completion import Completion, ParseFailure, parse
from storage.errors import UserError
from storage.grades import Scale
from trainers.objectives.advantages import Rollouts
from trainers.objectives.rewards import REWARDS, Gold, step_verdicts, to_tensor
from trainers.objectives.segments import pad_segments, segment_tokens
from trainers.rows.evidence_source import EvidenceSource

EXACT_GRADE = list(REWARDS).index("exact_grade")


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged rollouts: `verdicts` (B, parts) and how many rewards were missing, by name."""

    rollouts: Rollouts
    verdicts: torch.Tensor
    n_missing: Mapping[str, int]

    @property
    def is_right(self) -> torch.Tensor:
        """Which rollouts have the settled grade in the right form, (P, G)."""
        return (self.rollouts.rewards[:, EXACT_GRADE] == 1).reshape(-1, self.rollouts.group_size)


def golds_of(rows: Dataset, source: EvidenceSource) -> list[Gold]:
    """Return what each snapshot row's completions are judged by: its grade, and the rules whose condition holds on it.

    The rules of the book are applied to the row's own texts, as they are when a pair's evidence is computed.
    """
    pairs = pl.DataFrame({name: list(rows[name]) for name in ("pair_id", "query", "title", "body", "fields")})
    votes = source.votes(pairs)
    return [Gold(grade, cast) for grade, cast in zip(rows["grade"], votes, strict=True)]


def judge(
    completions: Sequence[Sequence[int]],
    golds: Sequence[Gold],
    scale: Scale,
    tokenizer: PreTrainedTokenizerBase,
    *,
    group_size: int,
) -> Judged:
    """Judge completions, token ids without padding, of which each group of `group_size` has one prompt.

    golds: of each completion.
    """
    rewards, verdicts, segments = [], [], []
    for ids, gold in zip(completions, golds, strict=True):
        text, ends = read_tokens(ids, tokenizer)
        parsed = parse(text, scale)
        rewards.append([rewarded(name, parsed, gold, scale, text) for name in REWARDS])
        verdicts.append(step_verdicts(text, gold, scale))
        segments.append(segment_tokens(text, ends))
    table = to_tensor(rewards)
    missing = {name: int(table[:, at].isnan().sum()) for at, name in enumerate(REWARDS)}
    return Judged(Rollouts(table, pad_segments(segments), group_size), to_tensor(verdicts), missing)


def exact_grades(
    completions: Sequence[Sequence[int]], golds: Sequence[Gold], scale: Scale, tokenizer: PreTrainedTokenizerBase
) -> list[float]:
    """Return the strict outcome alone of completions, as `judge` has it: right grade in the right form or not."""
    texts = [read_tokens(ids, tokenizer)[0] for ids in completions]
    found = [
        rewarded("exact_grade", parse(text, scale), gold, scale, text) for text, gold in zip(texts, golds, strict=True)
    ]
    return [math.nan if reward is None else float(reward) for reward in found]


def rewarded(name: str, parsed: Completion | ParseFailure, gold: Gold, scale: Scale, text: str) -> float | None:
    """Return a reward, None where there was nothing to judge; UserError with the completion when it raises."""
    try:
        return REWARDS[name](parsed, gold, scale)
    except Exception as error:
        raise UserError(
            f"the reward {name} cannot judge a completion of a pair with settled grade {gold.grade} and votes "
            f"{dict(gold.votes)}: {error!r}. The completion: {text[:300]!r}. Mend it in "
            "trainers/objectives/rewards.py; what was trained is kept, and the same command goes on"
        ) from error


def read_tokens(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> tuple[str, list[int]]:
    """Return the text of a completion and where each of its tokens ends in it, in characters.

    A character of several tokens ends with the last of them. Special tokens have no text.
    """
    text = str(tokenizer.decode(list(ids), skip_special_tokens=True))
    pieces = tokenizer.batch_decode([[token] for token in ids], skip_special_tokens=True)
    ends, end = [], 0
    if "".join(pieces) == text:
        for piece in pieces:
            end += len(piece)
            ends.append(end)
        return text, ends
    for n in range(1, len(ids) + 1):  # characters split over tokens: longer prefixes, each read as a whole
        read = str(tokenizer.decode(list(ids[:n]), skip_special_tokens=True))
        end = max(end, len(read.rstrip("\ufffd")))
        ends.append(min(end, len(text)))
    return text, ends
