"""Every prompt that a model gets, read back: no text of a query, doc or reply leaves its block.

A template is a text file, and what stands in it must be told here: a place for foreign text stands alone on a line
between the tags of its block, any other place is filled with our own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from curation.completion import escape_block, one_line, unescape_block
from curation.rules import Rule
from evolution.calls.dispatch import _repair
from evolution.calls.llm import Message, Request
from evolution.labelling.rationale import VotingRule
from evolution.labelling.request import LabelForm, LabelMaterial
from evolution.mutations import OPERATORS
from evolution.mutations.operator import Side
from evolution.mutations.operators import Original
from evolution.mutations.prompted import PromptedForm
from evolution.prompts import FOLDER
from evolution.rules.disagreements import Cluster
from evolution.rules.requests import RuleMaterial, rule_request
from tests.evolution.conftest import SCALE
from tests.prompt_blocks import HOSTILE, assert_shut, read_blocks

# Filled with what people approved (the instruction) or with words of ours.
OURS = {"instruction", "grades", "task", "aim", "disagreement"}
TEMPLATES = sorted(FOLDER.glob("*.txt"))
PLAIN = {
    "query_terms": ["red"],
    "missing_terms": [],
    "gram_overlap": 0.5,
    "longest_match_rate": 0.5,
    "phrase_overlap": 0.5,
    "title_overlap": 0.5,
    "term_overlap": 0.5,
    "n_number_matches": 0,
    "n_number_conflicts": 0,
    "matched_fields": [],
    "conflicting_fields": [],
    "has_negation": False,
    "n_negated_present": 0,
}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_place_for_foreign_text_stands_alone_between_its_tags(template: Any) -> None:
    lines = template.read_text(encoding="utf-8").split("\n")
    for at, line in enumerate(lines):
        for place in re.findall(r"\$\{?([a-z_]+)", line):
            if place in OURS:
                continue
            assert line == f"${place}"
            opens, closes = lines[at - 1], lines[at + 1]
            assert re.fullmatch(r"<[a-z_]+>", opens) and closes == opens.replace("<", "</")


def hostile_pair(text: str) -> LabelMaterial:
    return LabelMaterial(
        pair_id="p_1",
        query=text,
        title=text,
        body=text,
        fields={"colour": text, text: "red"},
        features={},
        evidence=text,
        rules=(VotingRule("r_1", text, 1, 1.0), VotingRule("r_2", text, 2, 1.0)),
        scale=SCALE,
    )


def user_message(request: Request | None) -> str:
    assert request is not None
    system, user = request.messages
    assert (system.role, user.role) == ("system", "user")
    return user.content


def trusted_message(request: Request | None) -> str:
    assert request is not None
    return request.messages[0].content


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_labelling_keeps_every_text_in_its_block(text: str) -> None:
    form = LabelForm("Judge.", SCALE, "m", {})
    user = user_message(form.request(hostile_pair(text)))
    lines = {"query": 1, "document": 4, "evidence": 1, "rules": 2}
    assert_shut(user, ("query", "document", "evidence", "rules"), n_lines=lines)
    read = read_blocks(user)
    assert read.outside == []
    assert unescape_block(read.lines("query")[0]) == (one_line(text) or "-")
    assert [line[:3] for line in read.lines("rules")] == ["1. ", "2. "]
    assert trusted_message(form.request(hostile_pair(text))) == trusted_message(form.request(hostile_pair("red mug")))


@pytest.mark.parametrize("operator", [OPERATORS["typo"], OPERATORS["doc_truncation"]], ids=lambda one: one.name)
def test_mutating_keeps_every_text_in_its_block(operator: Any) -> None:
    form = PromptedForm(SCALE, "m", {})
    plain = form.request(operator, Original("p", "red mug", "Mug", "A mug.", {"kind": "mug"}, 2))
    for text in HOSTILE:
        request = form.request(operator, Original("p", text, text, text, {"kind": text, text: "mug"}, 2))
        if operator.side is Side.QUERY:
            assert_shut(user_message(request), ("query", "fields"), n_lines={"query": 1, "fields": 2})
        else:
            assert_shut(user_message(request), ("title", "body"), n_lines={"title": 1, "body": 1})
        assert read_blocks(user_message(request)).outside == read_blocks(user_message(plain)).outside
        assert trusted_message(request) == trusted_message(plain)


def cluster_of(texts: Iterable[str]) -> RuleMaterial:
    rows = [
        {
            **PLAIN,
            "pair_id": f"p_{at}",
            "query": text,
            "title": text,
            "root_query_id": "q",
            "query_attributes": [f"colour={text}"],
            "doc_attributes": [text],
            "conflicting_fields": [text],
            "missing_terms": [text],
        }
        for at, text in enumerate(texts)
    ]
    cluster = Cluster("human-machine", 1, (2,), pl.DataFrame(rows, infer_schema_length=None))
    parent = Rule("r_1", rows[0]["query"], "n_query_terms > 1", 2)
    return RuleMaterial(cluster, tuple(rows[:1]), parent, SCALE)


def test_proposing_rules_keeps_every_text_in_its_block() -> None:
    for at in range(0, len(HOSTILE), 3):
        texts = HOSTILE[at : at + 3]
        material = cluster_of(texts)
        user = user_message(rule_request(material, instruction="i", model="m", parameters={}, seed=None))
        n = len(texts)
        lines = {"examples": 7 * n - 1, "counter_examples": 6, "rule_in_force": 2}
        assert_shut(user, ("examples", "counter_examples", "rule_in_force"), n_lines=lines)
        shown = read_blocks(user).lines("examples")
        assert [unescape_block(line) for line in shown[::7]] == [f"query: {one_line(text) or '-'}" for text in texts]
        assert len(read_blocks(user).outside) == 2  # how they disagree, in words of ours, and a blank line


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_reason_that_quotes_a_reply_stays_in_its_block(text: str) -> None:
    asked = Request("label", "label", (Message("user", "u"),), {}, None, "m", "d")
    repair = _repair(asked, "a reply", f"about another pair: {text}")
    plain = _repair(asked, "a reply", "about another pair: p_1")
    assert_shut(repair.messages[-1].content, ["reason"], n_lines={"reason": 1})
    assert read_blocks(repair.messages[-1].content).outside == read_blocks(plain.messages[-1].content).outside
    assert replace(repair, messages=()) == replace(asked, messages=())
    assert escape_block("<") not in read_blocks(plain.messages[-1].content).lines("reason")[0]
