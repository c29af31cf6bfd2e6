"""Prompts and completions of many rows at once, by the column: the very texts `prompt_parts` writes row by row.

Row by row a Python call for each text costs more than reading, compressing and writing it; exports write millions. A
test holds the two equal on any text, and a row that is anything but plain goes the way of one row, errors included.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from itertools import groupby

import polars as pl

from curation.completion import BLOCK_ENTITIES, STEP_LABELS, escape_block, one_line, render_prompt
from curation.prompt_parts import render_completion
from storage.grades import Scale

PROMPT_COLUMNS = ("query", "title", "body", "fields", "evidence")
_MAX_BODY_CHARACTERS = 600  # the default of `render_prompt`
_HOLE = "█"
_STEPS = pl.List(pl.List(pl.String))
_IN_ORDER = r"^\d" + "".join(rf"(?:\n{label}: [^\n]+)?" for label in STEP_LABELS) + "$"


def render_prompts(rows: pl.DataFrame) -> pl.Series:
    """Return the prompt of each row; `rows` has `PROMPT_COLUMNS`."""
    fields = {text: _field_lines(text) for text in rows["fields"].unique().to_list()}
    # the frame around the texts is read off the renderer of one row, so that it stands in one place
    opening, middle, closing, cue = _frame()
    evidence = pl.col("evidence").fill_null("")
    body = pl.col("body").fill_null("")
    texts = [
        pl.lit(opening),
        _clean(pl.col("query")),
        pl.lit(middle),
        _clean(pl.col("title")),
        pl.Series("field_lines", [fields[text] for text in rows["fields"].to_list()], dtype=pl.String),
        pl.when(body != "")
        .then(pl.lit("\nbody: ") + _clean(body.str.slice(0, _MAX_BODY_CHARACTERS)))
        .otherwise(pl.lit("")),
        pl.lit(closing),
        pl.when(evidence != "")
        .then(pl.lit("<evidence>\n") + _clean(evidence) + pl.lit("\n</evidence>\n"))
        .otherwise(pl.lit("")),
        pl.lit(cue),
    ]
    return rows.select(pl.concat_str(texts).alias("prompt")).to_series()


def render_completions(rows: pl.DataFrame, scale: Scale) -> pl.Series:
    """Return the completion of each row; UserError names a row of which none can be made.

    `rows` has grade, steps, row_hash and pair_id.
    """
    try:
        steps = rows["steps"].str.json_decode(_STEPS)
    except pl.exceptions.PolarsError:
        return pl.Series("completion", [render_completion(row, scale) for row in rows.iter_rows(named=True)])
    line = pl.element().list.get(0, null_on_oob=True) + ": " + pl.element().list.get(1, null_on_oob=True)
    made = rows.select(
        "grade",
        steps.list.eval(line).list.join("\n", ignore_nulls=False).alias("lines"),
        (steps.list.len().fill_null(0)).alias("n_steps"),
        steps.list.eval(pl.element().list.len() != 2).list.any().fill_null(value=False).alias("is_odd"),
    ).with_columns(
        pl.concat_str(
            pl.col("grade").cast(pl.String),
            pl.when(pl.col("n_steps") > 0).then(pl.lit("\n") + pl.col("lines")).otherwise(pl.lit("")),
        ).alias("completion")
    )
    text = pl.col("completion")
    is_plain = (
        ~pl.col("is_odd")
        & pl.col("grade").is_in(list(scale.values))
        & text.str.contains(_IN_ORDER)
        & (text.str.count_matches("\n", literal=True) == pl.col("n_steps"))
        & ~text.str.contains(rf"  | \n| $|[{_unprintable(but=chr(10))}]")
    )
    plain = made.select(is_plain.fill_null(value=False)).to_series()
    completions = made["completion"].to_list()
    for place in (~plain).arg_true().to_list():
        completions[place] = render_completion(rows.row(place, named=True), scale)
    return pl.Series("completion", completions, dtype=pl.String) if not plain.all() else made["completion"]


def _clean(text: pl.Expr) -> pl.Expr:
    """Return `one_line(escape_block(text))` of each text."""
    escaped = text.str.replace_many(list(BLOCK_ENTITIES), list(BLOCK_ENTITIES.values()))
    unprintable = _unprintable()
    return escaped.str.replace_all(rf" *[{unprintable}][{unprintable} ]*|  +", " ").str.strip_chars(" ")


def _field_lines(text: str | None) -> str:
    """Return the lines of a doc's fields, each after a line break."""
    lines = [
        f"\n{one_line(escape_block(name))}: {one_line(escape_block(value))}"
        for name, value in sorted(json.loads(text or "{}").items())
    ]
    return "".join(lines)


@cache
def _frame() -> tuple[str, str, str, str]:
    """Return what stands before the query, between query and title, after the doc, and after the evidence."""
    opening, middle, closing = render_prompt(_HOLE, _HOLE).split(_HOLE)
    # the doc's block closes with one line; what follows it is the cue
    end = closing.index("\n", 1) + 1
    return opening, middle, closing[:end], closing[end:]


@cache
def _unprintable(*, but: str = "") -> str:
    """Return the inside of a regex class: every character but the blank that Python does not print."""
    codes = (
        code
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code <= 0xDFFF and code != 0x20 and not chr(code).isprintable() and chr(code) not in but
    )
    ranges = []
    for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0]):
        held = [code for _, code in run]
        ranges.append(rf"\x{{{held[0]:x}}}-\x{{{held[-1]:x}}}")
    return "".join(ranges)
