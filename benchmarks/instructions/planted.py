"""A labeller and an evolver whose every word is known: what an edit of an instruction is truly worth can be computed.

The labeller follows the sentences that stand in the instruction, and no other. By itself it looks at the kind of thing
alone: the right kind is the highest grade, any other the lowest. A sentence is one of the sample's planted rules with a
grade, the planted one or a wrong one; or it is too broad, and overrides all rules; or it says nothing about grades. A
share of its labels is one grade off, other ones under each text, as a model's are. The evolver writes sentences of all
these sorts about the pairs it is shown. Requests come as the protocol has them; the model's name says how noisy the
labeller is and which chance the evolver follows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any

from benchmarks.chat_server import LABEL, HttpReply, HttpRequest, completion
from curation.completion import escape_block, one_line
from evolution.instructions.sections import Sections, parse_sections
from samples.homeware.catalogue import Doc
from samples.homeware.generate import build_sample
from samples.homeware.intents import Query
from samples.homeware.pairing import Pair
from samples.homeware.rules import Predicate, conflicts
from samples.homeware.truth import RULES, decide, share

GUIDELINE = (
    "You judge how well a document answers a search query, as the searcher would see it. "
    "First see what kind of thing is asked for. A document of another kind is irrelevant, one of the right kind is "
    "fully relevant."
)
LOWEST, HIGHEST = 0, 3
# which of these a sentence of the evolver is, how often
SORTS = {"planted": 0.5, "harmless": 0.2, "wrong grade": 0.15, "too broad": 0.15}
BROAD: Mapping[str, tuple[Predicate, int]] = {
    "Whatever differs from what is asked in any single value has grade 1.": (
        lambda query, doc: query.kind == doc.kind and bool(conflicts(query, doc)),
        1,
    ),
    "Nothing of another kind is of any use, accessories and near relatives included: grade 0.": (
        lambda query, doc: query.kind != doc.kind,
        0,
    ),
    "As long as the kind is right and no value differs, the grade is 3.": (
        lambda query, doc: query.kind == doc.kind and not conflicts(query, doc),
        3,
    ),
}
IDLE = (
    "Read the whole title before you grade.", "Take every pair by itself.", "Be fair and consistent.",
    "Mind that searchers are busy.", "Do not be swayed by how nice a document sounds.",
    "Grade the thing and not its description.", "Think of the searcher first.", "Spelling does not matter.",
    "Keep the order of the steps.", "A short title is no fault.", "Consider all fields.", "Use common sense.",
)  # fmt: skip
_SAID = re.compile(r" The grade is (\d)\.")
_PAIR = re.compile(r"^query: (.*)\n(?:title|document): (.*)$", flags=re.MULTILINE)
_LABELLED = re.compile(r"<query>\n(.*)\n</query>\n<document>\ntitle: (.*)")


@dataclass(frozen=True, slots=True)
class Told:
    """What an instruction says to the labeller: grades by rule, and sentences that override them."""

    grades: Mapping[str, int]
    broad: tuple[str, ...]

    def grade(self, query: Query, doc: Doc) -> int:
        """Grade a pair as told."""
        for sentence in self.broad:
            holds, grade = BROAD[sentence]
            if holds(query, doc):
                return grade
        usual = decide(query, doc).usual.rule_id
        for rule_id, grade in self.grades.items():
            rule = RULES[rule_id]
            if usual in rule.overrides and rule.holds(query, doc):
                return grade
        if usual in self.grades:  # a sentence is understood as it is meant: "the right thing, but …" of the right thing
            return self.grades[usual]
        return HIGHEST if query.kind == doc.kind else LOWEST

    def sort_of_change(self, child: Told) -> str:
        """Say what an edit changed for the labeller."""
        added = [
            "planted" if RULES[name].grade == grade else "wrong grade"
            for name, grade in child.grades.items()
            if self.grades.get(name) != grade
        ]
        added += ["too broad"] * len(set(child.broad) - set(self.broad))
        n_gone = len(set(self.grades) - set(child.grades)) + len(set(self.broad) - set(child.broad))
        if not added:
            return "something left out" if n_gone else "harmless"
        return added[0] if len(set(added)) == 1 and not n_gone else "several at once"


@cache
def read_instruction(text: str) -> Told:
    """Return what an instruction says; of two sentences on one rule the later holds."""
    grades: dict[str, int] = {}
    found = [(text.index(rule.text), rule) for rule in RULES.values() if rule.text in text]
    for _, rule in sorted(found, key=lambda one: one[0]):
        for said in re.finditer(re.escape(rule.text) + _SAID.pattern, text):
            grades[rule.rule_id] = int(said[1])
    return Told(grades, tuple(sentence for sentence in BROAD if sentence in text))


def sentence_of(rule_id: str, grade: int) -> str:
    """Write a rule with a grade."""
    return f"{RULES[rule_id].text} The grade is {grade}."


@cache
def pairs_by_text() -> Mapping[tuple[str, str], Pair]:
    """Return the sample's pairs by query and title as prompts write them."""
    return {(_line(pair.query.text), _line(pair.doc.title)): pair for pair in build_sample().pairs}


