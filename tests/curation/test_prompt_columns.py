"""Columns and single rows write the same prompts and completions, whatever the texts hold."""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.completion import STEP_LABELS
from curation.prompt_columns import render_completions, render_prompts
from curation.prompt_parts import prompt_parts, render_completion
from storage.errors import UserError
from storage.grades import Scale

SCALE = Scale((1, 2, 3), ("bad", "fair", "good"))
# Much of what is hard: blanks of many kinds, control and unassigned characters, tags, emoji, right to left, combining.
HARD = " \t\n\r\x1c\x85\u00a0\u2028\u3000\u200b\u200f\ue000\u0378\U000e0001&<>;ab字é\u0301א😀"
texts = st.text(st.one_of(st.sampled_from(HARD), st.characters(exclude_categories=("Cs",))), max_size=40)


def prompt_row(query: str, title: str, body: str, fields: dict[str, str], evidence: str) -> dict[str, str]:
    return {"query": query, "title": title, "body": body, "fields": json.dumps(fields), "evidence": evidence}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.builds(prompt_row, texts, texts, texts, st.dictionaries(texts, texts, max_size=3), texts), min_size=1)
)
def test_prompts_are_those_of_single_rows(rows: list[dict[str, str]]) -> None:
    assert render_prompts(pl.DataFrame(rows)).to_list() == [prompt_parts(row).render() for row in rows]


@pytest.mark.parametrize("size", [599, 600, 601, 10_000_000])
def test_a_body_is_cut_where_single_rows_cut_it(size: int) -> None:
    row = prompt_row("q", "", "😀 " * (size // 2) + "x" * (size % 2), {}, "")
    assert render_prompts(pl.DataFrame([row])).to_list() == [prompt_parts(row).render()]


def completion_row(grade: int, steps: list[list[str]] | None) -> dict[str, Any]:
    return {"grade": grade, "steps": None if steps is None else json.dumps(steps), "row_hash": "h", "pair_id": "p_1"}


labelled = st.lists(
    st.tuples(st.sampled_from([*STEP_LABELS, "mood", ""]), st.one_of(texts, st.just("plain words"))).map(list),
    max_size=3,
)
in_order = st.lists(st.sampled_from(STEP_LABELS), unique=True).map(
    lambda labels: [[label, "red sofa [r_00aa]"] for label in STEP_LABELS if label in labels]
)


@settings(max_examples=300, deadline=None)
@given(st.builds(completion_row, st.integers(0, 4), st.one_of(st.none(), labelled, in_order)))
def test_completions_are_those_of_single_rows_errors_included(row: dict[str, Any]) -> None:
    frame = pl.DataFrame([row], schema_overrides={"steps": pl.String, "grade": pl.Int32})
    try:
        expected = render_completion(row, SCALE)
    except UserError as error:
        with pytest.raises(UserError, match=f"^{re.escape(str(error))}$"):
            render_completions(frame, SCALE)
    else:
        assert render_completions(frame, SCALE).to_list() == [expected]


@pytest.mark.parametrize("steps", ['[["verdict"]]', '[["intent","a","b"]]', '[["verdict","a\\nrules: b"]]', "no json"])
def test_steps_that_are_none_stop_both(steps: str) -> None:
    row = completion_row(1, None) | {"steps": steps}
    with pytest.raises((UserError, ValueError)):
        render_completion(row, SCALE)
    with pytest.raises((UserError, ValueError)):
        render_completions(pl.DataFrame([row]), SCALE)
