"""The search for head rules: conjunctions of up to three atoms whose pairs carry one grade more surely than chance.

A beam grows them; a longer one must beat its shorter parts. What is found is judged by the lower end of Wilson's
interval, so three lucky cases do not look like a law, and that end is drawn for all that was tried (Bonferroni): in
expectation at most `N_LUCKY` conjunctions a grade pass by chance. The algorithm is our own reconstruction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heappush, heappushpop
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evolution.rules.atom_table import AtomTable, Floats
from storage.grades import Scale

Z = 1.64  # one-sided 95%, for ranking
N_LUCKY = 1.0  # chance finds admitted, in expectation, among the conjunctions tried for one grade
MIN_BOUND = 0.5
MAX_ATOMS = 3
BEAM = 120
POOL = 1200  # conjunctions kept for the choice, a grade
MIN_GAIN = 0.02  # what one more atom must add to the lower bound


@dataclass(frozen=True, slots=True)
class Found:
    """A conjunction for one grade: atom numbers in ascending order, pairs covered and right, lower bound."""

    atoms: tuple[int, ...]
    n_votes: int
    n_right: int
    bound: float


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged pairs: their atoms, their grades, the query each belongs to (a number), the grades there can be."""

    table: AtomTable
    truth: NDArray[np.int_]
    groups: NDArray[np.intp]
    scale: Scale

    def among(self, rows: NDArray[np.intp]) -> Judged:
        """Return some of the pairs."""
        return Judged(self.table.among(rows), self.truth[rows], self.groups[rows], self.scale)

    def base_rate(self, grade: int) -> float:
        """Return the share of a grade: how often a rule for it is right by chance."""
        return float((self.truth == grade).mean())


def wilson_bound(n_right: float, n: float, z: float = Z) -> float:
    """Return the lower end of Wilson's score interval for a proportion; 0 for no cases."""
    if n <= 0:
        return 0.0
    rate = n_right / n
    centre = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n)


def effective_count(groups: NDArray[np.intp]) -> float:
    """Return Kish's effective number of cases, (sum of cluster sizes)² / sum of squares: one query's pairs agree."""
    if not groups.size:
        return 0.0
    sizes = np.bincount(groups).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def find_heads(judged: Judged, grade: int, *, min_accuracy: float, min_votes: int) -> list[Found]:
    """Return the surest conjunctions for a grade, at most `POOL`, surest first; their bound is the strict one."""
    return heads_among(judged, grade, grow_conjunctions(judged, grade, min_votes=min_votes), min_accuracy=min_accuracy)


def heads_among(judged: Judged, grade: int, grown: Sequence[Found], *, min_accuracy: float) -> list[Found]:
    """Return the surest of the conjunctions grown for a grade, as `find_heads` does."""
    return surest(judged, precise_among(judged, grade, grown, min_accuracy=min_accuracy), judged.base_rate(grade))


def precise_among(judged: Judged, grade: int, grown: Sequence[Found], *, min_accuracy: float) -> list[Found]:
    """Return those that are right often enough: more often than not, and than a guess."""
    floor = max(min_accuracy, judged.base_rate(grade) + 0.05)
    return [one for one in grown if one.n_right >= floor * one.n_votes]


def grow_conjunctions(judged: Judged, grade: int, *, min_votes: int) -> list[Found]:
    """Grow conjunctions for one grade; return all that earned their length."""
    table, right = judged.table, (judged.truth == grade).astype(np.float32)
    if right.sum() < min_votes:
        return []
    base = float(right.mean())
    n = table.sizes()
    hits = table.count(right[:, None])[:, 0]
    bounds = _bounds(hits, n)
    pool: dict[tuple[int, ...], Found] = {
        (i,): Found((i,), int(n[i]), int(hits[i]), float(bounds[i]))
        for i in np.flatnonzero((n >= min_votes) & (bounds > base)).tolist()
    }
    order = np.argsort(-_significance(hits, n, base), kind="stable")
    beam: list[tuple[int, ...]] = [(int(i),) for i in order[:BEAM] if n[i] >= min_votes]
    for _ in range(MAX_ATOMS - 1):
        grown = _grow(table, right, beam, base=base, min_votes=min_votes, pool=pool)
        pool.update({found.atoms: found for found, _ in grown})
        beam = [found.atoms for found, _ in sorted(grown, key=lambda g: (-g[1], g[0].atoms))[:BEAM]]
    return list(pool.values())


