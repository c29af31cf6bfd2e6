"""Rules mined from judged pairs: short conjunctions whose pairs carry one grade more surely than chance.

A beam search over the atoms of `rule_atoms` grows conjunctions of up to three; a longer one must beat its shorter
parts. Rules are then chosen by weighted covering: a pair that rules of its grade already explain counts for less, so
the next rule looks elsewhere. A part of the book is kept for exceptions: rare, exact rules inside a head rule that
contradict it, because the long tail is what later training forgets first. The algorithm is our own reconstruction;
precision is judged by the lower end of Wilson's interval, so three lucky cases do not look like a law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from evolution.rule_atoms import Atom, AtomTable, read_atoms
from storage.grades import Scale

Z = 1.64  # one-sided 95%, for ranking
N_LUCKY = 1.0  # chance finds admitted, in expectation, among the conjunctions tried for one grade
MIN_BOUND = 0.5
BEAM = 120
POOL = 1200  # conjunctions kept for the choice, a grade
MIN_GAIN = 0.02  # what one more atom must add to the lower bound
DISCOUNT = 0.5  # weight of a pair for each rule of its grade that covers it already
EXCEPTION_RATE = 0.25  # share of the book kept for exceptions
EXCEPTION_VOTES = 3
SAME_RATE = 0.7  # share of an exception's pairs that others may have told already
EXCEPTION_CHANCE = 1.0  # expected number of such finds by luck alone, over all atoms tried in one head rule

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MinedRule:
    """A rule and its count on the judged pairs. `exception_to` is the condition of the head rule it contradicts."""

    text: str
    condition: str
    grade: int
    n_votes: int
    n_right: int
    exception_to: str | None = None

    @property
    def accuracy(self) -> float:
        return self.n_right / self.n_votes


@dataclass(frozen=True, slots=True)
class _Found:
    """A conjunction for one grade: atom numbers in ascending order, pairs covered and right, lower bound."""

    atoms: tuple[int, ...]
    n_votes: int
    n_right: int
    bound: float


def wilson_bound(n_right: float, n: float, z: float = Z) -> float:
    """Return the lower end of Wilson's score interval for a proportion; 0 for no cases."""
    if n <= 0:
        return 0.0
    rate = n_right / n
    centre = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n)


def mine_rules(
    features: pl.DataFrame,
    grades: Sequence[int],
    *,
    scale: Scale,
    max_rules: int = 120,
    queries: Sequence[str] | None = None,
    min_accuracy: float = 0.6,
    min_votes: int = 5,
) -> list[MinedRule]:
    """Mine at most `max_rules` rules from judged pairs; heads first, by worth, then exceptions by rarity of luck.

    `features` are rows of `pair_features`, `grades` their grades. With `queries` (a root query a row) a rule must
    hold in at least two of them, so that it is not one query's memory. Deterministic.
    """
    if features.height != len(grades):
        raise ValueError(f"{features.height} pairs, {len(grades)} grades")
    if not grades or max_rules < 1:
        return []
    groups = np.unique(np.asarray(queries if queries is not None else np.arange(len(grades))), return_inverse=True)[1]
    table = read_atoms(features, groups)
    truth = np.asarray(grades)
    n_exceptions = int(max_rules * EXCEPTION_RATE)
    heads = _mine_heads(
        table, truth, groups, scale, max_rules=max_rules, min_accuracy=min_accuracy, min_votes=min_votes
    )
    exceptions = _mine_exceptions(table, truth, groups, scale, heads=heads)[:n_exceptions]
    heads = heads[: max_rules - len(exceptions)]
    rules = [_describe(table, scale, grade, found) for grade, found in heads]
    held = {rule.condition for rule in rules}
    for grade, found, parent in exceptions:
        rule = _describe(table, scale, grade, found, exception_to=_condition(_parts(table, parent)))
        if rule.condition not in held:
            held.add(rule.condition)
            rules.append(rule)
    return rules


def _mine_heads(
    table: AtomTable,
    truth: NDArray[np.int_],
    groups: NDArray[np.intp],
    scale: Scale,
    *,
    max_rules: int,
    min_accuracy: float,
    min_votes: int,
) -> list[tuple[int, _Found]]:
    pools: dict[int, list[_Found]] = {}
    for grade in scale.values:
        right = (truth == grade).astype(np.float32)
        if right.sum() >= min_votes:
            base = float(right.mean())
            # A vote must be right more often than not, and more often than a guess.
            floor = max(min_accuracy, base + 0.05)
            found = [f for f in _search(table.holds, right, min_votes=min_votes) if f.n_right >= floor * f.n_votes]
            judged = (replace(f, bound=_strict_bound(table, f, groups)) for f in found)
            pools[grade] = sorted((f for f in judged if f.bound > base), key=lambda f: (-f.bound, f.atoms))[:POOL]
    return _choose(table.holds, pools, truth, groups, max_rules)


