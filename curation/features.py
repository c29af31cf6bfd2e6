"""The computed features of query-doc pairs: one Polars row a pair, the columns of the table `pair_features`.

Rules are predicates over these columns, models see them as a line of evidence words, and the model-free baseline
learns from them; so a column means the same for every language and machine, and none of them looks at a grade.
A share with nothing to count over is 0 where that reads as "nothing found"; `has_brand_match` is null when the query
names no brand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import polars as pl

from curation.attributes import BRAND_FIELDS, Attribute, FieldVocabulary, QueryAttributes, compare_attributes
from curation.evidence import evidence_line
from curation.quantities import Quantity, compare_quantities, field_quantity, find_quantities, without_limits
from curation.text import (
    Negation,
    content_terms,
    count_parts,
    grams,
    is_unspaced,
    longest_match,
    normalise,
    singular,
    split_negation,
    squeeze,
    tokenize,
    tokenize_normal,
)

__all__ = ["FEATURE_SCHEMA", "FieldVocabulary", "evidence_line", "pair_features", "tokenize"]

FEATURE_SCHEMA: dict[str, pl.DataType] = {
    "pair_id": pl.String(),
    "n_query_terms": pl.Int32(),
    "n_doc_terms": pl.Int32(),
    "is_cjk_query": pl.Boolean(),
    "term_overlap": pl.Float64(),
    "title_overlap": pl.Float64(),
    "body_overlap": pl.Float64(),
    "phrase_overlap": pl.Float64(),
    "gram_overlap": pl.Float64(),
    "longest_match_rate": pl.Float64(),
    "match_position": pl.Float64(),
    "length_ratio": pl.Float64(),
    "n_title_characters": pl.Int32(),
    "n_title_parts": pl.Int32(),
    "has_negation": pl.Boolean(),
    "n_negated_present": pl.Int32(),
    "n_query_numbers": pl.Int32(),
    "n_number_matches": pl.Int32(),
    "n_number_conflicts": pl.Int32(),
    "n_attribute_matches": pl.Int32(),
    "n_attribute_conflicts": pl.Int32(),
    "has_brand_match": pl.Boolean(),
    "query_terms": pl.List(pl.String()),
    "missing_terms": pl.List(pl.String()),
    "query_attributes": pl.List(pl.String()),
    "doc_attributes": pl.List(pl.String()),
    "matched_fields": pl.List(pl.String()),
    "conflicting_fields": pl.List(pl.String()),
}


@dataclass(frozen=True, slots=True)
class _Query:
    squeezed: str
    grams: frozenset[str]
    terms: list[str]
    bigrams: frozenset[tuple[str, str]]
    negation: Negation
    quantities: list[Quantity]
    attributes: QueryAttributes
    is_unspaced: bool


@dataclass(frozen=True, slots=True)
class _Text:
    """A doc's title, fields or body, tokenised once."""

    squeezed: str
    terms: frozenset[str]
    bigrams: frozenset[tuple[str, str]]
    n_terms: int
    n_parts: int
    quantities: list[Quantity]


@dataclass(frozen=True, slots=True)
class _Fields:
    text: _Text
    quantities: list[Quantity]
    attributes: tuple[Attribute, ...]


def pair_features(pairs: pl.DataFrame, vocabulary: FieldVocabulary) -> pl.DataFrame:
    """Return the features of pairs (pair_id, query, title, body, fields as JSON), one row each, in order."""
    read_query = lru_cache(maxsize=None)(lambda text: _read_query(text, vocabulary))
    read_text = lru_cache(maxsize=None)(_read_text)
    read_fields = lru_cache(maxsize=None)(lambda text: _read_fields(text, vocabulary))
    rows = [
        (pair_id, *_features(read_query(query), read_text(title), read_text(body), read_fields(fields), (title, body)))
        for pair_id, query, title, body, fields in pairs.select(
            "pair_id", "query", "title", "body", "fields"
        ).iter_rows()
    ]
    return pl.DataFrame(rows, schema=FEATURE_SCHEMA, orient="row")


