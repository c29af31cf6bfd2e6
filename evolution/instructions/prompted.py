"""Edits written by a model: what each operator asks, and what a reply must be.

An evolver writes the sentence, the reasons or the new text; a critic reads clusters of disagreements and writes edits
as find and replace, so that it cannot lose what it does not mention. Texts of queries and docs stand escaped, whole and
on lines of their own in blocks; what comes back opens no block of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curation.completion import escape_block, one_line
from curation.features import evidence_line
from curation.text import normalise
from evolution.calls.llm import Message, Request
from evolution.instructions.edit_replies import (
    CriticReply,
    ReasonsReply,
    SentenceReply,
    UnusableEditError,
    WholeReply,
    read_reply,
    reply_schema,
)
from evolution.instructions.operators import Operator, boundary_pairs, confused_boundaries, with_cases
from evolution.instructions.sections import clean_line, parse_sections
from evolution.instructions.situation import Refusal, Situation, Written
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

N_SHOWN = 6  # pairs of a cluster
N_CLUSTERS = 4  # shown to the critic
MAX_LINE = 500  # characters of a written sentence


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about a situation, and how its reply is read; `read` raises `UnusableEditError`."""

    request: Request
    read: Callable[[str], Written | Refusal]

    def check(self, text: str) -> str | None:
        """Return why a reply cannot be used, None when it can."""
        try:
            self.read(text)
        except UnusableEditError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class EditForm:
    """How one run asks a model for edits."""

    model: str
    parameters: Mapping[str, Any]
    seed: int | None = None

    def ask(self, operator: Operator, situation: Situation) -> Asked | Refusal:
        """Return the request of an operator in a situation, or why there is nothing to ask."""
        found = _ASKED[operator.name](situation)
        if isinstance(found, Refusal):
            return found
        system, task = load_prompt("evolve"), load_prompt(f"evolve_{operator.name}")
        scale = situation.scale
        filled = system.fill(
            grades="\n".join(f"{grade} = {scale.name(grade)}" for grade in scale.values),
            instruction=situation.parent.text,
            task=task.text,
        )
        request = Request(
            role=operator.role,
            operator=operator.name,
            messages=(Message("system", filled), Message("user", found.shown)),
            schema=found.schema,
            material=situation.parent.instruction_id,
            model=self.model,
            template_digest=digest([system.digest, task.digest]),
            parameters=self.parameters,
            seed=self.seed,
            # the same question again, where an operator has no other occasion, is another sample
            sample_index=situation.attempt if operator.name in ("merge", "simplify", "critic") else 0,
        )
        return Asked(request, found.read)


@dataclass(frozen=True, slots=True)
class _Question:
    shown: str
    schema: Mapping[str, Any]
    read: Callable[[str], Written | Refusal]


def _constraint(situation: Situation) -> _Question | Refusal:
    if situation.errors.wrong.is_empty():
        return Refusal("no train pair is labelled wrongly, so there is nothing to constrain")
    if situation.attempt >= len(situation.errors.clusters):
        return Refusal(f"no cluster of wrong pairs is left: {len(situation.errors.clusters)} were tried")
    cluster = situation.errors.clusters[situation.attempt]
    shown = list(cluster.pairs.head(N_SHOWN).iter_rows(named=True))

    def read(text: str) -> Written | Refusal:
        line, refusal = _sentence(text)
        if refusal is not None:
            return refusal
        sections = situation.sections
        if line in sections.constraints:
            return Refusal("the constraint stands there already")
        edited = replace(sections, constraints=(*sections.constraints, line)).render()
        return Written(edited, f"added: {line}", tuple(pair["pair_id"] for pair in shown))

    return _Question(_block("pairs", _pairs(shown, situation.scale)), reply_schema(SentenceReply), read)


def _boundary(situation: Situation) -> _Question | Refusal:
    boundaries = confused_boundaries(situation)
    if situation.attempt >= len(boundaries):
        return Refusal("every boundary was tried")
    lower, upper = boundaries[situation.attempt]
    pair = situation.errors.wrong.filter(situation.errors.wrong["grade"].is_in([lower, upper]))
    pair = pair.filter(pair["said"].is_in([lower, upper])).sort("pair_id").head(N_SHOWN)
    if pair.is_empty():
        return Refusal(f"no train pair is mixed up between {lower} and {upper}")
    shown = list(pair.iter_rows(named=True))

    def read(text: str) -> Written | Refusal:
        line, refusal = _sentence(text)
        if refusal is not None:
            return refusal
        sections = situation.sections
        if line in sections.boundaries:
            return Refusal("the boundary is said so already")
        edited = replace(sections, boundaries=(*sections.boundaries, line)).render()
        return Written(edited, f"sharpened: {line}", tuple(one["pair_id"] for one in shown))

    scale = situation.scale
    named = f"lower: {lower} ({scale.name(lower)})\nupper: {upper} ({scale.name(upper)})"
    return _Question(f"{named}\n\n{_block('pairs', _pairs(shown, scale))}", reply_schema(SentenceReply), read)


