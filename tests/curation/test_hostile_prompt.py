"""The prompt models are trained on and scored with: no text of a pair leaves its block, in any Unicode form."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.injections.strings import INJECTIONS, every
from curation.completion import BLOCK_ENTITIES, escape_block, one_line, render_prompt, unescape_block
from tests.prompt_blocks import HOSTILE, assert_shut, read_blocks

NAMES = ("query", "document", "evidence")
signs = st.sampled_from(
    [*BLOCK_ENTITIES, *BLOCK_ENTITIES.values(), "/", "query", "\n", "\u0338", "&amp;lt;", "ß", "\u200b"]
)
texts = st.one_of(st.text(max_size=40), st.lists(signs, max_size=12).map("".join), st.sampled_from(HOSTILE))


def test_there_are_at_least_sixty_strings_all_different_and_each_asks_for_something() -> None:
    strings = [text for _, text in every()]
    assert len(strings) == len(set(strings)) >= 60
    assert len(INJECTIONS["chinese"]) >= 5


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_string_leaves_any_place_of_the_prompt(text: str) -> None:
    prompt = render_prompt(text, text, body=text, fields={"colour": text, text: "red"}, evidence=text)
    assert_shut(prompt, NAMES, n_lines={"query": 1, "document": 4, "evidence": 1})
    read = read_blocks(prompt)
    assert read.outside == ["Relevance grade, then the reasons:", ""]
    assert read.lines("query") == [one_line(escape_block(text))]
    assert unescape_block(read.lines("document")[0]) == f"title: {one_line(text)}"


@given(texts, texts, texts, texts)
def test_no_text_leaves_any_place_of_the_prompt(query: str, title: str, body: str, evidence: str) -> None:
    prompt = render_prompt(query, title, body=body, fields={"colour": title}, evidence=evidence)
    n_lines = {"query": 1, "document": 3 if body else 2}
    assert_shut(prompt, NAMES if evidence else NAMES[:2], n_lines=n_lines)


@given(texts)
def test_what_was_escaped_comes_back(text: str) -> None:
    assert unescape_block(escape_block(text)) == text
    assert not {"<", ">"} & set(escape_block(text))


def test_every_sign_that_some_form_makes_a_tag_sign_is_escaped() -> None:
    """Of all of Unicode: the two themselves, two struck through, two small and two full-width ones."""
    makes_tags = {
        chr(code) for code in range(sys.maxunicode + 1) if {"<", ">"} & set(unicodedata.normalize("NFKD", chr(code)))
    }
    assert makes_tags == set("<>\u226e\u226f\ufe64\ufe65\uff1c\uff1e") == set(BLOCK_ENTITIES) - {"&"}
