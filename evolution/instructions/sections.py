"""An instruction as the experts' guideline with what evolution added to it: constraints, boundaries, cases.

What was added stands in sections of its own at the end, so that an edit touches no word of the experts unless its
operator says so. A case quotes a judged pair: its query and title are untrusted, so they stand escaped, on a line of
their own, inside a block they cannot leave; an erasure finds them there by their line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from curation.completion import escape_block, one_line, unescape_block

CONSTRAINTS, BOUNDARIES, CASES = "Further constraints:", "Where two grades meet:", "Cases at a boundary:"
_SECTIONS = re.compile(
    rf"(?:\n+{CONSTRAINTS}\n(?P<constraints>(?:- [^\n]+(?:\n|\Z))+))?"
    rf"(?:\n+{BOUNDARIES}\n(?P<boundaries>(?:- [^\n]+(?:\n|\Z))+))?"
    rf"(?:\n+{CASES}\n(?P<cases>(?:<case>\n(?:(?!</case>)[^\n]*\n)*</case>(?:\n|\Z))+))?\s*\Z"
)
_CASE = re.compile(r"<case>\nquery: ([^\n]*)\ndocument: ([^\n]*)\ngrade: ([^\n]*)\n</case>")
_HEADINGS = re.compile(rf"\n+(?:{CONSTRAINTS}|{BOUNDARIES}|{CASES})\n")


@dataclass(frozen=True, slots=True)
class Case:
    """A judged pair as an example. `verdict` is one line: the grade, which it is not, and why."""

    query: str
    title: str
    verdict: str

    def render(self) -> str:
        """Write the case as its block."""
        return f"<case>\nquery: {_line(self.query)}\ndocument: {_line(self.title)}\ngrade: {self.verdict}\n</case>"


@dataclass(frozen=True, slots=True)
class Sections:
    """The parts of an instruction. Constraints and boundaries are one line each."""

    guideline: str
    constraints: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()

    @property
    def n_added(self) -> int:
        """How many lines and cases evolution has added."""
        return len(self.constraints) + len(self.boundaries) + len(self.cases)

    def render(self) -> str:
        """Write the instruction; sections that hold nothing are left out."""
        parts = [self.guideline.strip()]
        if self.constraints:
            parts.append("\n".join([CONSTRAINTS, *(f"- {line}" for line in self.constraints)]))
        if self.boundaries:
            parts.append("\n".join([BOUNDARIES, *(f"- {line}" for line in self.boundaries)]))
        if self.cases:
            parts.append("\n".join([CASES, *(case.render() for case in self.cases)]))
        return "\n\n".join(parts)


def parse_sections(text: str) -> Sections:
    """Read an instruction; `parse_sections(x.render()) == x` for what this module wrote.

    A text without the sections is all guideline, also one that holds their headings in the middle.
    """
    for start in [found.start() for found in _HEADINGS.finditer(text)]:
        found = _SECTIONS.match(text, start)
        if found is not None:
            cases = tuple(
                Case(unescape_block(q), unescape_block(d), v) for q, d, v in _CASE.findall(found["cases"] or "")
            )
            return Sections(
                text[:start].strip(), tuple(_bullets(found["constraints"])), tuple(_bullets(found["boundaries"])), cases
            )
    return Sections(text.strip())


def clean_line(text: str) -> str:
    """Return a proposed sentence as a line of a section: one line that can open no block and begins no list."""
    return escape_block(one_line(re.sub(r"</?[a-zA-Z_]+>", " ", text)).lstrip("-*• ").strip())


def quotes(text: str, query: str, title: str) -> bool:
    """Return whether an instruction quotes a pair: both its query and its title stand in it."""
    return bool(title.strip()) and _line(query) in text and _line(title) in text


def _bullets(section: str | None) -> Iterable[str]:
    return (line[2:] for line in (section or "").splitlines() if line.startswith("- "))


def _line(text: str) -> str:
    return one_line(escape_block(text))
