"""Every atom holds for exactly the pairs its SQL holds for, nulls and quotes included."""

from __future__ import annotations

import random

import numpy as np
import polars as pl

from curation.rules import FEATURE_COLUMNS
from evolution.rules.atoms import read_atoms
from storage.sql.predicates import matches
from tests.evolution.rules.test_mining import frame


def some_features() -> pl.DataFrame:
    draw = random.Random(2)
    values = ["colour=red", "colour=blue", "maker's mark=x=y", "pack=set of 2"]
    rows: list[dict[str, object]] = []
    for _ in range(80):
        matched = draw.sample(["colour", "pack"], draw.randint(0, 2))
        conflicting = draw.sample(["kind", "maker's mark"], draw.randint(0, 2))
        rows.append(
            {
                "term_overlap": draw.random(),
                "match_position": draw.choice((None, 0.1, 0.5)),
                "has_brand_match": draw.choice((True, False, None)),
                "n_query_terms": draw.randint(1, 5),
                "n_attribute_matches": len(matched),
                "n_attribute_conflicts": len(conflicting),
                "matched_fields": matched,
                "conflicting_fields": conflicting,
                "query_attributes": draw.sample(values, draw.randint(0, 3)),
                "doc_attributes": draw.sample(values, draw.randint(0, 4)),
                "missing_terms": draw.sample(["don't", "“x”", "价格", "e\u0301"], draw.randint(0, 2)),
            }
        )
    return frame(rows)


def test_the_sql_of_every_atom_holds_where_the_atom_does() -> None:
    features = some_features()
    table = read_atoms(features, np.arange(len(features)))
    conditions = {str(i): atom.condition for i, atom in enumerate(table.atoms)}
    masks = matches(features.select(list(FEATURE_COLUMNS)), conditions)
    assert [conditions[key] for key, mask in masks.items() if not np.array_equal(mask, table.cover((int(key),)))] == []
    told = " ".join(conditions.values())
    for part in (
        "len(query_attributes)",
        "n_attribute_matches >= len(query_attributes)",
        "not list_contains(matched_fields, 'colour')",
        "list_has_any(doc_attributes, ['colour=blue', 'colour=red'])",
        "match_position <",
    ):
        assert part in told


def test_no_two_atoms_hold_for_the_same_pairs_and_each_speaks_of_two_queries() -> None:
    features = some_features()
    groups = np.arange(len(features)) // 40
    table = read_atoms(features, groups)
    covers = [table.cover((i,)) for i in range(len(table.atoms))]
    assert len({mask.tobytes() for mask in covers}) == len(covers)
    assert all(np.unique(groups[mask]).size == 2 for mask in covers)
