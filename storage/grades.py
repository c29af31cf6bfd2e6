"""The workspace's ordered scale of grades: data, not code.

A grade is an integer; the scale gives each its name and guideline. The grade token, the first thing an answer-first
model writes, is the grade's decimal digit, so every value is one digit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import UserError

MIN_GRADES, MAX_GRADES = 2, 6
TREC_NAMES = {
    2: ("irrelevant", "relevant"),
    3: ("irrelevant", "partly", "fully"),
    4: ("irrelevant", "partly", "substantially", "fully"),
}


@dataclass(frozen=True, slots=True)
class Scale:
    """An ordered scale. `values` ascend; `names` run parallel to them."""

    values: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def lowest(self) -> int:
        return self.values[0]

    @property
    def highest(self) -> int:
        return self.values[-1]

    def __contains__(self, grade: object) -> bool:
        return grade in self.values

    def name(self, grade: int) -> str:
        """Return the name of a grade; KeyError for a value off the scale."""
        if grade not in self.values:
            raise KeyError(grade)
        return self.names[self.values.index(grade)]

    def token(self, grade: int) -> str:
        """Return the text of the grade token: the grade's digit."""
        if grade not in self.values:
            raise KeyError(grade)
        return str(grade)

    def position(self, grade: int) -> int:
        """Return the grade's place on the scale, counted from 0."""
        return self.values.index(grade)

    def find(self, text: str) -> int | None:
        """Return the grade a source's text stands for (its number or its name), None when it is off the scale."""
        text = text.strip()
        if re.fullmatch(r"-?\d{1,9}(\.0{1,9})?", text):
            value = int(float(text))
            return value if value in self.values else None
        folded = [name.casefold() for name in self.names]
        return self.values[folded.index(text.casefold())] if text.casefold() in folded else None


def parse_scale(text: str) -> Scale:
    """Read `0-3` or `bad,fair,good` (lowest first); UserError when it is neither or has not 2 to 6 grades."""
    text = text.strip()
    span = re.fullmatch(r"(\d)\s*-\s*(\d)", text)
    if span:
        values = tuple(range(int(span[1]), int(span[2]) + 1))
        names = TREC_NAMES.get(len(values)) or tuple(f"grade {value}" for value in values)
    else:
        names = tuple(name.strip() for name in text.split(","))
        values = tuple(range(len(names)))
    if not MIN_GRADES <= len(values) <= MAX_GRADES:
        raise UserError(
            f"scale {text!r} has {len(values)} grades; afrel takes {MIN_GRADES} to {MAX_GRADES}, lowest first. "
            "Write it as 0-3 or bad,fair,good: afrel init DIR --scale 0-3"
        )
    numbered = [name for value, name in zip(values, names, strict=True) if name.isdigit() and int(name) != value]
    if numbered:
        raise UserError(
            f"scale {text!r} names a grade by the number {numbered[0]!r}, which is not its place. "
            f"Write a range, lowest to highest, such as --scale {names[0]}-{names[-1]}, or words"
        )
    if any(not name for name in names) or len({name.casefold() for name in names}) != len(names):
        raise UserError(f"scale {text!r} has an empty or repeated name. Name each grade once: --scale bad,fair,good")
    return Scale(values, names)