def answer(request: HttpRequest) -> HttpReply:
    """Answer a labelling request by the instruction, one for an edit by chance."""
    body = request.json()
    noise, seed = (float(part) for part in body["model"].split("-")[1:])
    system, user = (message["content"] for message in body["messages"][:2])
    if body["response_format"]["json_schema"]["name"].startswith("label"):
        text = json.dumps({**LABEL, "grade": label(system, user, noise=noise)})
    else:
        text = json.dumps(edit(system, user, body["response_format"]["json_schema"]["schema"], seed=int(seed)))
    return HttpReply(body=completion(text))


def label(system: str, user: str, *, noise: float) -> int:
    """Return the grade of the pair a request shows, one off in `noise` of the cases."""
    instruction = system.rpartition("\n\nGrades, lowest first:")[0]
    found = _LABELLED.search(user)
    assert found is not None, user
    pair = pairs_by_text()[found[1], found[2]]
    grade = read_instruction(instruction).grade(pair.query, pair.doc)
    place = ("label", instruction, pair.query_id, pair.doc.doc_id)
    if share(*place) >= noise:
        return grade
    step = 1 if grade == LOWEST or (grade < HIGHEST and share(*place, "up") < 0.5) else -1
    return grade + step


def edit(system: str, user: str, schema: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return an edit in the form that is asked for."""
    instruction = system.partition("Instruction in force, from the next line on:\n")[2]
    asked = set(schema["properties"])
    if "lower" in asked:
        return {"lower": "It lacks what the other has.", "upper": "It has what the other lacks."}
    if "instruction" in asked:
        is_merge = user.startswith("The other version:")
        text = _merged(instruction, user) if is_merge else _shorter(instruction, chance=share(seed, "shorter", system))
        return {"instruction": text, "why": "it says what both say" if is_merge else "it says it shorter"}
    sentence = _sentence(instruction, user, seed)
    if "diagnosis" not in asked:
        return {"sentence": sentence, "why": "it was not said"}
    last = parse_sections(instruction).guideline.rstrip().splitlines()[-1]
    return {"diagnosis": "it was not said", "edits": [{"find": last, "replace": f"{last} {sentence}"}]}


def _sentence(instruction: str, user: str, seed: int) -> str:
    """Return a sentence about the pairs shown, of a sort by chance."""
    told, place = read_instruction(instruction), (seed, instruction, user)
    drawn = share(*place, "sort")
    sort = next(sort for sort, upper in zip(SORTS, accumulate(SORTS.values()), strict=True) if drawn < upper)
    if sort == "too broad":
        left = [sentence for sentence in BROAD if sentence not in told.broad]
        if left:
            return left[int(share(*place, "broad") * len(left))]
    if sort in ("planted", "wrong grade"):
        shown = [pairs_by_text().get((query, title)) for query, title in _PAIR.findall(user)]
        deciding = Counter(decide(one.query, one.doc).rule.rule_id for one in shown if one is not None)
        unsaid = [name for name, _ in deciding.most_common() if told.grades.get(name) != RULES[name].grade]
        if unsaid:
            grade = RULES[unsaid[0]].grade
            if sort == "wrong grade":
                grade = (grade + 1 + int(share(*place, "grade") * 3)) % (HIGHEST + 1)
            return sentence_of(unsaid[0], grade)
    return IDLE[int(share(*place, "idle") * len(IDLE))]


def _merged(instruction: str, user: str) -> str:
    one, other = parse_sections(instruction), parse_sections(user.partition("\n\n")[2])
    return replace(
        one,
        constraints=tuple(dict.fromkeys([*one.constraints, *other.constraints])),
        boundaries=tuple(dict.fromkeys([*one.boundaries, *other.boundaries])),
        cases=tuple(dict.fromkeys([*one.cases, *other.cases])),
    ).render()


def _shorter(instruction: str, *, chance: float) -> str:
    """Leave out an added line by chance, idle or not; without any, a word of the guideline that says nothing."""
    sections = parse_sections(instruction)
    lines = [*sections.constraints, *sections.boundaries]
    if not lines:
        return Sections(sections.guideline.replace(", as the searcher would see it", "")[:-1]).render()
    gone = lines[int(chance * len(lines))]
    return replace(
        sections,
        constraints=_without(sections.constraints, gone),
        boundaries=_without(sections.boundaries, gone),
    ).render()


def _without(lines: Sequence[str], gone: str) -> tuple[str, ...]:
    return tuple(line for line in lines if line != gone)


def _line(text: str) -> str:
    return one_line(escape_block(text))
