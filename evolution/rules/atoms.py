"""The grammar a mined rule's condition is built from: one atom is one comparison on one column of `pair_features`.

Every atom has its SQL, its plain words and the set of pairs it holds for. A null column holds for no pair, neither
plainly nor negated, as in SQL.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from evolution.rules.atom_table import Atom, AtomTable, Rows

N_CUTS = 10
MAX_COVERAGE_RATE = 0.95  # an atom that holds nearly everywhere says nothing

# Column -> (words for "at least", words for "under"); {} is the threshold.
SHARES = {
    "term_overlap": ("the doc has at least {} of the query's terms", "the doc has under {} of the query's terms"),
    "title_overlap": ("the title has at least {} of the query's terms", "the title has under {} of the query's terms"),
    "body_overlap": ("the body has at least {} of the query's terms", "the body has under {} of the query's terms"),
    "phrase_overlap": (
        "at least {} of the query's word pairs stand together in the doc",
        "under {} of the query's word pairs stand together in the doc",
    ),
    "gram_overlap": (
        "the doc has at least {} of the query's character grams",
        "the doc has under {} of the query's character grams",
    ),
    "longest_match_rate": (
        "at least {} of the query runs unbroken in the title",
        "under {} of the query runs unbroken in the title",
    ),
    "match_position": (
        "the longest match begins {} into the title or later",
        "the longest match begins in the first {} of the title",
    ),
    "length_ratio": (
        "the query is at least {} as long as the title",
        "the query is under {} as long as the title",
    ),
}
COUNTS = {
    "n_query_terms": ("the query has at least {} terms", "the query has under {} terms"),
    "n_doc_terms": ("the doc has at least {} terms", "the doc has under {} terms"),
    "n_title_characters": ("the title has at least {} characters", "the title has under {} characters"),
    "n_title_parts": ("the title has at least {} parts", "the title has under {} parts"),
    "n_negated_present": (
        "the doc has at least {} of the words ruled out",
        "the doc has under {} of the words ruled out",
    ),
    "n_query_numbers": ("the query names at least {} numbers", "the query names under {} numbers"),
    "n_number_matches": ("at least {} numbers agree", "under {} numbers agree"),
    "n_number_conflicts": ("at least {} numbers conflict", "under {} numbers conflict"),
    "n_attribute_matches": ("at least {} attributes agree", "under {} attributes agree"),
    "n_attribute_conflicts": ("at least {} attributes conflict", "under {} attributes conflict"),
}
# Column -> (words when true, words when false).
BOOLEANS = {
    "is_cjk_query": ("the query's script writes no spaces", "the query's script writes spaces"),
    "has_negation": ("the query rules something out", "the query rules nothing out"),
    "has_brand_match": ("the brand agrees", "the brand is another"),
}
# Column of a list -> (words for at least so long, words for shorter).
LENGTHS = {
    "query_attributes": ("the query names at least {} attributes", "the query names under {} attributes"),
    "missing_terms": ("the doc lacks at least {} of the query's words", "the doc lacks under {} of the query's words"),
}
# Comparisons of several columns -> (words when true, words when false).
JOINT = {
    "n_attribute_matches >= len(query_attributes)": ("all attributes named agree", "not all attributes named agree"),
    "n_attribute_matches + n_attribute_conflicts < len(query_attributes)": (
        "the doc leaves a named attribute open",
        "the doc leaves no named attribute open",
    ),
}
# Column of attributes -> words for any value of a field, words for none.
STATED = {
    "query_attributes": ("the query names a {}", "the query names no {}"),
    "doc_attributes": ("the doc states a {}", "the doc states no {}"),
}
MAX_FIELD_VALUES = 20  # a field of more values is not listed in a condition
LISTS = {
    "conflicting_fields": "the {} conflicts",
    "matched_fields": "the {} agrees",
    "query_attributes": "the query names {}",
    "doc_attributes": "the doc's {}",
    "missing_terms": "the doc lacks “{}”",
    "query_terms": "the query says “{}”",
}
# Of these the absence says something too: a pair has few fields.
NEGATED = {"conflicting_fields": "the {} does not conflict", "matched_fields": "the {} does not agree"}


def read_atoms(
    features: pl.DataFrame, groups: NDArray[np.intp], *, min_votes: int = 3, max_atoms: int = 6000
) -> AtomTable:
    """Build the atoms that hold for at least `min_votes` pairs of two queries, and not for nearly all.

    Of atoms that hold for the same pairs the first in grammar order stays. The rarest words go first when there are
    more than `max_atoms`.
    """
    n = features.height
    kept: list[tuple[Atom, Rows]] = []
    seen: set[bytes] = set()
    for atom, rows in _candidates(features, min_votes):
        if not min_votes <= rows.size <= MAX_COVERAGE_RATE * n or (groups[rows] == groups[rows[0]]).all():
            continue
        key = hashlib.blake2b(rows.tobytes(), digest_size=16).digest()
        if key not in seen:
            seen.add(key)
            kept.append((atom, rows.astype(np.int32)))
    if len(kept) > max_atoms:
        common = sorted(range(len(kept)), key=lambda i: (-kept[i][1].size, i))[:max_atoms]
        kept = [kept[i] for i in sorted(common)]
    indices = np.concatenate([rows for _, rows in kept]) if kept else np.empty(0, np.int32)
    starts = np.cumsum([0, *(rows.size for _, rows in kept)])
    holds = sparse.csr_matrix((np.ones(indices.size, np.float32), indices, starts), shape=(len(kept), n))
    return AtomTable.of([atom for atom, _ in kept], holds)


def _candidates(features: pl.DataFrame, min_votes: int) -> Iterator[tuple[Atom, Rows]]:
    for column, words in SHARES.items():
        values = features[column].to_numpy()
        for cut in _cuts(values, digits=2):
            yield from _threshold(column, values, f"{cut:g}", f"{cut:.0%}", words)
    for column, words in COUNTS.items():
        values = features[column].to_numpy()
        for cut in _cuts(values, digits=0):
            yield from _threshold(column, values, f"{cut:.0f}", f"{cut:.0f}", words)
    for column, (plain, negated) in BOOLEANS.items():
        yield Atom(column, column, plain), features[column].fill_null(False).arg_true().to_numpy().astype(np.intp)
        yield (
            Atom(column, f"not {column}", negated),
            (~features[column].fill_null(True)).arg_true().to_numpy().astype(np.intp),
        )
    for column, words in LENGTHS.items():
        values = features[column].list.len().cast(pl.Int32).to_numpy()
        for cut in _cuts(values, digits=0):
            yield from _threshold(f"len({column})", values, f"{cut:.0f}", f"{cut:.0f}", words)
    lengths = features["query_attributes"].list.len().cast(pl.Int32)
    asked = [features["n_attribute_matches"] >= lengths]
    asked += [features["n_attribute_matches"] + features["n_attribute_conflicts"] < lengths]
    for (condition, (plain, negated)), holds in zip(JOINT.items(), asked, strict=True):
        yield Atom("joint", condition, plain), holds.arg_true().to_numpy().astype(np.intp)
        yield Atom("joint", f"not ({condition})", negated), (~holds).arg_true().to_numpy().astype(np.intp)
    for column, template in LISTS.items():
        postings = list(_postings(features[column], min_votes))
        for value, rows in postings:
            shown = value.replace("=", " ", 1) if column in STATED else value
            shown = shown.replace("_", " ") if column.endswith("fields") else shown
            condition = f"list_contains({column}, {_literal(value)})"
            yield Atom(column, condition, template.format(shown)), rows
            if column in NEGATED:
                others = np.setdiff1d(np.arange(features.height), rows)
                yield Atom(column, f"not {condition}", NEGATED[column].format(shown)), others
        if column in STATED:
            yield from _stated(column, postings, features.height)


def _stated(column: str, postings: Sequence[tuple[str, Rows]], n_pairs: int) -> Iterator[tuple[Atom, Rows]]:
    """Yield, for each field of a few values, that any of them is there, and that none is."""
    by_field: defaultdict[str, list[tuple[str, Rows]]] = defaultdict(list)
    for value, rows in postings:
        by_field[value.partition("=")[0]].append((value, rows))
    for name, held in by_field.items():
        if 1 < len(held) <= MAX_FIELD_VALUES:
            rows = np.unique(np.concatenate([rows for _, rows in held]))
            values = ", ".join(_literal(value) for value, _ in held)
            condition, shown = f"list_has_any({column}, [{values}])", name.replace("_", " ")
            plain, negated = STATED[column]
            others = np.setdiff1d(np.arange(n_pairs), rows)
            yield Atom(f"field of {column}", condition, plain.format(shown)), rows
            yield Atom(f"field of {column}", f"not {condition}", negated.format(shown)), others


def _cuts(values: NDArray[np.float64], *, digits: int) -> list[float]:
    """Return round thresholds at the deciles, above the lowest value: they split, and read well in a rule."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return []
    deciles = np.round(np.quantile(finite, np.linspace(0, 1, N_CUTS + 1)), digits)
    extremes = [finite.max()] if digits == 0 else [1.0]
    small = [1.0, 2.0] if digits == 0 else []
    return [float(cut) for cut in np.unique([*deciles, *extremes, *small]) if finite.min() < cut <= finite.max()]


def _threshold(
    column: str, values: NDArray[np.float64], literal: str, shown: str, words: tuple[str, str]
) -> Iterator[tuple[Atom, Rows]]:
    cut = float(literal)
    yield Atom(column, f"{column} >= {literal}", words[0].format(shown)), np.flatnonzero(values >= cut)
    yield Atom(column, f"{column} < {literal}", words[1].format(shown)), np.flatnonzero(values < cut)


def _postings(lists: pl.Series, min_votes: int) -> Iterator[tuple[str, Rows]]:
    """Yield each value of a column of lists with the rows it is in, in the order of the values."""
    rows = pl.DataFrame({"row": np.arange(len(lists)), "value": lists}).explode("value").drop_nulls().unique()
    found = rows.group_by("value").agg(pl.col("row").sort()).filter(pl.col("row").list.len() >= min_votes)
    for value, held in found.sort("value").iter_rows():
        yield value, np.asarray(held, np.intp)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
