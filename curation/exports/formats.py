"""The formats an export can have: which columns of a snapshot each reads, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl
import pyarrow as pa

from curation.exports import cross_encoder, judgment_files, trl
from curation.exports.given import Given
from curation.prompt_columns import PROMPT_COLUMNS
from storage.errors import UserError

Build: TypeAlias = Callable[[pl.DataFrame, Given], pl.DataFrame]
ALL = "hf"


@dataclass(frozen=True, slots=True)
class TableFormat:
    """Parquet files with the columns of `schema`. `texts` are the columns read that may hold personal data.

    `takes_whole`: `build` must see all rows of a tier and split at once. `acts`: what people did that it is made of,
    which a snapshot does not hold; a frame with their `pair_id`.
    """

    name: str
    what: str
    schema: pa.Schema
    build: Build
    reads: tuple[str, ...]
    texts: tuple[str, ...]
    takes_whole: bool = False
    acts: Callable[[Given], pl.DataFrame] | None = None


@dataclass(frozen=True, slots=True)
class LineFile:
    """One text file a split, or one of all rows where the name has no `{split}`. JSON lines, or cells parted by a sign.

    A file of all rows is for what stands once however many rows name it.
    """

    name: str
    build: Build
    reads: tuple[str, ...]
    texts: tuple[str, ...] = ()
    separator: str = ","
    has_header: bool = True
    quoting: Literal["necessary", "never"] = "necessary"

    @property
    def is_by_split(self) -> bool:
        return "{split}" in self.name

    @property
    def is_json(self) -> bool:
        return self.name.endswith(".jsonl")


@dataclass(frozen=True, slots=True)
class LineFormat:
    """Text files."""

    name: str
    what: str
    files: tuple[LineFile, ...]


_PROMPT = PROMPT_COLUMNS
_DOC = cross_encoder.DOC_COLUMNS
TABLE_FORMATS = (
    TableFormat(
        "prompt-completion",
        "TRL SFTTrainer: the prompt, and the completion, grade first",
        trl.PROMPT_COMPLETION,
        trl.prompt_completion,
        ("row_hash", "pair_id", "grade", "steps", *_PROMPT),
        (*_PROMPT, "steps"),
    ),
    TableFormat(
        "prompt-only",
        "TRL GRPOTrainer and other online trainers: the prompt, with the grade for rewards",
        trl.PROMPT_ONLY,
        trl.prompt_only,
        ("grade", *_PROMPT),
        _PROMPT,
    ),
    TableFormat(
        "preference",
        "TRL DPOTrainer: an expert's edit chosen over the suggestion",
        trl.PREFERENCE,
        trl.preference,
        ("row_hash", "pair_id", "grade", *_PROMPT),
        _PROMPT,
        acts=lambda given: given.preferences,
    ),
    TableFormat(
        "stepwise",
        "TRL's stepwise supervision: the lines of a suggestion, each judged by people",
        trl.STEPWISE,
        trl.stepwise,
        ("row_hash", "pair_id", "grade", *_PROMPT),
        _PROMPT,
        acts=lambda given: given.step_marks,
    ),
    TableFormat(
        "cross-encoder",
        "sentence-transformers CrossEncoder, one number: the grade's place on the scale as 0 to 1",
        cross_encoder.PAIR,
        cross_encoder.scored_pairs,
        ("grade", *_DOC),
        _DOC,
    ),
    TableFormat(
        "cross-encoder-class",
        "sentence-transformers CrossEncoder, classes: the grade's place on the scale from 0",
        cross_encoder.CLASSED_PAIR,
        cross_encoder.classed_pairs,
        ("grade", *_DOC),
        _DOC,
    ),
    TableFormat(
        "listwise",
        "sentence-transformers listwise losses: a query, its docs, their grades' places on the scale",
        cross_encoder.LIST,
        cross_encoder.lists,
        ("query_id", "grade", *_DOC),
        _DOC,
        takes_whole=True,
    ),
)
LINE_FORMATS = (
    LineFormat(
        "qrels",
        "TREC qrels, with the queries and docs that its ids name",
        (
            LineFile(
                "{split}.qrels",
                judgment_files.qrels_lines,
                ("query_id", "doc_id", "grade"),
                separator=" ",
                has_header=False,
                quoting="never",  # its ids hold no blank
            ),
            LineFile("queries.jsonl", judgment_files.topic_lines, ("query_id", "query"), ("query",)),
            LineFile(
                "corpus.jsonl",
                judgment_files.doc_lines,
                ("doc_id", "title", "body", "fields"),
                ("title", "body", "fields"),
            ),
        ),
    ),
    LineFormat(
        "quepid",
        "Quepid's ratings as CSV",
        (LineFile("{split}.csv", judgment_files.quepid_lines, ("query_id", "doc_id", "query", "grade"), ("query",)),),
    ),
)
NAMES = (*(one.name for one in (*TABLE_FORMATS, *LINE_FORMATS)), ALL)


def find_formats(name: str) -> tuple[TableFormat | LineFormat, ...]:
    """Return the format of a name, all Parquet formats for `hf`; UserError names those there are."""
    if name == ALL:
        return TABLE_FORMATS
    for one in (*TABLE_FORMATS, *LINE_FORMATS):
        if one.name == name:
            return (one,)
    raise UserError(f"there is no format {name!r}; there are {', '.join(NAMES)}. Name one: afrel export {ALL}")
