"""Confirmation on held-out folds: the tests behind it by hand, and that a memory of the data is not confirmed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from evolution.rules.atom_table import Atom, AtomTable
from evolution.rules.folds import N_FOLDS, benjamini_hochberg, binomial_tail, confirm
from evolution.rules.search import Judged, effective_count
from storage.grades import Scale


def test_benjamini_and_hochberg_by_hand() -> None:
    """At rate .05 of four: ranked limits .0125, .025, .0375, .05. Third is met by .03, so all up to it are found."""
    assert benjamini_hochberg([0.2, 0.03, 0.001, 0.028], 0.05) == [False, True, True, True]
    assert benjamini_hochberg([0.2, 0.06], 0.05) == [False, False]
    assert benjamini_hochberg([], 0.05) == []


def test_the_binomial_tail_by_hand() -> None:
    """Two of two at a half: 1/4. At least one of two at a half: 3/4. Nothing seen proves nothing."""
    assert binomial_tail(2, 2, 0.5) == pytest.approx(0.25)
    assert binomial_tail(1, 2, 0.5) == pytest.approx(0.75)
    assert binomial_tail(0, 0, 0.5) == 1.0


def test_pairs_of_one_query_count_for_less() -> None:
    """Kish: sizes 3 and 1 give 16/10; one size alone gives one."""
    assert effective_count(np.array([4, 4, 4, 7])) == pytest.approx(1.6)
    assert effective_count(np.array([2, 2, 2])) == pytest.approx(1.0)


def judged(n_queries: int) -> Judged:
    """One pair a query; atom 0 holds for the even ones, which have grade 1; atom 1 for the first eight."""
    even = np.arange(n_queries) % 2 == 0
    holds = np.vstack([even, np.arange(n_queries) < 8]).astype(np.float32)
    atoms = [Atom("a", "a", "a"), Atom("b", "b", "b")]
    return Judged(
        AtomTable.of(atoms, sparse.csr_matrix(holds)), even.astype(int), np.arange(n_queries), Scale((0, 1), ("n", "y"))
    )


def test_a_rule_found_without_each_fold_is_counted_on_all_of_them() -> None:
    found = confirm(judged(40), [(1, (0,))], lambda _: [(1, (0,))])
    assert found is not None
    (rule,) = found.rules
    assert (rule.n_folds, rule.n_votes, rule.n_right, rule.is_confirmed) == (N_FOLDS, 20, 20, True)
    assert (found.n_votes, found.n_right) == (20, 20)


def test_a_rule_no_fold_finds_again_is_not_confirmed() -> None:
    found = confirm(judged(40), [(1, (0,)), (0, (1,))], lambda _: [(1, (0,))])
    assert found is not None
    memory = found.rules[1]
    assert (memory.n_folds, memory.n_votes, memory.is_confirmed) == (0, 0, False)


def test_the_mining_of_a_fold_never_sees_it() -> None:
    whole = judged(40)
    sizes: list[int] = []

    def mine(some: Judged) -> list[tuple[int, tuple[int, ...]]]:
        sizes.append(some.truth.size)
        return [(1, (0,))]

    confirm(whole, [(1, (0,))], mine)
    assert sizes == [30] * N_FOLDS


def test_under_a_dozen_queries_nothing_is_held_out() -> None:
    assert confirm(judged(11), [(1, (0,))], lambda _: [(1, (0,))]) is None
