"""Counting over atoms, dense and sparse ones together, says what counting one by one says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from evolution.rules.atom_table import Atom, AtomTable


@pytest.fixture
def dense() -> np.ndarray:
    """Forty atoms over 500 pairs: some hold for half of them, some for one in a hundred."""
    draw = np.random.default_rng(0)
    return (draw.random((40, 500)) < draw.choice([0.01, 0.5], 40)[:, None]).astype(np.float32)


def table_of(dense: np.ndarray) -> AtomTable:
    atoms = [Atom(f"c{i % 3}", f"c{i % 3} = {i}", f"it is {i}") for i in range(len(dense))]
    return AtomTable.of(atoms, sparse.csr_matrix(dense))


def test_counts_are_the_matrix_product(dense: np.ndarray) -> None:
    weights = np.random.default_rng(1).integers(0, 3, (500, 7)).astype(np.float32)
    table = table_of(dense)
    assert table.common.size and table.rare.size
    assert np.array_equal(table.count(weights), dense @ weights)
    assert np.array_equal(table.sizes(), dense.sum(axis=1))


def test_a_conjunction_covers_where_all_its_atoms_hold(dense: np.ndarray) -> None:
    table = table_of(dense)
    assert np.array_equal(table.cover((1, 4, 9)), dense[[1, 4, 9]].all(axis=0))
    assert np.array_equal(table.covers([(1, 4), (2,)])[:, 0], (dense[1] * dense[4]))


def test_some_of_the_pairs_keep_the_atoms_numbers(dense: np.ndarray) -> None:
    rows = np.array([3, 5, 8, 13, 400])
    some = table_of(dense).among(rows)
    assert some.n_pairs == 5
    assert np.array_equal(some.cover((7,)), dense[7, rows] > 0)


def test_a_family_is_all_atoms_on_a_column(dense: np.ndarray) -> None:
    assert [table_of(dense).n_family(i) for i in (0, 1, 2)] == [14, 13, 13]
