"""What judges and the evolver of instructions are shown, read back: no text leaves its block there either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from curation.completion import Step, unescape_block
from evolution.calls.asking import Served
from evolution.calls.llm import LLM
from evolution.instructions.prompted import _block, _pairs
from evolution.judges.perturbations import Shown
from evolution.judges.rating import rating_request
from evolution.judges.references import reference_of
from evolution.judges.refine_requests import RefineMaterial, complaint_lines, refine_request
from evolution.judges.step_requests import StepMaterial, steps_request
from tests.evolution.conftest import SCALE
from tests.evolution.test_prompts_shut import PLAIN, hostile_pair, user_message
from tests.prompt_blocks import HOSTILE, assert_shut, read_blocks

NOBODY = Served(cast(LLM, None), "m", {}, Path("unused"))
EVERY = pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))


def steps_of(text: str) -> tuple[Step, ...]:
    return (Step("intent", text), Step("verdict", text))


@EVERY
def test_a_rating_keeps_every_text_in_its_block(text: str) -> None:
    for is_reversed in (False, True):
        shown = Shown("p_1", text, text, text, {"colour": text, text: "red"}, is_reversed)
        user = user_message(rating_request(shown, instruction="i", scale=SCALE, served=NOBODY))
        names = ["query", "document"]
        assert_shut(user, names[::-1] if is_reversed else names, n_lines={"query": 1, "document": 4})
        assert read_blocks(user).outside == []


@EVERY
def test_verdicts_on_steps_keep_every_text_in_its_block(text: str) -> None:
    """The reference is an expert's grade and rationale and one rule, four lines."""
    settled = json.dumps([["intent", "x"], ["verdict", text]])
    rules = [{"rule_id": "r_1", "text": text, "grade": 1}]
    reference = reference_of({"settled_grade": 1, "settled_steps": settled, "rules": rules}, SCALE)
    assert len(reference.lines) == 4
    material = StepMaterial("c", "p", text, text, text, {"colour": text}, 1, steps_of(text), reference)
    user = user_message(steps_request(material, scale=SCALE, served=NOBODY))
    names = ["query", "document", "reference", "labelled", "steps"]
    n_lines = {"query": 1, "document": 3, "reference": 4, "labelled": 1, "steps": 2}
    assert_shut(user, names, n_lines=n_lines)
    assert read_blocks(user).outside == []


@EVERY
def test_refining_keeps_every_text_in_its_block(text: str) -> None:
    complaints = complaint_lines([{"step": 1, "explanation": text}])
    material = RefineMaterial("c", 1, steps_of(text), complaints, hostile_pair(text))
    user = user_message(refine_request(material, instruction="i", served=NOBODY))
    names = ["query", "document", "evidence", "rules", "labelled", "steps", "found_weak"]
    n_lines = {"query": 1, "document": 4, "evidence": 1, "rules": 2, "labelled": 1, "steps": 2, "found_weak": 1}
    assert_shut(user, names, n_lines=n_lines)


def test_pairs_shown_to_the_evolver_keep_every_text_in_its_block() -> None:
    pairs = [
        {**PLAIN, "query": text, "title": text, "missing_terms": [text], "grade": 1, "said": 2} for text in HOSTILE
    ]
    shown = _block("pairs", _pairs(pairs, SCALE))
    assert_shut(shown, ["pairs"], n_lines={"pairs": 6 * len(pairs) - 1})
    assert unescape_block(read_blocks(shown).lines("pairs")[0]).startswith("query: ")
