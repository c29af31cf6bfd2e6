"""What a rationale is held against: an expert's settled rationale, else the settled grade, and the approved rules.

Nothing a machine proposed is ever a reference, and no pair outside train has one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from curation.completion import steps_from_json
from evolution.judges.prompt_blocks import line
from storage.grades import Scale
from storage.ids import digest


class ReferenceKind(StrEnum):
    """The best thing a reference rests on."""

    RATIONALE = "rationale"
    GRADE = "grade"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """One line of a reference: what it is called in `aligned_to`, and its words, escaped."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Lines a judge may align a step to, numbered from 1 in their order."""

    kind: ReferenceKind
    lines: tuple[ReferenceLine, ...]

    @property
    def digest(self) -> str:
        """A name of what it says: another reference asks for another verdict."""
        return digest([[one.name, one.text] for one in self.lines])

    def written(self) -> str:
        """Return it as numbered lines."""
        return "\n".join(f"{number}. {one.text}" for number, one in enumerate(self.lines, 1))


def reference_of(row: Mapping[str, Any], scale: Scale) -> Reference:
    """Return the reference of a row of `rationales_to_judge`; ValueError where it has none."""
    lines: list[ReferenceLine] = []
    kind = ReferenceKind.RULES
    if row["settled_grade"] is not None:
        kind, grade = ReferenceKind.GRADE, row["settled_grade"]
        lines.append(ReferenceLine("grade", f"an expert settled the grade: {grade} ({line(scale.name(grade))})"))
        steps = steps_from_json(row["settled_steps"])
        kind = ReferenceKind.RATIONALE if steps else kind
        lines += [ReferenceLine(step.label, f"the expert on {line(step.label)}: {line(step.text)}") for step in steps]
    lines += [
        ReferenceLine(
            rule["rule_id"], f"rule [{rule['rule_id']}] ({line(scale.name(rule['grade']))}): {line(rule['text'])}"
        )
        for rule in row["rules"] or ()
    ]
    if not lines:
        raise ValueError(f"{row['candidate_id']} has neither a settled grade nor a rule to be held against")
    return Reference(kind, tuple(lines))
