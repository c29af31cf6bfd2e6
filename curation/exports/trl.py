"""The dataset types of TRL: prompt-completion, prompt-only, preference, stepwise.

Prompts and completions are those the trainers of this house build, uncut: a tokenizer cuts them later. A row of which
no completion can be made stops the export. What people did not say is left out and counted, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from curation.completion import Completion, Step, render
from curation.exports.given import Given
from curation.prompt_columns import render_completions, render_prompts
from storage.grades import Scale

PROMPT_COMPLETION = pa.schema([("prompt", pa.string()), ("completion", pa.string())])
PROMPT_ONLY = pa.schema(
    [("prompt", pa.string()), ("grade", pa.int32()), ("lowest_grade", pa.int32()), ("highest_grade", pa.int32())]
)
PREFERENCE = pa.schema([("prompt", pa.string()), ("chosen", pa.string()), ("rejected", pa.string())])
STEPWISE = pa.schema(
    [("prompt", pa.string()), ("completions", pa.list_(pa.string())), ("labels", pa.list_(pa.bool_()))]
)


def prompt_completion(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return prompt and completion of each row; UserError names a row that cannot be written."""
    return pl.DataFrame([render_prompts(rows), render_completions(rows, given.scale)])


def prompt_only(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the prompt of each row with its grade and the ends of the scale, which rewards are made of."""
    return rows.select(
        render_prompts(rows),
        "grade",
        pl.lit(given.scale.lowest, pl.Int32).alias("lowest_grade"),
        pl.lit(given.scale.highest, pl.Int32).alias("highest_grade"),
    )


def preference(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return an expert's edit (chosen) beside the suggestion it replaced (rejected).

    An edit whose grade is not the settled one is left out. An edit that gave no reasons is set beside the suggestion's
    grade alone: otherwise the longer text, not the worse grade, would be what is rejected.
    """
    edited = rows.join(given.preferences, on="pair_id", maintain_order="left")
    places, chosen, rejected = [], [], []
    for place, row in enumerate(edited.select("grade", "chosen", "rejected").iter_rows(named=True)):
        edit, suggestion = json.loads(row["chosen"]), json.loads(row["rejected"])
        if edit["grade"] != row["grade"]:
            given.left_out["edits whose grade is not the settled one"] += 1
            continue
        has_reasons = bool(edit["steps"])
        pair = [_write(side, given.scale, has_reasons=has_reasons) for side in (edit, suggestion)]
        if pair[0] == pair[1]:
            given.left_out["edits that left grade and reasons as they were"] += 1
            continue
        places.append(place)
        chosen.append(pair[0])
        rejected.append(pair[1])
    texts = {"chosen": chosen, "rejected": rejected}
    return pl.DataFrame(texts, schema=_TEXTS).insert_column(0, render_prompts(edited[places]))


def stepwise(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return suggestions line by line with what people said of each line.

    The first line is the grade, right when it is the settled one; then the steps. The first step that anybody marked
    wrong and all after it are wrong. A suggestion nobody marked counts as right where somebody took it as it was.
    """
    marks = given.step_marks.group_by("candidate_id", maintain_order=True).agg(
        pl.col("pair_id", "proposed_grade", "proposed_steps").first(),
        pl.col("first_wrong_step").min(),
        pl.col("is_taken").any(),
    )
    marked = rows.join(marks, on="pair_id", maintain_order="left")
    places, completions, labels = [], [], []
    for place, row in enumerate(marked.select("grade", pl.col(marks.columns)).iter_rows(named=True)):
        lines = _lines(row, given.scale)
        if lines is None:
            given.left_out["suggestions whose steps nobody judged"] += 1
            continue
        places.append(place)
        completions.append(lines.texts)
        labels.append(lines.are_right)
    # Arrow takes lists of texts five times as fast as Polars does
    lists = pa.table([pa.array(completions, _TEXT_LISTS), pa.array(labels, _TRUTH_LISTS)], ["completions", "labels"])
    return pl.DataFrame(lists).insert_column(0, render_prompts(marked[places]))


_TEXTS = pl.Schema(dict.fromkeys(("chosen", "rejected"), pl.String()))
_TEXT_LISTS, _TRUTH_LISTS = pa.list_(pa.string()), pa.list_(pa.bool_())


@dataclass(frozen=True, slots=True)
class _JudgedLines:
    """The lines of a suggestion, and whether each is right."""

    texts: list[str]
    are_right: list[bool]


def _write(side: Mapping[str, Any], scale: Scale, *, has_reasons: bool) -> str:
    """Return the completion of one side of a preference."""
    steps = tuple(Step(label, text) for label, text in side["steps"] or ()) if has_reasons else ()
    return render(Completion(side["grade"], steps), scale)


def _lines(row: Mapping[str, Any], scale: Scale) -> _JudgedLines | None:
    """Return a suggestion's lines with their labels; None where people said nothing of its steps."""
    steps = json.loads(row["proposed_steps"] or "[]")
    first_wrong = row["first_wrong_step"]
    if not steps or (first_wrong is None and not row["is_taken"]):
        return None
    written = render(Completion(row["proposed_grade"], tuple(Step(label, text) for label, text in steps)), scale)
    right = [first_wrong is None or place < first_wrong for place in range(1, len(steps) + 1)]
    return _JudgedLines(written.split("\n"), [row["proposed_grade"] == row["grade"], *right])
