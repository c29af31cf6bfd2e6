"""When answers settle a pair, and which rationale goes with the settled grade.

Pure: who asked whom, and storing the judgment, happen elsewhere. A rationale never travels with another grade than
the one it was written for; then the row trains grade-only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curation.completion import Step

MAJORITY_MIN_ANSWERS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One account's standing response to a pair; `grade` is None unless the act is `submitted`."""

    response_id: str
    account: str
    act: str
    grade: int | None


@dataclass(frozen=True, slots=True)
class Consensus:
    """A grade people settled without an adjudicator, and all the responses it rests on."""

    grade: int
    response_ids: tuple[str, ...]
    is_unanimous: bool


@dataclass(frozen=True, slots=True)
class Rationale:
    """Steps and the grade they argue for; `steps` is None when nobody wrote any, empty when they were struck out."""

    grade: int
    steps: tuple[Step, ...] | None


def consensus(answers: Sequence[Answer], *, n_required: int) -> Consensus | None:
    """Return what the standing answers settle, None while they are too few or dispute the grade.

    Settled when all say one grade, or, from three answers on, when at least two thirds do and nobody is more than one
    grade away. Cannot-tell and discarded are disagreement.
    """
    if not answers or len(answers) < n_required:
        return None
    grades = [answer.grade for answer in answers if answer.act == "submitted" and answer.grade is not None]
    if len(grades) < len(answers):
        return None
    grade, n_agreeing = min(Counter(grades).items(), key=lambda item: (-item[1], item[0]))
    is_unanimous = n_agreeing == len(grades)
    is_majority = (
        len(grades) >= MAJORITY_MIN_ANSWERS
        and 3 * n_agreeing >= 2 * len(grades)
        and all(abs(other - grade) <= 1 for other in grades)
    )
    if not (is_unanimous or is_majority):
        return None
    return Consensus(grade, tuple(sorted(answer.response_id for answer in answers)), is_unanimous)


def travelling_steps(
    settled_grade: int, proposed: Rationale | None, *, written: Sequence[Rationale] = ()
) -> tuple[Step, ...] | None:
    """Return the steps that go with a settled grade, None when the row trains grade-only.

    `written` are the reviewers' and adjudicator's rationales, the weightiest first; a rationale by a person goes before
    the proposed one. The proposed steps sent back unchanged with another grade were not written for that grade.
    """
    for rationale in written:
        is_left_over = proposed is not None and rationale.steps == proposed.steps and rationale.grade != proposed.grade
        if rationale.grade == settled_grade and rationale.steps is not None and not is_left_over:
            return rationale.steps or None
    if proposed is not None and proposed.grade == settled_grade:
        return proposed.steps or None
    return None
