"""Rare, exact rules inside a head rule that contradicts them: the long tail, which later training forgets first.

An exception adds one atom to a head and says another grade of every pair it then covers, as few as three. It is kept
when that would hardly come by luck among the atoms tried in its head; precision intervals of so few cases are wide, and
the rule carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolution.rules.search import Found, Judged, wilson_bound

EXCEPTION_VOTES = 3
EXCEPTION_CHANCE = 1.0  # expected number of such finds by luck alone, over all atoms tried in one head rule
SAME_RATE = 0.7  # share of an exception's pairs that others may have told already


@dataclass(frozen=True, slots=True)
class ExceptionRule:
    """An exact conjunction for a grade inside a head rule of another; `luck` is the chance finds to be expected."""

    luck: float
    grade: int
    found: Found
    head: Found


def find_exceptions(judged: Judged, heads: Sequence[tuple[int, Found]]) -> list[ExceptionRule]:
    """Find exceptions to head rules, least likely by luck first; what earlier ones say of the same pairs is left."""
    fit = [(grade, head) for grade, head in heads if head.n_votes >= 4 * EXCEPTION_VOTES]
    if not fit:
        return []
    covers = judged.table.covers([head.atoms for _, head in fit])
    n = judged.table.count(covers)  # atoms × heads
    n_tried = np.maximum(1, (n >= EXCEPTION_VOTES).sum(axis=0))
    found: list[ExceptionRule] = []
    taken: set[tuple[bytes, int]] = set()
    for grade in judged.scale.values:
        right = covers * (judged.truth == grade)[:, None]
        hits = judged.table.count(right)
        bases = (right.sum(axis=0) + 1.0) / (covers.sum(axis=0) + 2.0)
        for column, (head_grade, head) in enumerate(fit):
            if grade == head_grade:
                continue
            exact = (n[:, column] >= EXCEPTION_VOTES) & (hits[:, column] == n[:, column])
            for i in np.flatnonzero(exact).tolist():
                n_votes = int(n[i, column])
                luck = float(n_tried[column] * bases[column] ** n_votes)
                if luck > EXCEPTION_CHANCE:
                    continue
                atoms = tuple(sorted({*head.atoms, i}))
                rows = np.flatnonzero(judged.table.cover(atoms))
                key = (rows.tobytes(), grade)
                of = judged.groups[rows]
                if key in taken or (of == of[0]).all():
                    continue
                taken.add(key)
                exception = Found(atoms, n_votes, n_votes, wilson_bound(n_votes, n_votes))
                found.append(ExceptionRule(luck, grade, exception, head))
    found.sort(key=lambda f: (f.luck, f.found.atoms, f.grade))
    return _new_ones(judged, found)


def _new_ones(judged: Judged, found: Sequence[ExceptionRule]) -> list[ExceptionRule]:
    kept: list[ExceptionRule] = []
    told = {grade: np.zeros(judged.truth.size, np.bool_) for grade in judged.scale.values}
    for exception in found:
        mask: NDArray[np.bool_] = judged.table.cover(exception.found.atoms)
        if (mask & told[exception.grade]).sum() < SAME_RATE * mask.sum():
            told[exception.grade] |= mask
            kept.append(exception)
    return kept
