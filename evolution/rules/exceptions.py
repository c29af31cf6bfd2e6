"""Rare rules: nearly exact conjunctions of few pairs, against what is said of their pairs without one of their atoms.

A conjunction of a few pairs cannot survive a correction for all that was tried. It is ranked by its chance instead:
that of so many right pairs by drawing from the other pairs of the most favourable of its shorter parts; where it has
none that covers more, from the head rule it lies in. So an exception is measured against its head and not against the
base rate, and a longer rule that says what a shorter one says is no find. Rare rules are proposals for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from evolution.rules.search import Found, Judged

RARE_VOTES = 3
MIN_RIGHT = 0.8  # share of a rare rule's pairs that carry its grade: one wrong judgment among five is borne
MAX_CHANCE = 0.005  # of one conjunction; among the thousands that are tried there are lucky ones all the same
SAME_RATE = 0.7  # share of a rare rule's pairs that others may have told already
MAX_RANKED = 4000  # conjunctions of unlike pairs that are held against their parts, a grade

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RareRule:
    """A nearly exact conjunction for a grade, and the chance of it.

    `head` is the head rule of another grade that covers most of its pairs, None where none covers half.
    """

    chance: float
    grade: int
    found: Found
    head: Found | None


def find_rare_rules(
    judged: Judged, heads: Sequence[tuple[int, Found]], grown: Mapping[int, Sequence[Found]]
) -> list[RareRule]:
    """Return rare rules among the conjunctions grown for each grade, least likely by luck first.

    What heads or earlier ones of the same grade say of nearly the same pairs is left out, and what holds in one query.
    """
    covers = [(grade, head, judged.table.cover(head.atoms)) for grade, head in heads]
    ranked = [one for grade, pool in grown.items() for one in _ranked(judged, grade, pool, covers)]
    ranked.sort(key=lambda one: (one[0], len(one[2].atoms), one[2].atoms, one[1]))
    told = {grade: np.zeros(judged.truth.size, np.bool_) for grade in judged.scale.values}
    for grade, _, cover in covers:
        told[grade] |= cover
    kept: list[RareRule] = []
    for chance, grade, found in ranked:
        mask = judged.table.cover(found.atoms)
        of = judged.groups[mask]
        if (mask & told[grade]).sum() >= SAME_RATE * mask.sum() or (of == of[0]).all():
            continue
        told[grade] |= mask
        kept.append(RareRule(chance, grade, found, _contradicted(mask, grade, covers)))
    return kept


def chance_of(n_right: int, n: int, rate: float) -> float:
    """Return the chance of at least so many right out of n when each is right at this rate."""
    return float(betainc(n_right, n - n_right + 1, rate)) if n_right else 1.0


def _ranked(
    judged: Judged, grade: int, pool: Sequence[Found], heads: Sequence[tuple[int, Found, Mask]]
) -> Iterator[tuple[float, int, Found]]:
    """Yield chance, grade and conjunction of those that are nearly exact and hardly luck.

    Of conjunctions of the same pairs the simplest stays, with the least of their chances.
    """
    right, base = judged.truth == grade, judged.base_rate(grade)
    others = [mask for g, _, mask in heads if g != grade]
    counted: dict[tuple[int, ...], tuple[int, int]] = {}
    simplest: dict[bytes, tuple[float, Found]] = {}
    for found in _nearly_exact(pool, base):
        mask = judged.table.cover(found.atoms)
        rates = []
        for part in (found.atoms[:at] + found.atoms[at + 1 :] for at in range(len(found.atoms))):
            if part and part not in counted:
                cover = judged.table.cover(part)
                counted[part] = int(cover.sum()), int((cover & right).sum())
            if part and counted[part][0] > found.n_votes:
                rates.append(_rate_besides(found, *counted[part]))
        if not rates:
            around = [cover for cover in others if not (mask & ~cover).any()]
            rates = [_rate_besides(found, int(cover.sum()), int((cover & right).sum())) for cover in around] or [base]
        chance, pairs = chance_of(found.n_right, found.n_votes, max(rates)), np.packbits(mask).tobytes()
        first = simplest.get(pairs)
        simplest[pairs] = (chance, found) if first is None else (min(chance, first[0]), first[1])
        if len(simplest) == MAX_RANKED:
            break
    yield from ((chance, grade, found) for chance, found in simplest.values() if chance <= MAX_CHANCE)


def _rate_besides(found: Found, n: int, n_right: int) -> float:
    """Return the rate of the grade among the other pairs of a context, one right and one wrong added."""
    return (n_right - found.n_right + 1) / (n - found.n_votes + 2)


def _nearly_exact(pool: Sequence[Found], base: float) -> list[Found]:
    """Return what is nearly exact, the least likely by the base rate first, the simpler before the longer."""
    exact = [one for one in pool if one.n_votes >= RARE_VOTES and one.n_right >= MIN_RIGHT * one.n_votes]
    return sorted(exact, key=lambda one: (chance_of(one.n_right, one.n_votes, base), len(one.atoms), one.atoms))


def _contradicted(mask: Mask, grade: int, heads: Sequence[tuple[int, Found, Mask]]) -> Found | None:
    """Return the head of another grade that covers most of these pairs, if any covers half of them."""
    others = [(int((mask & cover).sum()), -at, head) for at, (g, head, cover) in enumerate(heads) if g != grade]
    if not others:
        return None
    n, _, head = max(others, key=lambda one: one[:2])
    return head if 2 * n >= mask.sum() else None
