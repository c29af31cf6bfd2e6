"""The grammar a mined rule's condition is built from: one atom is one comparison on one column of `pair_features`.

Every atom has its SQL, its plain words and the set of pairs it holds for. A null column holds for no pair, neither
plainly nor negated, as in SQL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

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
LISTS = {
    "conflicting_fields": "the {} conflicts",
    "matched_fields": "the {} agrees",
    "query_attributes": "the query names {}",
    "doc_attributes": "the doc's {}",
    "missing_terms": "the doc lacks “{}”",
    "query_terms": "the query says “{}”",
}


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison: its SQL over the columns of `pair_features`, and the same in words."""

    column: str
    condition: str
    text: str


@dataclass(frozen=True, slots=True)
class AtomTable:
    """Atoms and where they hold: `holds` is a 0/1 float32 matrix (atoms × pairs)."""

    atoms: tuple[Atom, ...]
    holds: sparse.csr_matrix
    families: Mapping[str, int]

    def n_family(self, atom: int) -> int:
        """Return how many atoms speak of this one's column: how many were tried when it was found."""
        return self.families[self.atoms[atom].column]


def read_atoms(
    features: pl.DataFrame, groups: NDArray[np.intp], *, min_votes: int = 3, min_groups: int = 2, max_atoms: int = 6000
) -> AtomTable:
    """Build the atoms that hold for at least `min_votes` pairs of `min_groups` queries, and not for nearly all.

    Of atoms that hold for the same pairs the first in grammar order stays. The rarest words go first when there are
    more than `max_atoms`.
    """
    n = features.height
    kept: list[tuple[Atom, NDArray[np.intp]]] = []
    seen: set[bytes] = set()
    for atom, rows in _candidates(features):
        if not min_votes <= rows.size <= MAX_COVERAGE_RATE * n or np.unique(groups[rows]).size < min_groups:
            continue
        key = rows.tobytes()
        if key not in seen:
            seen.add(key)
            kept.append((atom, rows))
    if len(kept) > max_atoms:
        common = sorted(range(len(kept)), key=lambda i: (-kept[i][1].size, i))[:max_atoms]
        kept = [kept[i] for i in sorted(common)]
    indices = np.concatenate([rows for _, rows in kept]) if kept else np.empty(0, np.intp)
    starts = np.cumsum([0, *(rows.size for _, rows in kept)])
    holds = sparse.csr_matrix((np.ones(indices.size, np.float32), indices, starts), shape=(len(kept), n))
    atoms = tuple(atom for atom, _ in kept)
    return AtomTable(atoms, holds, Counter(atom.column for atom in atoms))


def _candidates(features: pl.DataFrame) -> Iterator[tuple[Atom, NDArray[np.intp]]]:
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
    for column, template in LISTS.items():
        for value, rows in sorted(_postings(features[column].to_list()).items()):
            shown = value.replace("=", " ", 1) if column in ("query_attributes", "doc_attributes") else value
            shown = shown.replace("_", " ") if column.endswith("fields") else shown
            yield Atom(column, f"list_contains({column}, {_literal(value)})", template.format(shown)), rows


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
) -> Iterator[tuple[Atom, NDArray[np.intp]]]:
    cut = float(literal)
    yield Atom(column, f"{column} >= {literal}", words[0].format(shown)), np.flatnonzero(values >= cut)
    yield Atom(column, f"{column} < {literal}", words[1].format(shown)), np.flatnonzero(values < cut)


def _postings(lists: Sequence[Sequence[str]]) -> dict[str, NDArray[np.intp]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, values in enumerate(lists):
        for value in dict.fromkeys(values):
            rows[value].append(row)
    return {value: np.asarray(found, np.intp) for value, found in rows.items()}


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
