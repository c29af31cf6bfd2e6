"""How many tokens a row is to train on: its prompt and its completion, as a model is given them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from curation.prompt_parts import prompt_parts
from curation.screening_context import rationale, read_steps
from curation.screens_text import token_counter

_COLUMNS = ("query", "title", "body", "fields", "evidence", "steps")
_MOST = 1 << 20  # of one row; a prompt shows little of a body, so none comes near
_GRADE = 1  # the completion's first line is one token


def count_tokens(rows: pl.DataFrame, tokenizer: str | None = None) -> pl.Series:
    """Return the tokens of each snapshot row by a tokenizer's file, estimated from words where none is named."""
    count = token_counter(tokenizer)

    def counted() -> Iterator[int]:
        for row in rows.select(_COLUMNS).iter_rows(named=True):
            completion = rationale(read_steps(row["steps"]))
            yield _GRADE + count(f"{prompt_parts(row).render()}{completion}", _MOST)

    return pl.Series("n_tokens", list(counted()), dtype=pl.Int64)