def _exemplars(situation: Situation) -> _Question | Refusal:
    found = boundary_pairs(situation)[situation.attempt : situation.attempt + 1]
    if not found:
        return Refusal("no boundary pair is left: none reads alike with an adjacent grade")
    (pair,) = found

    def read(text: str) -> Written | Refusal:
        reply = read_reply(ReasonsReply, text)
        return with_cases(situation, pair, [_written_line(one) for one in (reply.lower, reply.upper)])

    return _Question(
        _block("pairs", _pairs([pair.lower, pair.upper], situation.scale)), reply_schema(ReasonsReply), read
    )


def _merge(situation: Situation) -> _Question | Refusal:
    if situation.other is None:
        return Refusal("there is no second version to merge with yet")
    other = situation.other

    def read(text: str) -> Written | Refusal:
        return _whole(read_reply(WholeReply, text), situation, f"merged with {other.instruction_id}")

    return _Question(f"The other version:\n\n{other.text}", reply_schema(WholeReply), read)


def _simplify(situation: Situation) -> _Question | Refusal:
    def read(text: str) -> Written | Refusal:
        written = _whole(read_reply(WholeReply, text), situation, "shortened")
        if len(written.text) >= len(situation.parent.text):
            raise UnusableEditError("not shorter: it has as many characters as before, or more")
        return written

    return _Question("Write it shorter.", reply_schema(WholeReply), read)


def _critic(situation: Situation) -> _Question | Refusal:
    clusters = situation.errors.clusters[:N_CLUSTERS]
    if not clusters:
        return Refusal("no cluster of wrong pairs to hold against the instruction")
    shown = [list(one.pairs.head(N_SHOWN // 2).iter_rows(named=True)) for one in clusters]
    blocks = [
        f"{len(one.pairs)} pairs like these:\n{_block('pairs', _pairs(pairs, situation.scale))}"
        for one, pairs in zip(clusters, shown, strict=True)
    ]

    def read(text: str) -> Written | Refusal:
        reply = read_reply(CriticReply, text)
        diagnosis = clean_line(reply.diagnosis)[:MAX_LINE]
        if not reply.edits:
            return Refusal(f"the critic sees nothing to mend: {diagnosis}")
        edited = situation.parent.text
        for edit in reply.edits:
            if edited.count(edit.find) != 1:
                times = edited.count(edit.find)
                raise UnusableEditError(f"passage not found once: it stands there {times} times: {edit.find[:60]!r}")
            edited = edited.replace(edit.find, edit.replace)
        pair_ids = tuple(pair["pair_id"] for pairs in shown for pair in pairs)
        return Written(_sound(edited, situation), f"mended: {diagnosis}", pair_ids)

    return _Question("\n\n".join(blocks), reply_schema(CriticReply), read)


_ASKED: Mapping[str, Callable[[Situation], _Question | Refusal]] = {
    "add_constraint": _constraint,
    "sharpen_boundary": _boundary,
    "boundary_exemplars": _exemplars,
    "critic": _critic,
    "merge": _merge,
    "simplify": _simplify,
}


def _sentence(text: str) -> tuple[str, Refusal | None]:
    reply = read_reply(SentenceReply, text)
    if not reply.sentence.strip():
        return "", Refusal(f"the model sees no such sentence: {clean_line(reply.why)[:MAX_LINE]}")
    return _written_line(reply.sentence), None


def _written_line(text: str) -> str:
    line = clean_line(text)
    if not line or len(line) > MAX_LINE:
        raise UnusableEditError(f"a sentence of {len(line)} characters: between 1 and {MAX_LINE} are taken")
    return line


def _whole(reply: WholeReply, situation: Situation, what: str) -> Written:
    return Written(_sound(reply.instruction, situation), f"{what}: {clean_line(reply.why)[:MAX_LINE]}")


def _sound(text: str, situation: Situation) -> str:
    """Return a text that opens no block but cases, and quotes no case that the versions it is made of do not."""
    sections = parse_sections(text.strip())
    now, before = normalise(sections.guideline), normalise(situation.sections.guideline)
    if any(now.count(f"<{name}") > before.count(f"<{name}") for name in _BLOCKS):
        raise UnusableEditError("the text opens a block of the prompt: write it without tags")
    known = {*situation.sections.cases, *(parse_sections(situation.other.text).cases if situation.other else ())}
    if any(case not in known for case in sections.cases):
        raise UnusableEditError("the text holds a case that was not there: keep the cases as they are")
    if not sections.guideline:
        raise UnusableEditError("nothing is left of the guideline")
    return sections.render()


_BLOCKS = ("query", "/query", "document", "/document", "evidence", "/evidence", "rules", "/rules", "case", "/case")


def _block(name: str, content: str) -> str:
    return f"<{name}>\n{content}\n</{name}>"


def _pairs(pairs: Sequence[Mapping[str, Any]], scale: Scale) -> str:
    return "\n\n".join(_pair(pair, scale) for pair in pairs)


def _pair(pair: Mapping[str, Any], scale: Scale) -> str:
    lines = [
        f"query: {_line(pair['query'])}",
        f"title: {_line(pair['title'])}",
        f"evidence: {_line(evidence_line(pair))}",
        f"judged: {pair['grade']} ({scale.name(pair['grade'])})",
    ]
    if pair.get("said") is not None:
        lines.append(f"graded: {pair['said']} ({scale.name(pair['said'])})")
    return "\n".join(lines)


def _line(text: str) -> str:
    return one_line(escape_block(text)) or "-"
