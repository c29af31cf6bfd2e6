"""One short line of evidence words about a pair, for a model's prompt.

Shares are told in five words and counts not at all, so that a line has few distinct tokens and is the same on every
machine. Text of a query or a field's name is cut to letters and digits, so it cannot bring a tag or a line break into
the prompt. Whether the line helps a model is for an ablation to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import polars as pl

from curation.text import is_unspaced, join_bigrams

MAX_WORDS, MAX_CHARACTERS, MAX_UNSPACED_CHARACTERS = 3, 12, 4
# Of a pair's features, those that a line tells of.
EVIDENCE_COLUMNS = (
    "gram_overlap",
    "longest_match_rate",
    "phrase_overlap",
    "title_overlap",
    "term_overlap",
    "missing_terms",
    "n_number_matches",
    "n_number_conflicts",
    "matched_fields",
    "conflicting_fields",
    "has_negation",
    "n_negated_present",
)
_NOT_A_WORD = re.compile(r"[^\w.'’-]+|_")


def evidence_line(row: Mapping[str, Any], votes: Sequence[int] = ()) -> str:
    """Return the evidence of one `pair_features` row, most telling last, next to where the grade is written.

    `votes` are the grades the approved rules vote on the pair, told by how many say each: one, few (to three), many.
    E.g. `gram 6 · run 3 · title half · terms most · missing: leather, 2m · conflict: colour · rules: 1 one, 2 many`.
    """
    parts = [
        f"gram {_tenth(row['gram_overlap'])}",
        f"run {_tenth(row['longest_match_rate'])}",
        f"phrase {_share_word(row['phrase_overlap'])}",
        f"title {_share_word(row['title_overlap'])}",
        f"terms {_share_word(row['term_overlap'])}",
    ]
    if missing := _clean(join_bigrams(row["missing_terms"])):
        parts.append(f"missing: {missing}")
    if row["n_number_matches"] and not row["n_number_conflicts"]:
        parts.append("numbers match")
    if matched := _clean(row["matched_fields"]):
        parts.append(f"match: {matched}")
    if conflicting := _clean(row["conflicting_fields"]):
        parts.append(f"conflict: {conflicting}")
    if row["n_number_conflicts"]:
        parts.append("numbers conflict")
    if row["has_negation"]:
        parts.append("ruled out but present" if row["n_negated_present"] else "negation")
    if votes:
        parts.append("rules: " + _votes_told(votes))
    return " · ".join(parts)


def evidence_lines(rows: pl.DataFrame) -> pl.Series:
    """Return `evidence_line` of every row (columns `EVIDENCE_COLUMNS` and the list `votes`), by the column.

    A row without features, all null, has an empty line. A tenth of the time a line by itself takes.
    """
    words = {name: _by_value(rows[name], _clean) for name in ("matched_fields", "conflicting_fields")}
    words["missing_terms"] = _by_value(rows["missing_terms"], lambda held: _clean(join_bigrams(held)))
    words["votes"] = _by_value(rows["votes"], _votes_told)
    told = pl.DataFrame(words)

    def named(column: str, before: str) -> pl.Expr:
        return pl.when(pl.col(column) != "").then(pl.lit(f" · {before}: ") + pl.col(column)).otherwise(pl.lit(""))

    def said(condition: pl.Expr, words: str) -> pl.Expr:
        return pl.when(condition).then(pl.lit(f" · {words}")).otherwise(pl.lit(""))

    has_conflict, is_negated = pl.col("n_number_conflicts") > 0, pl.col("has_negation")
    is_present = pl.col("n_negated_present") > 0
    numbers = rows.select(set(EVIDENCE_COLUMNS) - words.keys())
    line = pl.concat_str(
        *(pl.lit(f"{between}{name} ") + part for between, name, part in _SHARES),
        named("missing_terms", "missing"),
        said((pl.col("n_number_matches") > 0) & ~has_conflict, "numbers match"),
        named("matched_fields", "match"),
        named("conflicting_fields", "conflict"),
        said(has_conflict, "numbers conflict"),
        said(is_negated & is_present, "ruled out but present"),
        said(is_negated & ~is_present, "negation"),
        named("votes", "rules"),
    )
    return numbers.hstack(told).select(line.fill_null("").alias("evidence")).to_series()


def _by_value(lists: pl.Series, tell: Callable[[Sequence[Any]], str]) -> pl.Series:
    """Return what is told of each list; each distinct one is told once."""
    held = lists.unique()
    told = pl.DataFrame({"held": held, "told": [tell(one) for one in held.fill_null([]).to_list()]})
    return pl.DataFrame({"held": lists}).join(told, on="held", how="left", maintain_order="left", nulls_equal=True)[
        "told"
    ]


def _votes_told(votes: Sequence[int]) -> str:
    return ", ".join(f"{grade} {_count_word(n)}" for grade, n in sorted(Counter(votes).items()))


def _tenth_of(column: str) -> pl.Expr:
    return pl.min_horizontal(pl.lit(9), (pl.col(column) * 10 + 1e-9).cast(pl.Int64)).cast(pl.String)


def _share_word_of(column: str) -> pl.Expr:
    share = pl.col(column)
    return (
        pl.when(share.is_null())
        .then(None)
        .when(share <= 0)
        .then(pl.lit("no"))
        .when(share >= 1)
        .then(pl.lit("all"))
        .when(share < 1 / 3)
        .then(pl.lit("few"))
        .when(share < 2 / 3)
        .then(pl.lit("half"))
        .otherwise(pl.lit("most"))
    )


def _share_word(share: float) -> str:
    """Bucket a share: none, few (under a third), half (under two thirds), most, all."""
    if share <= 0.0:
        return "no"
    if share >= 1.0:
        return "all"
    return "few" if share < 1 / 3 else "half" if share < 2 / 3 else "most"


def _count_word(n: int) -> str:
    """Bucket a count of one or more: one, few (two and three), many."""
    return "one" if n == 1 else "few" if n <= 3 else "many"


def _tenth(share: float) -> int:
    """Bucket a share into one digit, 9 standing for all of it; the small step up keeps 0.3 at 3 on every machine."""
    return min(9, int(share * 10 + 1e-9))


def _clean(words: Sequence[str]) -> str:
    """Join the first few words, each cut short and rid of everything but letters, digits and a few joining marks."""
    return ", ".join([cleaned for word in words if (cleaned := _cleaned(word))][:MAX_WORDS])


@lru_cache(maxsize=1 << 16)  # the same words come again and again: half the time of a line
def _cleaned(word: str) -> str:
    word = _NOT_A_WORD.sub(" ", word).strip()
    return word[: MAX_UNSPACED_CHARACTERS if is_unspaced(word) else MAX_CHARACTERS].strip()


# How a line begins: what stands before each share, its name, and how it is told.
_SHARES = (
    ("", "gram", _tenth_of("gram_overlap")),
    (" · ", "run", _tenth_of("longest_match_rate")),
    (" · ", "phrase", _share_word_of("phrase_overlap")),
    (" · ", "title", _share_word_of("title_overlap")),
    (" · ", "terms", _share_word_of("term_overlap")),
)
