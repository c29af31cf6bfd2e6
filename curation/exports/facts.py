"""Counts of what leaves, for the card: grades, reasons, sources, operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from curation.exports.source import Source


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts by (tier, split), by source and by operator, each in a fixed order."""

    n_by_grade: Mapping[tuple[int, str], Mapping[int, int]]
    n_without_reasons: Mapping[tuple[int, str], int]
    n_by_source: Mapping[str, int]
    n_by_operator: Mapping[str, int]


def facts_of(source: Source) -> Facts:
    """Count the rows that leave."""
    rows = source.rows(["grade", "source", "operator", "steps"]).with_columns(pl.col("steps").is_null())
    n_by_grade: dict[tuple[int, str], dict[int, int]] = {}
    n_without: dict[tuple[int, str], int] = {}
    counted = rows.group_by("tier", "split", "grade").agg(pl.len(), pl.col("steps").sum()).sort("tier", "grade")
    for tier, split, grade, n_rows, n_bare in counted.iter_rows():
        n_by_grade.setdefault((tier, split), {})[grade] = n_rows
        n_without[tier, split] = n_without.get((tier, split), 0) + n_bare
    return Facts(n_by_grade, n_without, _counts(rows["source"]), _counts(rows["operator"].drop_nulls()))


def _counts(values: pl.Series) -> dict[str, int]:
    counted = values.value_counts(name="n").sort("n", values.name, descending=[True, False])
    return dict(counted.iter_rows())
