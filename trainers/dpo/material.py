"""What `train dpo` learns from: a run's own rollouts on train pairs and what experts rewrote, as token ids.

Rollouts and edits lie in the store; prompts, settled grades and the experts' own answers in the snapshot. A pair that
is not among the snapshot's train rows gives nothing. What cannot be used is left out and counted by its reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from curation.completion import Completion, ParseFailure, parse, render, steps_from_json
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.store import Store
from trainers.objectives.answer_quality import Answer, quality, read_answer
from trainers.objectives.preference_pairs import Edit, PairOrigin, PreferencePair, Sample, edit_pairs, preference_pairs
from trainers.objectives.rewards import Gold
from trainers.rows.encoding import encode_rows


@dataclass(frozen=True, slots=True)
class Material:
    """Sampled completions by pair, in order, and edits as they are stored: (pair, chosen, rejected) in JSON.

    `stronger`: answers of served models by pair, from `label --samples`.
    """

    samples: Mapping[str, Sequence[str]]
    edits: Sequence[tuple[str, str, str]]
    stronger: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        content = [sorted((pair_id, list(texts)) for pair_id, texts in self.samples.items()), list(self.edits)]
        if self.stronger:
            content.append(sorted((pair_id, list(texts)) for pair_id, texts in self.stronger.items()))
        return digest(content)


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """Token ids of a prompt with its chosen and its rejected completion."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


@dataclass(frozen=True, slots=True)
class PreferenceRows:
    """Pairs to train on, how many of each origin, and what was left out, by reason."""

    pairs: Sequence[EncodedPair]
    n_by_origin: Mapping[str, int]
    left_out: Mapping[str, int]


def read_material(store: Store, train_run_id: str, *, has_edits: bool) -> Material:
    """Read a run's rollouts on train pairs, what served models answered to the same, and the edits that stand."""
    samples = _by_pair(store.read("train_rollouts", train_run_id=train_run_id).to_pylist())
    stronger = _by_pair(store.read("served_rollouts").to_pylist())
    edits = store.read("export_preferences").to_pylist() if has_edits else []
    told = {pair_id: texts for pair_id, texts in stronger.items() if pair_id in samples}
    return Material(samples, [(row["pair_id"], row["chosen"], row["rejected"]) for row in edits], told)


def choose_pairs(
    rows: Dataset,
    golds: Sequence[Gold],
    material: Material,
    scale: Scale,
    *,
    weights: Mapping[str, float],
    n_most: int,
) -> list[PreferencePair]:
    """Return the preference pairs of train rows, in the order of the rows, an edit before the row's own pairs.

    golds: of each row. Among right samples the one of the highest `quality` is chosen. An edit counts when its grade is
    the settled one; one without reasons is set beside the suggestion's grade alone, so that not the longer text is what
    is rejected. Where no sample is right and the expert gave no reasons, a served model's right answer with reasons is
    chosen.
    """
    edits: dict[str, list[Edit]] = {}
    for pair_id, chosen, rejected in material.edits:
        edits.setdefault(pair_id, []).extend(_read_edit(pair_id, chosen, rejected, scale))
    pairs = []
    for row, gold in zip(rows, golds, strict=True):
        pair_id, expert = row["pair_id"], row["completion"]
        settled = [edit for edit in edits.get(pair_id, ()) if _grade(edit.rewritten, scale) == gold.grade]
        pairs += edit_pairs(settled)
        samples = [_sample(text, row, gold, scale, weights) for text in material.samples.get(pair_id, ())]
        stronger = None
        if not _has_steps(expert, scale):
            texts = [text for text in material.stronger.get(pair_id, ()) if _has_steps(text, scale)]
            told = [_sample(text, row, gold, scale, weights) for text in texts]
            right = [one for one in told if one.grade == gold.grade]
            stronger = max(right, key=lambda one: (one.quality, one.completion)).completion if right else None
        pairs += preference_pairs(pair_id, samples, grade=gold.grade, expert=expert, stronger=stronger, n_most=n_most)
    return pairs


def encode_pairs(
    pairs: Sequence[PreferencePair],
    prompts: Mapping[str, str],
    tokenizer: PreTrainedTokenizerBase,
    grade_token_ids: Sequence[int],
    *,
    max_completion_tokens: int,
) -> PreferenceRows:
    """Return pairs as token ids; prompts: by pair id, cut to size.

    Left out is a pair whose tokens do not begin with the prompt's, whose chosen side does not begin with a grade token,
    or whose sides are the same once they are cut.
    """
    asked = [prompts[pair.prompt_id] for pair in pairs]
    sides = [
        encode_rows(asked, texts, tokenizer, max_completion_tokens=max_completion_tokens)
        for texts in ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])
    ]
    kept: list[EncodedPair] = []
    origins: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for pair, chosen, rejected in zip(pairs, *sides, strict=True):
        if chosen is None or rejected is None:
            left_out["the prompt's tokens are no prefix"] += 1
        elif chosen.completion[0] not in grade_token_ids:
            left_out["the chosen answer does not begin with its grade"] += 1
        elif chosen.completion == rejected.completion:
            left_out["both answers are the same once they are cut"] += 1
        else:
            kept.append(EncodedPair(chosen.prompt, chosen.completion, rejected.completion))
            origins[pair.origin.value] += 1
    return PreferenceRows(kept, {origin.value: origins[origin.value] for origin in PairOrigin}, dict(left_out))


def _by_pair(rows: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["pair_id"], []).append(row["completion"])
    return found


def _has_steps(text: str, scale: Scale) -> bool:
    """Say whether an answer parses and gives reasons."""
    completion = parse(text, scale)
    return not isinstance(completion, ParseFailure) and bool(completion.steps)


def _sample(text: str, row: Mapping[str, Any], gold: Gold, scale: Scale, weights: Mapping[str, float]) -> Sample:
    """Return an answer to a train row with its grade and how good it is."""
    answer = read_answer(text, gold=gold, prompt=row["prompt"], expert=row["completion"], scale=scale)
    emitted = None if isinstance(answer.completion, ParseFailure) else answer.completion.grade
    return Sample(text, emitted, _quality(answer, weights, row["pair_id"], text))


def _quality(answer: Answer, weights: Mapping[str, float], pair_id: str, text: str) -> float:
    """Return how good a sample is; UserError with the pair and the sample when a check raises."""
    try:
        return quality(answer, weights)
    except Exception as error:
        raise UserError(
            f"the quality of an answer to pair {pair_id} cannot be judged: {error!r}. The answer: {text[:300]!r}. Mend "
            "the check in trainers/objectives/answer_quality.py, then give the same command"
        ) from error


def _read_edit(pair_id: str, chosen: str, rejected: str, scale: Scale) -> list[Edit]:
    """Return a stored edit as completions; nothing when one of them is none (grades of another scale, say)."""
    sides: list[dict[str, Any]] = [json.loads(chosen), json.loads(rejected)]
    has_reasons = bool(sides[0]["steps"])
    texts = []
    for side in sides:
        steps = steps_from_json(json.dumps(side["steps"])) if has_reasons and side["steps"] else ()
        try:
            texts.append(render(Completion(side["grade"], steps), scale))
        except ValueError:
            return []
    return [Edit(pair_id, original=texts[1], rewritten=texts[0])]


def _grade(text: str, scale: Scale) -> int | None:
    read = parse(text, scale)
    return None if isinstance(read, ParseFailure) else read.grade
