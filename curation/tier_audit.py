"""Draw rows of a tier for a person to look at, and say of each why it is there.

The draw is random within each grade, in shares of the tier's grades, and the same for the same rows and seed wherever
it is made. A rate over it is the tier's rate, up to the rows that rare grades get at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from curation.tiers import TIER_COLUMNS
from storage.sql.predicate_parts import alternatives, columns_named
from storage.sql.predicates import matches

N_DRAWN = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """An alternative of the tier's predicate that the row meets, and the row's values of the columns it names."""

    part: str
    values: Mapping[str, Any]


def draw_rows(members: pl.DataFrame, *, seed: int, n: int = N_DRAWN) -> pl.DataFrame:
    """Return n of a tier's rows (all where there are fewer), each grade in its share, in random order."""
    members = members.sort("judgment_id")
    generator = np.random.default_rng(seed)
    sizes = dict(members.group_by("grade").len().sort("grade").iter_rows())
    drawn = []
    for grade, wanted in shares(sizes, n).items():
        of_grade = members.filter(members["grade"] == grade)
        places = generator.choice(len(of_grade), size=wanted, replace=False)
        drawn.append(of_grade.select(pl.all().gather(np.sort(places).tolist())))
    if not drawn:
        return members
    found = pl.concat(drawn)
    return found.select(pl.all().gather(generator.permutation(len(found)).tolist()))


def shares(sizes: Mapping[int, int], n: int) -> dict[int, int]:
    """Return how many rows of each grade to draw: at least one of each, the rest by largest remainder."""
    total = sum(sizes.values())
    n = min(n, total)
    wanted = {grade: min(1, size) for grade, size in sorted(sizes.items(), key=lambda one: -one[1])[:n]}
    while sum(wanted.values()) < n:
        lacking = {g: n * sizes[g] / total - wanted[g] for g in sorted(wanted) if wanted[g] < sizes[g]}
        wanted[max(lacking, key=lambda grade: lacking[grade])] += 1
    return dict(sorted(wanted.items()))


def reasons(rows: pl.DataFrame, where: str) -> list[tuple[Reason, ...]]:
    """Return for each row (columns `TIER_COLUMNS`) which alternatives of a predicate it meets."""
    parts = alternatives(where)
    masks = matches(rows.select(list(TIER_COLUMNS)), {str(place): part for place, part in enumerate(parts)})
    told = []
    for place, row in enumerate(rows.iter_rows(named=True)):
        met = [part for number, part in enumerate(parts) if masks[str(number)][place]]
        told.append(
            tuple(Reason(part, {name: row[name] for name in columns_named(part, TIER_COLUMNS)}) for part in met)
        )
    return told
