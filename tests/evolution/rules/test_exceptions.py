"""Rare rules: what few pairs say against the rest of their context, and what is no find although it is exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import sparse

from evolution.rules.atom_table import Atom, AtomTable
from evolution.rules.exceptions import RareRule, chance_of, find_rare_rules
from evolution.rules.search import Found, Judged
from storage.grades import Scale


def judged(holds: Sequence[Sequence[int]], grades: Sequence[int], groups: Sequence[int] | None = None) -> Judged:
    """Pairs by the atoms that hold for them (atoms × pairs), each a query of its own unless told otherwise."""
    atoms = [Atom(f"a{i}", f"a{i}", f"a{i}") for i in range(len(holds))]
    table = AtomTable.of(atoms, sparse.csr_matrix(holds, dtype=np.float32))
    return Judged(table, np.array(grades), np.array(groups or range(len(grades))), Scale((0, 1), ("n", "y")))


def found(some: Judged, *atoms: int, grade: int = 1) -> Found:
    cover = some.table.cover(atoms)
    return Found(atoms, int(cover.sum()), int((cover & (some.truth == grade)).sum()), 0.0)


def rare(some: Judged, *grown: Found, heads: Sequence[tuple[int, Found]] = ()) -> list[RareRule]:
    return find_rare_rules(some, heads, {1: grown})


def test_a_chance_by_hand() -> None:
    """Three of three at a tenth: 1/1000. At least one of two at a half: 3/4."""
    assert chance_of(3, 3, 0.1) == pytest.approx(0.001)
    assert chance_of(1, 2, 0.5) == pytest.approx(0.75)
    assert chance_of(0, 2, 0.5) == 1.0


# Atom 0 holds for the first 40 pairs, atom 1 for the last 5 of these; of the 60 others a quarter has grade 1.
CONTEXT = [[1] * 40 + [0] * 60, [0] * 35 + [1] * 5 + [0] * 60]
GRADES = [0] * 35 + [1] * 5 + [0, 0, 0, 1] * 15


def test_an_exception_is_measured_inside_its_head_and_names_it() -> None:
    """20 of 100 have the grade; of the head's other 35 pairs none has it: (0 + 1) / (35 + 2)."""
    some = judged(CONTEXT, GRADES)
    head = found(some, 0, grade=0)
    (alone,) = rare(some, found(some, 1))
    assert (alone.chance, alone.head) == (pytest.approx(0.2**5), None)
    (inside,) = rare(some, found(some, 1), heads=[(0, head)])
    assert (inside.chance, inside.head) == (pytest.approx((1 / 37) ** 5), head)


def test_what_a_shorter_part_says_as_well_is_no_find() -> None:
    """Atom 1 is right on 9 of 10; the five of them inside atom 0 are right by what atom 1 says, not by atom 0."""
    holds = [[1] * 5 + [0] * 5 + [1] * 40, [1] * 10 + [0] * 40]
    some = judged(holds, [1] * 9 + [0] + [0] * 40)
    assert rare(some, found(some, 0, 1)) == []  # (4 + 1) / (5 + 2) to the fifth is .19
    assert len(rare(some, found(some, 1))) == 1


def test_one_wrong_judgment_of_five_is_borne_and_two_are_not() -> None:
    for n_wrong, n_kept in ((0, 1), (1, 1), (2, 0)):
        grades = [0] * 35 + [0] * n_wrong + [1] * (5 - n_wrong) + [0] * 60
        some = judged(CONTEXT, grades)
        assert len(rare(some, found(some, 1))) == n_kept


def test_one_querys_pairs_and_what_a_head_of_the_grade_says_are_left_out() -> None:
    some = judged(CONTEXT, GRADES, [*range(35), *[35] * 5, *range(36, 96)])
    assert rare(some, found(some, 1)) == []
    some = judged(CONTEXT, GRADES)
    assert rare(some, found(some, 1), heads=[(1, found(some, 1))]) == []


def test_of_conjunctions_of_the_same_pairs_the_simplest_stays_with_the_least_chance() -> None:
    """Atom 1 lies in atom 0, so both say the same; only the longer one has a part to be measured against."""
    some = judged(CONTEXT, GRADES)
    (one,) = rare(some, found(some, 0, 1), found(some, 1))
    assert (one.found.atoms, one.chance) == ((1,), pytest.approx((1 / 37) ** 5))
