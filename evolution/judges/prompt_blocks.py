"""What a judge is shown of a pair: escaped blocks, each text on a line of its own, that no text can close."""

from __future__ import annotations

from collections.abc import Mapping

from curation.completion import Step, escape_block, one_line
from storage.grades import Scale


def line(text: str) -> str:
    """Return untrusted text as one escaped line; `-` where there is none."""
    return one_line(escape_block(text)) or "-"


def block(name: str, content: str) -> str:
    """Return a labelled block of lines that are escaped already."""
    return f"<{name}>\n{content}\n</{name}>"


def query_block(query: str) -> str:
    """Return the query's block."""
    return block("query", line(query))


def doc_block(title: str, body: str, fields: Mapping[str, str], *, max_body_characters: int) -> str:
    """Return the doc's block."""
    lines = [f"title: {line(title)}", *(f"{line(name)}: {line(value)}" for name, value in sorted(fields.items()))]
    if body:
        lines.append(f"body: {line(body[:max_body_characters])}")
    return block("document", "\n".join(lines))


def steps_block(steps: tuple[Step, ...]) -> str:
    """Return a rationale's block, its steps numbered from 1."""
    return block("steps", "\n".join(f"{n}. {line(step.label)}: {line(step.text)}" for n, step in enumerate(steps, 1)))


def grade_lines(scale: Scale, *, is_reversed: bool = False) -> str:
    """Return the scale, a grade a line."""
    values = reversed(scale.values) if is_reversed else scale.values
    return "\n".join(f"{grade} = {scale.name(grade)}" for grade in values)