def _grow(
    table: AtomTable,
    right: Floats,
    beam: Sequence[tuple[int, ...]],
    *,
    base: float,
    min_votes: int,
    pool: dict[tuple[int, ...], Found],
) -> list[tuple[Found, float]]:
    """Add one atom to each conjunction of the beam; keep what beats all its shorter parts. Also returns the worth."""
    if not beam:
        return []
    covers = table.covers(beam)
    both = table.count(np.hstack([covers, covers * right[:, None]]))  # atoms × 2 beams
    n, hits = both[:, : len(beam)], both[:, len(beam) :]
    bounds = _bounds(hits, n)
    worth = _significance(hits, n, base)
    grown: dict[tuple[int, ...], tuple[Found, float]] = {}
    seen: set[tuple[int, int, int]] = set()  # same head atom, same counts: almost surely the same pairs
    for column, atoms in enumerate(beam):
        whole = pool.get(atoms)
        least = max(base, whole.bound if whole else base) + MIN_GAIN
        good = np.flatnonzero((n[:, column] >= min_votes) & (bounds[:, column] > least))
        for i in good[np.argsort(-worth[good, column], kind="stable")][: 4 * BEAM]:
            name = tuple(sorted({*atoms, int(i)}))
            part = pool.get((int(i),))
            print_ = (column, int(n[i, column]), int(hits[i, column]))
            if len(name) == len(atoms) or name in grown or print_ in seen:
                continue
            if part is not None and bounds[i, column] < part.bound + MIN_GAIN:
                continue
            seen.add(print_)
            found = Found(name, int(n[i, column]), int(hits[i, column]), float(bounds[i, column]))
            grown[name] = (found, float(worth[i, column]))
    return list(grown.values())


def surest(judged: Judged, found: Sequence[Found], base: float) -> list[Found]:
    """Return the `POOL` with the highest strict bound over the base rate.

    The bound needs the queries of a conjunction's pairs, which is slow to tell. With every pair a query of its own it
    would be highest, so they are tried in that order and the rest is left when it can no longer get in.
    """
    hopes = [(_best_bound(f.n_right, f.n_votes, _n_tried(judged.table, f)), f) for f in found]
    hopes.sort(key=lambda hope: (-hope[0], hope[1].atoms))
    worst: list[float] = []  # a heap of the bounds that are in
    kept: list[Found] = []
    for hope, f in hopes:
        if hope <= base or (len(worst) == POOL and hope < worst[0]):
            break
        bound = strict_bound(judged, f)
        if bound > base:
            kept.append(replace(f, bound=bound))
            if len(worst) < POOL:
                heappush(worst, bound)
            else:
                heappushpop(worst, bound)
    return sorted(kept, key=lambda f: (-f.bound, f.atoms))[:POOL]


def strict_bound(judged: Judged, found: Found) -> float:
    """Return the lower bound of a rule's accuracy among all that was tried; 0 when it may be wrong more than right.

    Bonferroni: the number tried is the product of the atoms' families (all atoms on the same column), so a rule over
    a dozen fields needs less evidence than one over a thousand words. Cases are counted as `effective_count` does.
    """
    n_effective = effective_count(judged.groups[judged.table.cover(found.atoms)])
    return _best_bound(n_effective * found.n_right / found.n_votes, n_effective, _n_tried(judged.table, found))


def _best_bound(n_right: float, n: float, n_tried: int) -> float:
    if wilson_bound(n_right, n) < MIN_BOUND:
        return 0.0
    return wilson_bound(n_right, n, _strict_z(n_tried))


def _n_tried(table: AtomTable, found: Found) -> int:
    return math.prod(table.n_family(i) for i in found.atoms)


@lru_cache(maxsize=4096)
def _strict_z(n_tried: int) -> float:
    return NormalDist().inv_cdf(1.0 - min(0.5, N_LUCKY / (n_tried + 1)))


def _bounds(hits: Floats, n: Floats) -> Floats:
    """Wilson's lower bound, elementwise; 0 where there are no cases."""
    safe = np.maximum(n, 1.0)
    rate = hits / safe
    centre = rate + Z * Z / (2 * safe)
    spread = Z * np.sqrt(np.maximum(rate * (1 - rate), 0.0) / safe + Z * Z / (4 * safe * safe))
    bounds: Floats = np.where(n > 0, (centre - spread) / (1 + Z * Z / safe), 0.0).astype(np.float32)
    return bounds


def _significance(hits: Floats, n: Floats, base: float) -> Floats:
    """Hits above chance in standard deviations: it weighs coverage and precision against each other."""
    worth: Floats = ((hits - n * base) / np.sqrt(np.maximum(n, 1.0) * base * (1 - base) + 1e-9)).astype(np.float32)
    return worth
