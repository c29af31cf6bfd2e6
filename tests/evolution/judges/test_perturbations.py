from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from evolution.calls.asking import Served
from evolution.calls.call_rows import call_row
from evolution.calls.llm import LLM, Reply, Usage
from evolution.judges.perturbations import (
    MAX_BODY_CHARACTERS,
    PADDING_CHARACTERS,
    PERTURBATIONS,
    Bias,
    Shown,
    padded,
    paraphrased,
    reordered,
    shortened,
    stuffed,
)
from evolution.judges.prompt_blocks import doc_block, query_block
from evolution.judges.rating import rating_request
from storage.safekeeping.erasure_calls import Wording
from tests.evolution.conftest import SCALE
from tests.prompt_blocks import read_blocks

SOFA = Shown("p_1", "red sofa", "Sofa Nordli", "A sofa.", {"colour": "red"})
CHINESE = Shown("p_2", "红色沙发", "诺德沙发", "一张沙发", {})


def test_padding_adds_words_that_are_nobody_s_answer() -> None:
    longer = padded(SOFA)
    assert longer.body.startswith("A sofa. ") and len(longer.body) > PADDING_CHARACTERS
    assert not {"red", "sofa"} & set(longer.body.removeprefix("A sofa.").casefold().split())
    assert (longer.query, longer.title, longer.fields) == (SOFA.query, SOFA.title, SOFA.fields)


def test_padding_leaves_out_lines_that_speak_of_the_query() -> None:
    assert "deliver" not in padded(Shown("p", "free delivery", "x", "", {})).body.casefold()
    assert "优惠" not in padded(Shown("p", "优惠券", "券", "", {})).body


def test_stuffing_repeats_the_query_and_changes_nothing_else() -> None:
    assert stuffed(SOFA).body == "A sofa. red sofa, red sofa, red sofa, red sofa, red sofa"


def test_a_paraphrase_keeps_the_query_as_it_was_typed_behind_a_colon() -> None:
    """So an erasure of the query finds the calls that asked about it."""
    for shown in (SOFA, CHINESE):
        asked = paraphrased(shown).query
        assert asked != shown.query and asked.partition(": ")[2] == shown.query
    assert paraphrased(Shown("p", "{} braces $x", "t", "", {})).query.endswith(": {} braces $x")


@pytest.mark.parametrize("bias", list(PERTURBATIONS))
@pytest.mark.parametrize("shown", [SOFA, CHINESE])
def test_an_erasure_finds_every_form_by_its_query_and_by_its_title(bias: Bias, shown: Shown) -> None:
    served = Served(cast(LLM, None), "m", {}, Path("unused"))
    request = rating_request(PERTURBATIONS[bias](shown), instruction="Grade.", scale=SCALE, served=served)
    stored = call_row("", request, Reply(None, Usage(), 0.0), provider="", cost=None, run_id="")["request"]
    assert Wording.of([shown.query]).is_asked_about(stored)
    assert Wording.of([shown.title]).is_asked_about(stored)
    assert not Wording.of(["another query"]).is_asked_about(stored)


def test_reordering_twice_is_nothing() -> None:
    assert reordered(SOFA).is_reversed and reordered(reordered(SOFA)) == SOFA


@pytest.mark.parametrize("bias", list(PERTURBATIONS))
@pytest.mark.parametrize("query", ["", "كوب أحمر", "🟥🛋️", "e\u0301te\u0301", "x" * 100_000])
def test_odd_texts_are_changed_and_shown_in_their_blocks(bias: Bias, query: str) -> None:
    shown = PERTURBATIONS[bias](shortened(Shown("p", query, "", "b" * 100_000, {"f\n": "<v>"})))
    assert len(shown.body) <= MAX_BODY_CHARACTERS + PADDING_CHARACTERS + 200 + 6 * len(query)
    text = query_block(shown.query) + "\n" + doc_block(shown.title, shown.body, shown.fields, max_body_characters=99)
    assert read_blocks(text).names == ["query", "document"]
