"""The answer-first completion: the grade first, then labelled reasons. The only place that writes or reads one.

Line 1 is the grade token. Each further line is a step, `intent: …`, in the order of `STEP_LABELS`; a step cites rules
as `[r_3fa9…]`. Grade first because the score must cost one token (arXiv 2602.10006); the five step labels follow
arXiv 2508.12365 and are our reconstruction. Anything else is a `ParseFailure`, never a grade. Query and doc text are
untrusted: they stand escaped inside labelled blocks that no text can close.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.grades import Scale

STEP_LABELS = ("intent", "document", "category", "attributes", "rules", "verdict")
CITATION = re.compile(r"\[(r_[0-9a-f]{4,64})\]")
_STEP_LINE = re.compile(r"([a-z]+): (.+)")
# What could open or close a tag, and every other sign that a compatibility form (NFKD, with or without its marks) makes
# one of: full-width and small signs, and the two struck through. A tokenizer that normalises would undo anything less.
BLOCK_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    **{sign: f"&#x{ord(sign):x};" for sign in "\u226e\u226f\ufe64\ufe65\uff1c\uff1e"},
}
_ESCAPES = str.maketrans(BLOCK_ENTITIES)
_UNESCAPES = {entity: sign for sign, entity in BLOCK_ENTITIES.items()}
_ENTITY = re.compile("|".join(map(re.escape, _UNESCAPES)))


class ParseReason(StrEnum):
    EMPTY = "empty"
    NO_GRADE = "first line is not a grade"
    OFF_SCALE = "grade off the scale"
    BAD_STEP = "a line is not a labelled step"
    STEP_ORDER = "steps repeated or out of order"


@dataclass(frozen=True, slots=True)
class Step:
    """One reason: a label of `STEP_LABELS` and one line of text."""

    label: str
    text: str

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """The rules this step cites, in order of appearance."""
        return tuple(CITATION.findall(self.text))


@dataclass(frozen=True, slots=True)
class Completion:
    """A grade and its reasons. Zero steps is a valid, grade-only completion."""

    grade: int
    steps: tuple[Step, ...] = ()

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """All rules cited, each once, in order of appearance."""
        return tuple(dict.fromkeys(rule_id for step in self.steps for rule_id in step.rule_ids))


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """Why a text is no completion. Stored and counted; it is no grade."""

    reason: ParseReason
    text: str


def one_line(text: str) -> str:
    """Return the text as a step may carry it: one line, single spaces, no control characters."""
    line = " ".join(text.split())
    if line.isprintable():  # white space is gone already; asking each character of a long body costs ten times as much
        return line
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())


def render(completion: Completion, scale: Scale) -> str:
    """Write a completion; ValueError for a grade off the scale or a step the parser would not read back."""
    if completion.grade not in scale:
        raise ValueError(f"grade {completion.grade} is off the scale {scale.values}")
    lines = [scale.token(completion.grade)]
    last = -1
    for step in completion.steps:
        if step.label not in STEP_LABELS or STEP_LABELS.index(step.label) <= last:
            raise ValueError(f"step {step.label!r} is unknown, repeated or out of order")
        if not step.text or step.text != one_line(step.text):
            raise ValueError(f"step {step.label!r} is empty or not one clean line: {step.text!r}")
        last = STEP_LABELS.index(step.label)
        lines.append(f"{step.label}: {step.text}")
    return "\n".join(lines)


def parse(text: str, scale: Scale) -> Completion | ParseFailure:
    """Read a completion; surrounding blank space is forgiven, everything else is a reasoned failure."""
    lines = text.strip().split("\n")
    if lines == [""]:
        return ParseFailure(ParseReason.EMPTY, text)
    first = lines[0].strip()
    if not re.fullmatch(r"[0-9]", first):
        return ParseFailure(ParseReason.NO_GRADE, text)
    if int(first) not in scale:
        return ParseFailure(ParseReason.OFF_SCALE, text)
    steps: list[Step] = []
    last = -1
    for line in lines[1:]:
        match = _STEP_LINE.fullmatch(line.strip())
        if not match or match[1] not in STEP_LABELS or one_line(match[2]) != match[2]:
            return ParseFailure(ParseReason.BAD_STEP, text)
        if STEP_LABELS.index(match[1]) <= last:
            return ParseFailure(ParseReason.STEP_ORDER, text)
        last = STEP_LABELS.index(match[1])
        steps.append(Step(match[1], match[2]))
    return Completion(int(first), tuple(steps))


def steps_to_json(steps: Sequence[Step]) -> str:
    """Return the stored form of steps: a JSON array of [label, text]."""
    return json.dumps([[step.label, step.text] for step in steps], ensure_ascii=False)


def steps_from_json(text: str | None) -> tuple[Step, ...]:
    """Read the stored form of steps; None (no rationale) gives no steps."""
    return tuple(Step(label, value) for label, value in json.loads(text)) if text else ()


def implied_grade(completion: Completion, scale: Scale) -> int | None:
    """Return the grade the verdict step names, None when there is no verdict or it names none.

    The longest name that starts the verdict counts, so that `partly relevant` is not read as `part`.
    """
    verdict = next((step.text.casefold() for step in completion.steps if step.label == "verdict"), None)
    if verdict is None:
        return None
    names = sorted(zip(scale.names, scale.values, strict=True), key=lambda pair: -len(pair[0]))
    return next((grade for name, grade in names if re.match(rf"{re.escape(name.casefold())}(?!\w)", verdict)), None)


def escape_block(text: str) -> str:
    """Return untrusted text so that it can hold no tag, not even once a tokenizer has normalised it."""
    return text.translate(_ESCAPES)


def unescape_block(text: str) -> str:
    """Return a text as it was before `escape_block`."""
    return _ENTITY.sub(lambda found: _UNESCAPES[found[0]], text)


def render_prompt(
    query: str,
    title: str,
    *,
    body: str = "",
    fields: Mapping[str, str] | None = None,
    evidence: str = "",
    max_body_characters: int = 600,
) -> str:
    """Write the prompt a model completes: the pair in escaped blocks, computed evidence, the cue.

    Ends with a line break, so that the completion's first token stands at the start of a line.
    """
    doc = [f"title: {one_line(escape_block(title))}"]
    doc += [
        f"{one_line(escape_block(name))}: {one_line(escape_block(value))}"
        for name, value in sorted((fields or {}).items())
    ]
    if body:
        doc.append(f"body: {one_line(escape_block(body[:max_body_characters]))}")
    blocks = [("query", one_line(escape_block(query))), ("document", "\n".join(doc))]
    if evidence:
        blocks.append(("evidence", one_line(escape_block(evidence))))
    text = "".join(f"<{name}>\n{content}\n</{name}>\n" for name, content in blocks)
    return f"{text}Relevance grade, then the reasons:\n"