def _search(holds: sparse.csr_matrix, right: Floats, *, min_votes: int) -> list[_Found]:
    """Grow conjunctions for one grade; return all that earned their length, surest first."""
    base = float(right.mean())
    n = np.asarray(holds.sum(axis=1)).ravel()
    hits = holds @ right
    bounds = _bounds(hits, n)
    pool: dict[tuple[int, ...], _Found] = {
        (i,): _Found((i,), int(n[i]), int(hits[i]), float(bounds[i]))
        for i in np.flatnonzero((n >= min_votes) & (bounds > base)).tolist()
    }
    order = np.argsort(-_significance(hits, n, base), kind="stable")
    beam: list[tuple[int, ...]] = [(int(i),) for i in order[:BEAM] if n[i] >= min_votes]
    for _ in range(2):
        grown = _grow(holds, right, beam, base=base, min_votes=min_votes, pool=pool)
        pool.update({found.atoms: found for found, _ in grown})
        beam = [found.atoms for found, _ in sorted(grown, key=lambda g: (-g[1], g[0].atoms))[:BEAM]]
    return sorted(pool.values(), key=lambda f: (-f.bound, len(f.atoms), f.atoms))


def _grow(
    holds: sparse.csr_matrix,
    right: Floats,
    beam: Sequence[tuple[int, ...]],
    *,
    base: float,
    min_votes: int,
    pool: dict[tuple[int, ...], _Found],
) -> list[tuple[_Found, float]]:
    """Add one atom to each conjunction of the beam; keep what beats all its shorter parts. Also returns the worth."""
    if not beam:
        return []
    covers = np.stack([_cover(holds, atoms) for atoms in beam], axis=1)  # pairs × beam
    n = holds @ covers  # atoms × beam
    hits = holds @ (covers * right[:, None])
    bounds = _bounds(hits, n)
    worth = _significance(hits, n, base)
    grown: dict[tuple[int, ...], tuple[_Found, float]] = {}
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
            found = _Found(name, int(n[i, column]), int(hits[i, column]), float(bounds[i, column]))
            grown[name] = (found, float(worth[i, column]))
    return list(grown.values())


def _strict_bound(table: AtomTable, found: _Found, groups: NDArray[np.intp]) -> float:
    """Return the lower bound of a rule's accuracy among all that was tried; 0 when it may be wrong more than right.

    Bonferroni: the number tried is the product of the atoms' families (all atoms on the same column), so a rule over
    a dozen fields needs less evidence than one over a thousand words. Pairs of one query are correlated: cases are
    counted as Kish's effective number, (sum of cluster sizes)² over the sum of their squares.
    """
    sizes = np.unique(groups[np.flatnonzero(_cover(table.holds, found.atoms))], return_counts=True)[1].astype(
        np.float64
    )
    n_effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    n_right = n_effective * found.n_right / found.n_votes
    if wilson_bound(n_right, n_effective) < MIN_BOUND:
        return 0.0
    n_tried = math.prod(table.n_family(i) for i in found.atoms)
    return wilson_bound(n_right, n_effective, NormalDist().inv_cdf(1.0 - min(0.5, N_LUCKY / (n_tried + 1))))


def _choose(
    holds: sparse.csr_matrix,
    pools: dict[int, list[_Found]],
    truth: NDArray[np.int_],
    groups: NDArray[np.intp],
    max_rules: int,
) -> list[tuple[int, _Found]]:
    """Choose rules by weighted covering, the grades taking turns so that a common one does not fill the book."""
    covers = {
        g: sparse.csr_matrix(np.stack([_cover(holds, f.atoms) for f in pool])) for g, pool in pools.items() if pool
    }
    gains = {g: np.array([f.bound - float((truth == g).mean()) for f in pools[g]], np.float32) for g in covers}
    weights = {g: np.ones(truth.size, np.float32) for g in covers}
    chosen: list[tuple[int, _Found]] = []
    while covers and len(chosen) < max_rules:
        for grade in sorted(covers):
            if len(chosen) >= max_rules:
                break
            best = _next(covers[grade], gains[grade], weights[grade], groups)
            if best is None:
                del covers[grade]
                continue
            rows = covers[grade][best].indices
            weights[grade][rows] *= DISCOUNT
            gains[grade][best] = 0.0
            chosen.append((grade, pools[grade][best]))
    return chosen


