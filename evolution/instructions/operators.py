"""The operators that edit an instruction, each with a form that needs no model where one makes sense.

A model-free form reads train judgments and what labelling under the parent got wrong of them; it writes only into the
sections evolution owns. `critic` has none: naming what is wrong with prose takes a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from curation.text import tokenize
from evolution.instructions.boundaries import BoundaryPair, contrast, find_boundary_pairs
from evolution.instructions.sections import Case, Sections, parse_sections
from evolution.instructions.situation import Refusal, Situation, Written
from storage.grades import Scale

N_SEARCHED = 8  # boundary pairs looked at for one whose two reasons differ

Form = Callable[[Situation], Written | Refusal]


@dataclass(frozen=True, slots=True)
class Operator:
    """A kind of edit. `model_free` None: it takes a model. `n_parents` 2: it needs a second version."""

    name: str
    claim: str
    model_free: Form | None
    role: str = "evolver"
    n_parents: int = 1


def add_constraint(situation: Situation) -> Written | Refusal:
    """Add what settles a cluster of disagreements, found by search among train judgments."""
    if not situation.errors.wrong.height:
        return Refusal("no train pair is labelled wrongly, so there is nothing to constrain")
    if situation.attempt >= len(situation.errors.clusters):
        return Refusal(f"no cluster of wrong pairs is left: {len(situation.errors.clusters)} were tried")
    cluster = situation.errors.clusters[situation.attempt]
    line = situation.search.constraint_for(cluster)
    if line is None:
        return Refusal("no conjunction of features is surely right and covers a quarter of the cluster")
    sections = situation.sections
    if line in sections.constraints:
        return Refusal("the constraint stands there already")
    text = replace(sections, constraints=(*sections.constraints, line)).render()
    return Written(text, f"added: {line}", tuple(cluster.pair_ids[:6]))


def sharpen_boundary(situation: Situation) -> Written | Refusal:
    """Say what tells two adjacent grades apart, those confused most first."""
    wrong = set(situation.errors.wrong["pair_id"])
    held = set(situation.sections.boundaries)
    lines = [
        line
        for lower, upper in confused_boundaries(situation)
        for line in situation.search.boundary_lines(lower, upper, wrong)[:3]
        if line not in held
    ]
    if situation.attempt >= len(lines):
        return Refusal("no short condition surely tells two adjacent grades apart that the instruction does not say")
    line, sections = lines[situation.attempt], situation.sections
    return Written(replace(sections, boundaries=(*sections.boundaries, line)).render(), f"sharpened: {line}")


def boundary_exemplars(situation: Situation) -> Written | Refusal:
    """Insert a contrastive pair of cases whose features tell why each is its grade and not the other."""
    for pair in boundary_pairs(situation)[situation.attempt :]:
        reasons = contrast(pair, situation.scale)
        if reasons is not None:
            return with_cases(situation, pair, reasons)
    return Refusal("no boundary pair is left whose features tell its two grades apart")


def merge(situation: Situation) -> Written | Refusal:
    """Add to the parent what another version has and it has not."""
    if situation.other is None:
        return Refusal("there is no second version to merge with yet")
    one, other = situation.sections, parse_sections(situation.other.text)
    merged = Sections(
        one.guideline,
        _union(one.constraints, other.constraints),
        _union(one.boundaries, other.boundaries),
        tuple(dict.fromkeys([*one.cases, *other.cases])),
    )
    if merged.n_added == one.n_added:
        return Refusal(f"{situation.other.instruction_id} adds nothing the parent has not")
    return Written(merged.render(), f"merged in {merged.n_added - one.n_added} of {situation.other.instruction_id}")


def simplify(situation: Situation) -> Written | Refusal:
    """Leave out added lines that repeat others; where none does, one added line or case, the oldest first."""
    sections = situation.sections
    shorter = replace(
        sections, constraints=_union((), sections.constraints), boundaries=_union((), sections.boundaries)
    )
    if shorter.n_added < sections.n_added and not situation.attempt:
        return Written(shorter.render(), f"left out {sections.n_added - shorter.n_added} lines that repeat others")
    dropped = situation.attempt - (shorter.n_added < sections.n_added)
    if dropped >= sections.n_added:
        return Refusal("nothing was added that could be left out; shortening the experts' own words takes a model")
    text, what = _without(sections, dropped)
    return Written(text, f"left out: {what}")


def boundary_pairs(situation: Situation) -> list[BoundaryPair]:
    """Return contrastive pairs the parent does not quote, those it gets wrong first."""
    n = situation.attempt + N_SEARCHED
    return find_boundary_pairs(
        situation.errors.train, situation.scale, said=situation.errors.said, text=situation.parent.text, n=n
    )


def with_cases(situation: Situation, pair: BoundaryPair, reasons: Sequence[str]) -> Written:
    """Return the parent with the two cases of a boundary pair, each with its reason."""
    scale, sections = situation.scale, situation.sections
    grades = pair.lower["grade"], pair.upper["grade"]
    cases = tuple(
        Case(shown["query"], shown["title"], verdict(scale, grade, other, reason))
        for shown, grade, other, reason in zip((pair.lower, pair.upper), grades, reversed(grades), reasons, strict=True)
    )
    text = replace(sections, cases=(*sections.cases, *cases)).render()
    change = f"two cases between {grades[0]} and {grades[1]}: {reasons[0]} / {reasons[1]}"
    return Written(text, change, pair.pair_ids)


def verdict(scale: Scale, grade: int, other: int, reason: str) -> str:
    """Write a case's grade, which one it is not, and why."""
    return f"{grade} ({scale.name(grade)}), not {other} ({scale.name(other)}): {reason}"


def confused_boundaries(situation: Situation) -> list[tuple[int, int]]:
    """Return the adjacent grades, those that are taken for each other most often first."""
    confused = [set(one) for one in situation.errors.wrong.select("grade", "said").iter_rows()]
    return sorted(pairwise(situation.scale.values), key=lambda pair: -confused.count(set(pair)))


OPERATORS = {
    operator.name: operator
    for operator in (
        Operator("add_constraint", "adds a constraint that settles a cluster of disagreements", add_constraint),
        Operator("sharpen_boundary", "says what tells two adjacent grades apart", sharpen_boundary),
        Operator("boundary_exemplars", "quotes two alike pairs of adjacent grades, with why", boundary_exemplars),
        Operator("critic", "mends the words that a critic holds responsible for a cluster", None, role="critic"),
        Operator("merge", "joins two versions", merge, n_parents=2),
        Operator("simplify", "says it shorter, or leaves out what is not needed", simplify),
    )
}


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of both without those that are an earlier one word for word."""
    kept = {tuple(tokenize(line)): line for line in reversed([*first, *second])}
    return tuple(dict.fromkeys(kept[tuple(tokenize(line))] for line in [*first, *second]))


def _without(sections: Sections, place: int) -> tuple[str, str]:
    """Return the instruction without its so-many-th added line or case, and what that was."""
    constraints, boundaries, cases = list(sections.constraints), list(sections.boundaries), list(sections.cases)
    if place < len(constraints):
        what = constraints.pop(place)
    elif place < len(constraints) + len(boundaries):
        what = boundaries.pop(place - len(constraints))
    else:
        case = cases.pop(place - len(constraints) - len(boundaries))
        what = f"the case {case.query} · {case.title}"
    kept = Sections(sections.guideline, tuple(constraints), tuple(boundaries), tuple(cases))
    return kept.render(), what
