"""The dataset types of TRL: prompt-completion, prompt-only, preference, stepwise.

Prompts and completions are those the trainers of this house build, uncut: a tokenizer cuts them later. A row of which
no completion can be made stops the export. What people did not say is left out and counted, never guessed.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

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
    edited = _leave_out(
        edited,
        edited["grade"] != _member(edited["chosen"], "grade").cast(pl.Int32),
        given,
        "edits whose grade is not the settled one",
    )
    has_reasons = _member(edited["chosen"], "steps").replace("[]", None).is_not_null()
    pair = edited.with_columns(
        _write(edited, "chosen", has_reasons, given.scale), _write(edited, "rejected", has_reasons, given.scale)
    )
    pair = _leave_out(pair, pair["chosen"] == pair["rejected"], given, "edits that left grade and reasons as they were")
    return pair.select(render_prompts(pair), "chosen", "rejected")


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
    is_judged = (marked["first_wrong_step"].is_not_null() | marked["is_taken"]) & (marked["proposed_steps"] != "[]")
    judged = _leave_out(marked, ~is_judged, given, "suggestions whose steps nobody judged")
    suggested = judged.select("row_hash", "pair_id", grade="proposed_grade", steps="proposed_steps")
    lines = render_completions(suggested, given.scale).str.split("\n")
    return pl.DataFrame([render_prompts(judged), lines.alias("completions"), _labels(judged, lines.list.len())])


def _labels(judged: pl.DataFrame, n_lines: pl.Series) -> pl.Series:
    """Return for each suggestion whether each of its lines is right."""
    ends = np.cumsum(n_lines.to_numpy(), dtype=np.int32)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    row_of = np.repeat(np.arange(len(judged)), n_lines.to_numpy())
    place = np.arange(len(row_of)) - offsets[row_of]  # 0 is the grade's line, then the steps from 1
    first_wrong = judged["first_wrong_step"].fill_null(np.iinfo(np.int32).max).to_numpy()
    has_settled_grade = (judged["proposed_grade"] == judged["grade"]).to_numpy()
    is_right = np.where(place == 0, has_settled_grade[row_of], place < first_wrong[row_of])
    return pl.Series("labels", pa.ListArray.from_arrays(pa.array(offsets), pa.array(is_right)))


def _leave_out(rows: pl.DataFrame, which: pl.Series, given: Given, reason: str) -> pl.DataFrame:
    """Return the other rows; count these."""
    if n_left_out := int(which.sum()):
        given.left_out[reason] += n_left_out
    return rows.filter(~which)


def _member(sides: pl.Series, name: str) -> pl.Series:
    """Return a member of stored edits or suggestions as JSON text, null where it is null."""
    return sides.str.json_path_match(f"$.{name}").replace("null", None)


def _write(edited: pl.DataFrame, column: str, has_reasons: pl.Series, scale: Scale) -> pl.Series:
    """Return the completions of one side of preferences."""
    sides = edited.select(
        "row_hash",
        "pair_id",
        _member(edited[column], "grade").cast(pl.Int32).alias("grade"),
        pl.when(has_reasons).then(_member(edited[column], "steps")).alias("steps"),
    )
    return render_completions(sides, scale).alias(column)