def _next(covers: sparse.csr_matrix, gains: Floats, weights: Floats, groups: NDArray[np.intp]) -> int | None:
    """Return the rule of most worth that says something new and speaks of two queries; None when there is none."""
    fresh = covers @ weights
    sizes = np.asarray(covers.sum(axis=1)).ravel()
    worth = gains * np.sqrt(fresh) * (fresh / sizes)
    for i in np.argsort(-worth, kind="stable"):
        if worth[i] <= 0.0 or (fresh[i] < 0.3 * sizes[i] and fresh[i] < 2.0):
            return None
        if np.unique(groups[covers[i].indices]).size >= 2:
            return int(i)
        gains[i] = 0.0
    return None


def _mine_exceptions(
    table: AtomTable,
    truth: NDArray[np.int_],
    groups: NDArray[np.intp],
    scale: Scale,
    *,
    heads: Sequence[tuple[int, _Found]],
) -> list[tuple[int, _Found, _Found]]:
    """Find rare, exact rules inside head rules that contradict them, least likely by luck first."""
    found: list[tuple[float, int, _Found, _Found]] = []
    taken: set[bytes] = set()
    for head_grade, head in heads:
        cover = _cover(table.holds, head.atoms)
        if len(head.atoms) > 2 or cover.sum() < 4 * EXCEPTION_VOTES:
            continue
        n = table.holds @ cover
        tried = max(1, int((n >= EXCEPTION_VOTES).sum()))
        for grade in scale.values:
            right = cover * (truth == grade)
            base = (float(right.sum()) + 1.0) / (float(cover.sum()) + 2.0)
            if grade == head_grade:
                continue
            hits = table.holds @ right
            for i in np.flatnonzero((n >= EXCEPTION_VOTES) & (hits == n)):
                luck = tried * base ** float(n[i])
                rows = np.flatnonzero(_cover(table.holds, (*head.atoms, int(i))))
                key = rows.tobytes() + bytes([grade])
                if luck > EXCEPTION_CHANCE or key in taken or np.unique(groups[rows]).size < 2:
                    continue
                taken.add(key)
                atoms = tuple(sorted({*head.atoms, int(i)}))
                n_votes = int(n[i])
                exact = _Found(atoms, n_votes, n_votes, wilson_bound(n_votes, n_votes))
                found.append((luck, grade, exact, head))
    found.sort(key=lambda f: (f[0], f[2].atoms))
    kept: list[tuple[int, _Found, _Found]] = []
    told: dict[int, Floats] = {grade: np.zeros(truth.size, np.float32) for grade in scale.values}
    for _, grade, exact, head in found:
        cover = _cover(table.holds, exact.atoms)
        if cover @ told[grade] < SAME_RATE * cover.sum():  # else an earlier one says the same of the same pairs
            told[grade] = np.maximum(told[grade], cover)
            kept.append((grade, exact, head))
    return kept


def _cover(holds: sparse.csr_matrix, atoms: Sequence[int]) -> Floats:
    """Return the pairs a conjunction holds for, as 0/1 float32."""
    counts = np.zeros(holds.shape[1], np.float32)
    for i in atoms:
        counts[holds.indices[holds.indptr[i] : holds.indptr[i + 1]]] += 1.0
    cover: Floats = (counts == len(atoms)).astype(np.float32)
    return cover


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


def _parts(table: AtomTable, found: _Found) -> list[Atom]:
    return [table.atoms[i] for i in found.atoms]


def _condition(atoms: Sequence[Atom]) -> str:
    return " and ".join(atom.condition for atom in atoms)


def _describe(
    table: AtomTable, scale: Scale, grade: int, found: _Found, *, exception_to: str | None = None
) -> MinedRule:
    atoms = _parts(table, found)
    words = ", ".join(atom.text for atom in atoms[:-1]) + (" and " if len(atoms) > 1 else "") + atoms[-1].text
    text = f"Where {words}, the grade is {grade} ({scale.name(grade)})."
    return MinedRule(text, _condition(atoms), grade, found.n_votes, found.n_right, exception_to)
