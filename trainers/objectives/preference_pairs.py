"""Which completion is to be preferred to which: pairs for DPO from a model's own samples and from experts' edits.

After TaoSR1 (arXiv 2508.12365, from detailed notes): a prompt the model sometimes gets right teaches by its own right
against its own wrong answers; one it never gets right, by the expert's or a stronger model's answer against its own
wrong one. What an expert rewrote is a pair as it stands. Which of several is chosen, and how many pairs a prompt gives,
is our reconstruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class PairOrigin(StrEnum):
    OWN = "own"  # own right answer over own wrong one
    EXPERT = "expert"  # no own answer was right
    STRONGER = "stronger"  # nor was one, and the expert gave the grade alone where a stronger model gives reasons
    EDIT = "edit"  # an expert rewrote it


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled completion. `grade`: None when it does not parse. `quality` ranks right ones, higher is better."""

    completion: str
    grade: int | None
    quality: float


@dataclass(frozen=True, slots=True)
class Edit:
    """A prompt's completion as it was proposed, and as an expert rewrote it."""

    prompt_id: str
    original: str
    rewritten: str


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt's chosen and rejected completion."""

    prompt_id: str
    chosen: str
    rejected: str
    origin: PairOrigin


def preference_pairs(
    prompt_id: str,
    samples: Sequence[Sample],
    *,
    grade: int,
    expert: str | None,
    stronger: str | None = None,
    n_most: int = 1,
) -> list[PreferencePair]:
    """Return up to `n_most` pairs of a prompt with the settled `grade`; none when no sample is wrong.

    The best right answer is chosen, or, when none is right, `stronger`, a stronger model's, where there is one, else
    `expert` (None: no pair). Rejected are distinct wrong answers: those that parse before those that do not, the more
    often sampled first, then by their text, so the same samples give the same pairs in whatever order they came.
    """
    times = Counter(sample.completion for sample in samples)
    distinct = {sample.completion: sample for sample in samples}.values()
    right = sorted((s for s in distinct if s.grade == grade), key=lambda s: (-s.quality, s.completion))
    wrong = sorted(
        (s for s in distinct if s.grade != grade), key=lambda s: (s.grade is None, -times[s.completion], s.completion)
    )
    other = (expert, PairOrigin.EXPERT) if stronger is None else (stronger, PairOrigin.STRONGER)
    chosen, origin = (right[0].completion, PairOrigin.OWN) if right else other
    if chosen is None:
        return []
    return [PreferencePair(prompt_id, chosen, sample.completion, origin) for sample in wrong[:n_most]]


def edit_pairs(edits: Sequence[Edit]) -> list[PreferencePair]:
    """Return the pairs of experts' edits, each once; an edit that changed nothing gives none."""
    changed = dict.fromkeys(edit for edit in edits if edit.rewritten != edit.original)
    return [PreferencePair(edit.prompt_id, edit.rewritten, edit.original, PairOrigin.EDIT) for edit in changed]
