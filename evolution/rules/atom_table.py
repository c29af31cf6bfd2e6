"""Atoms over pairs as one matrix: where each comparison holds, and how much weight it holds for.

A few hundred thresholds hold nearly everywhere and thousands of words hold nearly nowhere: the first are counted as a
dense matrix product, the second as a sparse one, which is ten times faster than either alone. Counts of 0/1 weights
are exact up to 16 million pairs, where a float32 ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

COMMON_RATE = 0.03  # atoms that hold for a larger share of pairs are counted densely
BLOCK = 16_384  # pairs widened to float32 at a time

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison: its SQL over the columns of `pair_features`, and the same in words."""

    column: str
    condition: str
    text: str


@dataclass(frozen=True, slots=True)
class AtomTable:
    """Atoms and where they hold: `holds` is a 0/1 float32 matrix (atoms × pairs); the rest is the same, split."""

    atoms: tuple[Atom, ...]
    holds: sparse.csr_matrix
    families: Mapping[str, int]
    common: Rows
    rare: Rows
    common_holds: NDArray[np.uint8]
    rare_holds: sparse.csr_matrix

    @classmethod
    def of(cls, atoms: Sequence[Atom], holds: sparse.csr_matrix) -> AtomTable:
        """Split a matrix (atoms × pairs) for counting."""
        sizes = np.diff(holds.indptr)
        is_common = sizes > COMMON_RATE * holds.shape[1]
        common, rare = np.flatnonzero(is_common), np.flatnonzero(~is_common)
        dense = holds[common].astype(np.uint8).toarray()
        families = Counter(atom.column for atom in atoms)
        return cls(tuple(atoms), holds, families, common, rare, dense, holds[rare])

    @property
    def n_pairs(self) -> int:
        return int(self.holds.shape[1])

    def among(self, rows: Rows) -> AtomTable:
        """Return the same atoms, by the same numbers, over some of the pairs."""
        return AtomTable.of(self.atoms, self.holds[:, rows])

    def n_family(self, atom: int) -> int:
        """Return how many atoms speak of this one's column: how many were tried when it was found."""
        return self.families[self.atoms[atom].column]

    def count(self, weights: Floats) -> Floats:
        """Return the weight each atom holds for: (pairs × k) -> (atoms × k)."""
        counts = np.zeros((len(self.atoms), weights.shape[1]), np.float32)
        counts[self.rare] = self.rare_holds @ weights
        dense = np.zeros((self.common.size, weights.shape[1]), np.float32)
        for start in range(0, self.n_pairs, BLOCK):
            dense += self.common_holds[:, start : start + BLOCK].astype(np.float32) @ weights[start : start + BLOCK]
        counts[self.common] = dense
        return counts

    def sizes(self) -> Floats:
        """Return how many pairs each atom holds for."""
        sizes: Floats = np.diff(self.holds.indptr).astype(np.float32)
        return sizes

    def cover(self, atoms: Sequence[int]) -> NDArray[np.bool_]:
        """Return for which pairs all of these atoms hold."""
        counts = np.zeros(self.n_pairs, np.uint8)
        for i in atoms:
            counts[self.holds.indices[self.holds.indptr[i] : self.holds.indptr[i + 1]]] += 1
        return np.asarray(counts == len(atoms))

    def covers(self, conjunctions: Sequence[Sequence[int]]) -> Floats:
        """Return the pairs each conjunction holds for, as 0/1 columns (pairs × conjunctions)."""
        found = np.empty((self.n_pairs, len(conjunctions)), np.float32)
        for column, atoms in enumerate(conjunctions):
            found[:, column] = self.cover(atoms)
        return found
