"""Where planted rules of the bundled sample are lost on the way into the rule book, and what the book is worth.

    python benchmarks/rule_funnel.py [--json FILE] [--draws 3]

Mined from draws of judgments (`--draws` of them, each of the bundled seed's size: whole train queries, a twentieth of
the grades off by one) and from all true grades of train. A conjunction *finds* a planted rule when it gives that rule's
grade and the rule decides at least `SAME` of the pairs it covers; a planted rule passes a stage when conjunctions that
find it and got so far cover at least `SAME` of its pairs, and it passed all stages before; in the book it need not
have. Pairs of the test split are in no part of it; what the book is worth is said of dev.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report  # noqa: E402
from benchmarks.rule_quality import SAME, SHOP_SCALE, read_sample  # noqa: E402
from evolution.rules.atom_table import AtomTable  # noqa: E402
from evolution.rules.atoms import MAX_COVERAGE_RATE, read_atoms  # noqa: E402
from evolution.rules.exceptions import RARE_VOTES  # noqa: E402
from evolution.rules.folds import Conjunction  # noqa: E402
from evolution.rules.mining import BookSize, mine_conjunctions  # noqa: E402
from evolution.rules.search import Judged, grow_conjunctions, precise_among, surest  # noqa: E402
from samples.homeware.truth import RULES  # noqa: E402
from storage.grades import Scale  # noqa: E402

SIZE = BookSize(max_rules=120, min_accuracy=0.7, min_votes=5)
MIN_JUDGED = 3  # judged pairs a planted rule decides, of two queries: fewer are one query's memory or nothing
N_SEED, N_WRONG_OF = 704, 20
MAX_TOLD = 200  # conjunctions of the search that is told the truth
NAMES = [key for key, rule in RULES.items() if not rule.overrides], [k for k, rule in RULES.items() if rule.overrides]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shop:
    """The sample without its test pairs: atoms over all of it, the rule that decides each pair, its true grade."""

    pairs: pl.DataFrame
    table: AtomTable
    groups: NDArray[np.intp]
    decided: Mask  # pairs × planted rules
    grades: NDArray[np.int_]  # of the planted rules
    truth: NDArray[np.int_]

    @classmethod
    def read(cls) -> Shop:
        """Read it."""
        pairs = read_sample().filter(pl.col("split") != "test")
        planted = pairs["planted"].to_numpy()
        names = [*NAMES[0], *NAMES[1]]
        groups = np.unique(pairs["query_id"].to_numpy(), return_inverse=True)[1]
        decided = np.stack([planted == name for name in names], axis=1)
        grades = np.array([RULES[name].grade for name in names])
        return cls(pairs, read_atoms(pairs, groups), groups, decided, grades, pairs["true_grade"].to_numpy())

    def finds(self, table: AtomTable, found: Sequence[Conjunction]) -> tuple[Mask, Mask]:
        """Return which conjunctions find which planted rules, and which pairs each conjunction covers."""
        covers = table.covers([atoms for _, atoms in found])
        both = covers.T @ self.decided.astype(np.float32)
        same_grade = np.array([grade for grade, _ in found])[:, None] == self.grades[None, :]
        return same_grade & (both > 0) & (both >= SAME * covers.sum(axis=0)[:, None]), covers > 0

    def passes(self, table: AtomTable, found: Sequence[Conjunction]) -> Mask:
        """Return the planted rules of which conjunctions that find them cover enough."""
        if not found:
            return np.zeros(self.grades.size, np.bool_)
        match, covers = self.finds(table, found)
        covered = [
            (covers[:, match[:, rule]].any(axis=1) & self.decided[:, rule]).sum() for rule in range(self.grades.size)
        ]
        return np.asarray(np.array(covered) >= SAME * self.decided.sum(axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    report, shop = Report("rule_funnel"), Shop.read()
    sayable = expressible(shop)
    train = np.flatnonzero((shop.pairs["split"] == "train").to_numpy())
    for draw in range(arguments.draws):
        rows, grades = draw_judgments(shop, train, draw)
        tell(report, shop, f"draw {draw}: {len(rows)} judgments, 5% wrong", rows, grades, sayable)
    tell(report, shop, f"true grades of {len(train)} train pairs", train, shop.truth[train], sayable)
    report.write(arguments.json)


def draw_judgments(shop: Shop, train: NDArray[np.intp], draw: int) -> tuple[NDArray[np.intp], NDArray[np.int_]]:
    """Draw whole queries until there are as many pairs as the seed has; a twentieth of the grades is off by one."""
    chance = np.random.default_rng(draw)
    order = chance.permutation(np.unique(shop.groups[train]))
    sizes = np.array([(shop.groups[train] == group).sum() for group in order])
    chosen = order[: int(np.searchsorted(np.cumsum(sizes), N_SEED)) + 1]
    rows = train[np.isin(shop.groups[train], chosen)]
    wrong = chance.choice(rows.size, rows.size // N_WRONG_OF, replace=False)
    grades = shop.truth[rows].copy()
    step = chance.choice((-1, 1), wrong.size)
    moved = grades[wrong] + step
    grades[wrong] = np.where((moved < 0) | (moved > 3), grades[wrong] - step, moved)
    return rows, grades


def expressible(shop: Shop) -> Mask:
    """Return the planted rules that the grammar can say: the same search, told which pairs each decides."""
    said = []
    for rule in range(shop.grades.size):
        decided = shop.decided[:, rule]
        judged = Judged(shop.table, decided.astype(int), shop.groups, Scale((0, 1), ("other", "this")))
        grown = grow_conjunctions(judged, 1, min_votes=RARE_VOTES)
        found = precise_among(judged, 1, grown, min_accuracy=SAME)
        surest_first = sorted(found, key=lambda one: (-one.bound, one.atoms))[:MAX_TOLD]
        covers = shop.table.covers([one.atoms for one in surest_first])
        said.append(bool(found) and bool((covers.any(axis=1) & decided).sum() >= SAME * decided.sum()))
    return np.array(said)


def tell(
    report: Report, shop: Shop, name: str, rows: NDArray[np.intp], grades: NDArray[np.int_], sayable: Mask
) -> None:
    """Mine one set of judgments; say at which stage planted rules are lost, and what the book is worth on dev."""
    table, judged = _judged(shop, rows, grades)
    stages = {"can be said": sayable, f"decides {MIN_JUDGED} judged pairs of 2 queries": _supported(shop, rows)}
    grown: list[Conjunction] = []
    precise: list[Conjunction] = []
    sure: list[Conjunction] = []
    for grade in SHOP_SCALE.values:
        pool = grow_conjunctions(judged, grade, min_votes=RARE_VOTES)
        good = precise_among(judged, grade, pool, min_accuracy=SIZE.min_accuracy)
        best = surest(judged, [f for f in good if f.n_votes >= SIZE.min_votes], judged.base_rate(grade))
        grown += [(grade, f.atoms) for f in pool]
        precise += [(grade, f.atoms) for f in good]
        sure += [(grade, f.atoms) for f in best]
    book, _ = mine_conjunctions(judged, SIZE)
    rules = book.conjunctions()
    heads, rare = rules[: len(book.heads)], rules[len(book.heads) :]
    stages |= {
        "a head was grown": shop.passes(table, grown),
        "precise enough": shop.passes(table, precise),
        "survives correction": shop.passes(table, sure),
        "chosen as heads": shop.passes(table, heads),
    }
    told: dict[str, list[int]] = {}
    left = np.ones(shop.grades.size, np.bool_)
    for stage, passed in stages.items():
        left &= passed
        told[stage] = [int(left[: len(NAMES[0])].sum()), int(left[len(NAMES[0]) :].sum())]
    ends = {"heads": heads, "rare": rare, "all": rules}
    for part, some in ends.items():
        passed = shop.passes(table, some)
        told[f"in the book, {part}"] = [int(passed[: len(NAMES[0])].sum()), int(passed[len(NAMES[0]) :].sum())]
    worth = {part: _worth(shop, table, some) for part, some in ends.items()}
    report.put(name, planted=[len(NAMES[0]), len(NAMES[1])], funnel=told, worth=worth)
    report.say(f"{name}: {len(rules)} rules. Planted: {len(NAMES[0])} frequent, {len(NAMES[1])} rare")
    for stage, (n_frequent, n_rare) in told.items():
        report.say(f"  {stage:<40} {n_frequent:>3} {n_rare:>3}")
    for part, one in worth.items():
        report.say(
            f"  {part}: {one['find']} of {one['rules']} find a planted rule; dev: covers {one['coverage']:.3f}, right "
            f"on {one['right']} of {one['votes']} votes ({one['right'] / max(1, one['votes']):.3f})"
        )


def _judged(shop: Shop, rows: NDArray[np.intp], grades: NDArray[np.int_]) -> tuple[AtomTable, Judged]:
    """Return the atoms that mining these pairs has, over all pairs, and the judged pairs.

    Cuts are those of all pairs; which atoms there are, and which are the same, is told by the judged ones.
    """
    groups = np.unique(shop.groups[rows], return_inverse=True)[1]
    within = shop.table.holds[:, rows].sorted_indices()
    seen: set[bytes] = set()
    kept: list[int] = []
    for atom in range(len(shop.table.atoms)):
        held = within.indices[within.indptr[atom] : within.indptr[atom + 1]]
        if not 3 <= held.size <= MAX_COVERAGE_RATE * rows.size or (groups[held] == groups[held[0]]).all():
            continue
        if held.tobytes() not in seen:
            seen.add(held.tobytes())
            kept.append(atom)
    table = AtomTable.of([shop.table.atoms[atom] for atom in kept], shop.table.holds[kept])
    return table, Judged(table.among(rows), grades, groups, SHOP_SCALE)


def _supported(shop: Shop, rows: NDArray[np.intp]) -> Mask:
    """Return the planted rules that decide enough judged pairs, of two queries."""
    inside, groups = shop.decided[rows], shop.groups[rows]
    n_queries = np.array([np.unique(groups[inside[:, rule]]).size for rule in range(shop.grades.size)])
    return np.asarray((inside.sum(axis=0) >= MIN_JUDGED) & (n_queries >= 2))


def _worth(shop: Shop, table: AtomTable, found: Sequence[Conjunction]) -> dict[str, float]:
    """Return how many rules find a planted one, and on dev the share covered, votes and right ones."""
    if not found:
        return {"rules": 0, "find": 0, "coverage": 0.0, "votes": 0, "right": 0}
    match, covers = shop.finds(table, found)
    dev = (shop.pairs["split"] == "dev").to_numpy()
    said = covers[dev]
    right = said & (shop.truth[dev][:, None] == np.array([grade for grade, _ in found])[None, :])
    return {
        "rules": len(found),
        "find": int(match.any(axis=1).sum()),
        "coverage": float(said.any(axis=1).mean()),
        "votes": int(said.sum()),
        "right": int(right.sum()),
    }


if __name__ == "__main__":
    main()