def _read_query(text: str, vocabulary: FieldVocabulary) -> _Query:
    normal = normalise(text)
    negation = split_negation(normal)
    tokens = tokenize_normal(without_limits(negation.wanted))
    squeezed = squeeze(normal)
    stems = [singular(token) for token in tokens]
    return _Query(
        squeezed,
        frozenset(grams(squeezed)),
        content_terms(tokens),
        frozenset(pairwise(stems)),
        negation,
        find_quantities(normal),
        vocabulary.find_asked(normal, negation),
        is_unspaced(normal),
    )


def _read_text(text: str) -> _Text:
    normal = normalise(text)
    tokens = tokenize_normal(normal)
    stems = [singular(token) for token in tokens]
    return _Text(
        squeeze(normal),
        frozenset(stems),
        frozenset(pairwise(stems)),
        len(tokens),
        count_parts(normal),
        find_quantities(normal),
    )


def _read_fields(text: str, vocabulary: FieldVocabulary) -> _Fields:
    fields: dict[str, str] = {name: str(value) for name, value in json.loads(text or "{}").items()}
    read = _read_text(" \n ".join(fields.values()))
    named = [quantity for name, value in fields.items() if (quantity := field_quantity(name, value))]
    return _Fields(read, [*read.quantities, *named], vocabulary.of_doc(fields))


def _features(query: _Query, title: _Text, body: _Text, fields: _Fields, raw: Sequence[str]) -> tuple[Any, ...]:
    """Return the columns after `pair_id`; `raw` is the doc's text as written."""
    parts = (title, fields.text, body)
    numbers = compare_quantities(query.quantities, [*title.quantities, *fields.quantities, *body.quantities])
    meets_numbers = 0 < numbers.n_matches == len(query.quantities)  # then `2m` is met by `200 cm`
    missing = [
        term
        for term in query.terms
        if not any(_has_term(part, term) for part in parts) and not (meets_numbers and term[0].isdigit())
    ]
    attributes = compare_attributes(query.attributes, fields.attributes)
    match = longest_match(query.squeezed, title.squeezed)
    names_brand = any(a.field in BRAND_FIELDS for a in query.attributes.wanted)
    brand_match = any(a.field in BRAND_FIELDS for a in attributes.matched) if names_brand else None
    n_bigrams = sum(any(pair in part.bigrams for part in parts) for pair in query.bigrams)
    n_grams = sum(any(gram in part.squeezed for part in parts) for gram in query.grams)
    asked = (*query.attributes.wanted, *query.attributes.ruled_out)
    return (
        len(query.terms),
        sum(part.n_terms for part in parts),
        query.is_unspaced,
        _share(len(query.terms) - len(missing), len(query.terms)),
        _share(sum(_has_term(title, term) for term in query.terms), len(query.terms)),
        _share(sum(_has_term(body, term) for term in query.terms), len(query.terms)),
        _share(n_bigrams, len(query.bigrams)) if query.bigrams else float(bool(query.terms) and not missing),
        _share(n_grams, len(query.grams)),
        _share(len(match), len(query.squeezed)),
        title.squeezed.index(match) / len(title.squeezed) if match else None,
        _share(len(query.squeezed), len(title.squeezed)),
        len(title.squeezed),
        title.n_parts,
        bool(query.negation.ruled_out),
        _count_present(query.negation.ruled_out, raw),
        len(query.quantities),
        numbers.n_matches,
        numbers.n_conflicts,
        len(attributes.matched),
        len(attributes.conflicting),
        brand_match,
        query.terms,
        missing,
        [str(a) for a in asked],
        [str(a) for a in fields.attributes],
        sorted({a.field for a in attributes.matched}),
        sorted({a.field for a in attributes.conflicting}),
    )


def _has_term(part: _Text, term: str) -> bool:
    """Whether a text has a term; a lone character of an unspaced script is found inside its bigrams."""
    return singular(term) in part.terms or (len(term) == 1 and is_unspaced(term) and term in part.squeezed)


def _count_present(ruled_out: Sequence[str], raw: Sequence[str]) -> int:
    """Count the ruled-out words a doc has, not counting where the doc itself rules them out (`sugar-free`)."""
    if not ruled_out:
        return 0
    held = _read_text(" \n ".join(split_negation(normalise(text)).wanted for text in raw))
    return sum(all(_has_term(held, term) for term in tokenize_normal(word)) for word in ruled_out)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
