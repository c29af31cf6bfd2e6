"""How good an answer is beside its grade: a reward of several dimensions that chooses among right ones.

The dimensions are those of the two-stage distillation of arXiv 2510.11056 (grade, grounding, coherence, rule adherence,
conciseness); how each is checked is our reconstruction, by pure functions instead of a reward model. `None` means that
there was nothing to check; it is left out of the mean and never becomes 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from curation.completion import CITATION, Completion, ParseFailure, parse, render
from curation.text import tokenize
from storage.grades import Scale
from trainers.objectives.rewards import Gold, consistent_rationale, exact_grade


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with what it is judged by. `prompt` is all the model was shown; `expert` the expert's own answer."""

    completion: Completion | ParseFailure
    gold: Gold
    prompt: str
    expert: Completion
    scale: Scale


def grade(answer: Answer) -> float | None:
    """Return 1 for the settled grade in the right form, else 0."""
    return exact_grade(answer.completion, answer.gold, answer.scale)


def grounding(answer: Answer) -> float | None:
    """Return the share of the reasons' distinct terms that stand in the prompt or in the expert's reasons.

    The verdict, which names a grade, and citations are left out. What neither the pair nor the expert says was made up.
    """
    if isinstance(answer.completion, ParseFailure):
        return None
    told = " ".join(step.text for step in answer.completion.steps if step.label != "verdict")
    terms = set(tokenize(CITATION.sub(" ", told)))
    if not terms:
        return None
    known = set(tokenize(answer.prompt))
    for step in answer.expert.steps:
        known.update(tokenize(step.text))
    return len(terms & known) / len(terms)


def coherence(answer: Answer) -> float | None:
    """Return 0 when the verdict names another grade than the one emitted, else the share of steps that say something
    of their own; None without steps."""
    if isinstance(answer.completion, ParseFailure) or not answer.completion.steps:
        return None
    if consistent_rationale(answer.completion, answer.gold, answer.scale) == 0:
        return 0.0
    texts = [step.text for step in answer.completion.steps]
    return len(set(texts)) / len(texts)


def rule_adherence(answer: Answer) -> float | None:
    """Return the share of cited rules that apply to the pair and vote the emitted grade.

    Without citations: 0 when a rule that votes the grade applies and reasons are given, None otherwise.
    """
    if isinstance(answer.completion, ParseFailure):
        return None
    emitted, votes = answer.completion.grade, answer.gold.votes
    if not answer.completion.rule_ids:
        return 0.0 if answer.completion.steps and emitted in votes.values() else None
    return sum(votes.get(rule_id) == emitted for rule_id in answer.completion.rule_ids) / len(
        answer.completion.rule_ids
    )


def brevity(answer: Answer) -> float | None:
    """Return 1 for reasons as short as the expert's or shorter, else how many times shorter the expert's are.

    Silence where the expert gives reasons is not brief: 0. None where neither gives any.
    """
    if isinstance(answer.completion, ParseFailure):
        return None
    ours, theirs = (_n_characters(it, answer.scale) for it in (answer.completion, answer.expert))
    if not ours:
        return 0.0 if theirs else None
    return min(1.0, theirs / ours) if theirs else None


DIMENSIONS: Mapping[str, Callable[[Answer], float | None]] = {
    "grade": grade,
    "grounding": grounding,
    "coherence": coherence,
    "rule_adherence": rule_adherence,
    "brevity": brevity,
}


def quality(answer: Answer, weights: Mapping[str, float]) -> float:
    """Return the weighted mean of the dimensions that could be checked, in 0..1; the grade always can."""
    known = [(weights[name], value) for name, check in DIMENSIONS.items() if (value := check(answer)) is not None]
    total = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / total if total else 0.0


def read_answer(text: str, *, gold: Gold, prompt: str, expert: str, scale: Scale) -> Answer:
    """Return an answer as it is judged; ValueError for an expert's that does not parse."""
    own = parse(expert, scale)
    if isinstance(own, ParseFailure):
        raise ValueError(f"the expert's answer does not parse: {own.reason}")
    return Answer(parse(text, scale), gold, prompt, own, scale)


def _n_characters(completion: Completion, scale: Scale) -> int:
    """Return the length of the reasons alone."""
    return len(render(completion, scale)) - len(scale.token(completion.grade))
