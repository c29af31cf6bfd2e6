"""What a completion earns, by pure checks against the pair's settled grade and the approved rules. No model judges.

The outcome is strict: format times exact grade, no partial credit (arXiv 2508.02506 found an off-by-one credit of 0
best). Reasons are judged apart from the grade, for they come after it and cannot have caused it. `None` means that
there was nothing to judge; it is counted and never becomes a 0. Which checks there are is our reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from curation.completion import Completion, ParseFailure, Step, implied_grade, parse
from storage.grades import Scale
from trainers.objectives.segments import FORMAT, GRADE, N_PARTS, step_part

RIGHT, WRONG = 1.0, -1.0


@dataclass(frozen=True, slots=True)
class Gold:
    """What a pair's completions are judged by: its settled grade, and the approved rules with the grade each votes.

    `votes` holds the rules that apply to the pair only. A rule that is not approved, or does not apply, is not in it.
    """

    grade: int
    votes: Mapping[str, int]


RewardFn = Callable[[Completion | ParseFailure, Gold, Scale], float | None]


def exact_grade(completion: Completion | ParseFailure, gold: Gold, scale: Scale) -> float | None:  # noqa: ARG001
    """Return 1 for a completion that parses and has the settled grade, else 0."""
    return float(isinstance(completion, Completion) and completion.grade == gold.grade)


def valid_citations(completion: Completion | ParseFailure, gold: Gold, scale: Scale) -> float | None:  # noqa: ARG001
    """Return the share of cited rules that are approved and apply to the pair.

    None for a grade without reasons, where none was to be cited, and for a completion that does not parse. Reasons that
    cite nothing although a rule applies earn 0: else silence would be the safest citation.
    """
    if isinstance(completion, ParseFailure) or not completion.steps:
        return None
    if not completion.rule_ids:
        return 0.0 if gold.votes else None
    return sum(rule_id in gold.votes for rule_id in completion.rule_ids) / len(completion.rule_ids)


def consistent_rationale(completion: Completion | ParseFailure, gold: Gold, scale: Scale) -> float | None:  # noqa: ARG001
    """Return whether the reasons conclude with the grade that was emitted, 1 or 0.

    None without a verdict step, and for a completion that does not parse. A verdict that names no grade concludes
    nothing: 0. One less the mean of this is the rate of discriminative hallucination (METHODS §4).
    """
    if isinstance(completion, ParseFailure) or all(step.label != "verdict" for step in completion.steps):
        return None
    return float(implied_grade(completion, scale) == completion.grade)


REWARDS: Mapping[str, RewardFn] = {
    "exact_grade": exact_grade,
    "valid_citations": valid_citations,
    "consistent_rationale": consistent_rationale,
}


def step_verdicts(text: str, gold: Gold, scale: Scale) -> tuple[float | None, ...]:
    """Return a verdict on each part of a completion (see `segments`): `RIGHT`, `WRONG`, or None where it is skipped.

    The grade is right when line 1 is the settled grade, whatever follows it; the format when the whole parses. A step
    that cites is right when each cited rule applies and votes the settled grade; the verdict step must restate the
    emitted grade too. Steps that claim nothing checkable are skipped, as are all steps of what does not parse.
    """
    verdicts: list[float | None] = [None] * N_PARTS
    completion = parse(text, scale)
    first_line = parse(text.strip().split("\n", 1)[0], scale)
    verdicts[GRADE] = _as_verdict(isinstance(first_line, Completion) and first_line.grade == gold.grade)
    verdicts[FORMAT] = _as_verdict(isinstance(completion, Completion))
    if isinstance(completion, Completion):
        for step in completion.steps:
            is_right = _is_step_right(step, completion, gold, scale)
            verdicts[step_part(step.label)] = None if is_right is None else _as_verdict(is_right)
    return tuple(verdicts)


def to_tensor(rows: Sequence[Sequence[float | None]]) -> torch.Tensor:
    """Return rows of rewards or verdicts as a float tensor (B, columns), None as NaN."""
    return torch.tensor([[float("nan") if value is None else value for value in row] for row in rows])


def _is_step_right(step: Step, completion: Completion, gold: Gold, scale: Scale) -> bool | None:
    """Return whether a step's claims hold, None when it makes none that can be checked.

    A rules step that cites none, though one that votes the grade applies, claims that there is none.
    """
    claims = [gold.votes.get(rule_id) == gold.grade for rule_id in step.rule_ids]
    if step.label == "rules" and not claims and gold.grade in gold.votes.values():
        claims.append(False)
    if step.label == "verdict":
        claims.append(implied_grade(completion, scale) == completion.grade)
    return all(claims) if claims else None


def _as_verdict(is_right: bool) -> float:
    return RIGHT if is_right else WRONG
