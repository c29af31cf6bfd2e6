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
from curation.prompt_parts import prompt_parts, render_completion
from storage.grades import Scale

PROMPT_COLUMNS = ("query", "title", "body", "fields", "evidence")
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
    prompts, completions = [], []
    for row in rows.iter_rows(named=True):
        prompts.append(prompt_parts(row).render())
        completions.append(render_completion(row, given.scale))
    return pl.DataFrame({"prompt": prompts, "completion": completions})


def prompt_only(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return the prompt of each row with its grade and the ends of the scale, which rewards are made of."""
    return pl.DataFrame(
        {
            "prompt": _prompts(rows),
            "grade": rows["grade"],
            "lowest_grade": pl.Series([given.scale.lowest] * len(rows), dtype=pl.Int32),
            "highest_grade": pl.Series([given.scale.highest] * len(rows), dtype=pl.Int32),
        }
    )


def preference(rows: pl.DataFrame, given: Given) -> pl.DataFrame:
    """Return an expert's edit (chosen) beside the suggestion it replaced (rejected).

    An edit whose grade is not the settled one is left out. An edit that gave no reasons is set beside the suggestion's
    grade alone: otherwise the longer text, not the worse grade, would be what is rejected.
    """
    prompts, chosen, rejected = [], [], []
    for row in rows.join(given.preferences, on="pair_id", maintain_order="left").iter_rows(named=True):
        edit, suggestion = json.loads(row["chosen"]), json.loads(row["rejected"])
        if edit["grade"] != row["grade"]:
            given.left_out["edits whose grade is not the settled one"] += 1
            continue
        has_reasons = bool(edit["steps"])
        pair = [_write(side, given.scale, has_reasons=has_reasons) for side in (edit, suggestion)]
        if pair[0] == pair[1]:
            given.left_out["edits that left grade and reasons as they were"] += 1
            continue
        prompts.append(prompt_parts(row).render())
        chosen.append(pair[0])
        rejected.append(pair[1])
    made = {"prompt": prompts, "chosen": chosen, "rejected": rejected}
    return pl.DataFrame(made, schema=_TEXTS)


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
    prompts, completions, labels = [], [], []
    for row in rows.join(marks, on="pair_id", maintain_order="left").iter_rows(named=True):
        lines = _lines(row, given.scale)
        if lines is None:
            given.left_out["suggestions whose steps nobody judged"] += 1
            continue
        prompts.append(prompt_parts(row).render())
        completions.append(lines.texts)
        labels.append(lines.are_right)
    made = {"prompt": prompts, "completions": completions, "labels": labels}
    return pl.DataFrame(made, schema=_LINES)


_TEXTS = pl.Schema(dict.fromkeys(("prompt", "chosen", "rejected"), pl.String()))
_LINES: dict[str, Any] = {"prompt": pl.String, "completions": pl.List(pl.String), "labels": pl.List(pl.Boolean)}


@dataclass(frozen=True, slots=True)
class _JudgedLines:
    """The lines of a suggestion, and whether each is right."""

    texts: list[str]
    are_right: list[bool]


def _prompts(rows: pl.DataFrame) -> list[str]:
    return [prompt_parts(row).render() for row in rows.iter_rows(named=True)]


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
