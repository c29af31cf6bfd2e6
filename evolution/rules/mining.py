"""Rules mined from judged pairs: short conjunctions whose pairs carry one grade more surely than chance.

Head rules are searched (`search`) and chosen so that none says what a simpler one says (`choice`); a part of the book
is kept for rare rules, nearly exact ones of few pairs, some of them inside a head of another grade (`exceptions`).
The book is then held against folds of queries it was not mined from (`folds`), and each rule carries what they said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from curation.intervals import Interval, wilson
from evolution.rules.atoms import read_atoms
from evolution.rules.choice import Choice, choose
from evolution.rules.exceptions import RARE_VOTES, RareRule, find_rare_rules
from evolution.rules.folds import N_FOLDS, Confirmation, Conjunction, HeldOut, condition_of, confirm
from evolution.rules.search import Found, Judged, grow_conjunctions, heads_among
from storage.grades import Scale

RARE_RATE = 0.25  # share of the book that may be rare rules: they cannot be sure, and where heads are few they are luck


@dataclass(frozen=True, slots=True)
class MinedRule:
    """A rule and its count on the judged pairs: it votes on `n_votes` of `n_judged` and is right on `n_right`.

    `is_rare`: of too few pairs to be sure among all that was tried. `exception_to` is the condition of the head rule
    that a rare one contradicts, if there is one; then `base_rate` is the share of its grade among that head's pairs,
    else among all judged ones. `held_out` is None where there were too few queries to hold any out.
    """

    text: str
    condition: str
    grade: int
    n_votes: int
    n_right: int
    n_judged: int
    base_rate: float
    exception_to: str | None = None
    is_rare: bool = False
    held_out: HeldOut | None = None

    @property
    def accuracy(self) -> float:
        return self.n_right / self.n_votes

    @property
    def interval(self) -> Interval | None:
        """The 95% Wilson interval of the accuracy on the pairs it was mined from."""
        return wilson(self.n_right, self.n_votes)

    @property
    def coverage_rate(self) -> float:
        return self.n_votes / self.n_judged

    @property
    def is_confirmed(self) -> bool:
        return self.held_out is not None and self.held_out.is_confirmed

    @property
    def standing(self) -> str:
        """What held-out queries say of it, in words."""
        held, rare = self.held_out, ""
        if self.is_rare and self.interval is not None:
            low, high = self.interval.low, self.interval.high
            rare = f"rare, for a person to judge: right on {self.n_right} of {self.n_votes} [{low:.2f}, {high:.2f}]; "
        if held is None:
            return f"{rare}not confirmed: too few queries to hold any out"
        found = f"found again without {held.n_folds} of {N_FOLDS} folds"
        right = f", right there on {held.n_right} of {held.n_votes}" if held.n_votes else ""
        return f"{rare}{'confirmed' if held.is_confirmed else 'not confirmed'}: {found}{right}"

    @property
    def lift(self) -> float:
        """How many times as often as by chance it is right; of an exception, by chance inside its head."""
        return self.accuracy / self.base_rate


@dataclass(frozen=True, slots=True)
class ToldRule:
    """A rule that was left out, and the condition of the simpler kept one that says as much."""

    rule: MinedRule
    by_condition: str


@dataclass(frozen=True, slots=True)
class Mined:
    """A book of rules, heads first by worth, then rare rules by their chance; and what was left out for saying no
    more than one of them. `n_held_out` votes of all rules on folds they were not mined from were right
    `n_held_out_right` times.
    """

    rules: tuple[MinedRule, ...] = ()
    told: tuple[ToldRule, ...] = ()
    n_held_out: int = 0
    n_held_out_right: int = 0


def mine_rules(
    features: pl.DataFrame,
    grades: Sequence[int],
    *,
    scale: Scale,
    max_rules: int = 120,
    queries: Sequence[str] | None = None,
    min_accuracy: float = 0.7,
    min_votes: int = 5,
) -> Mined:
    """Mine at most `max_rules` rules from judged pairs.

    `features` are rows of `pair_features`, `grades` their grades. With `queries` (a root query a row) a rule must
    hold in at least two of them, so that it is not one query's memory. Deterministic.
    """
    if features.height != len(grades):
        raise ValueError(f"{features.height} pairs, {len(grades)} grades")
    if not grades or max_rules < 1:
        return Mined()
    groups = np.unique(np.asarray(queries if queries is not None else np.arange(len(grades))), return_inverse=True)[1]
    judged = Judged(read_atoms(features, groups), np.asarray(grades), groups, scale)
    size = BookSize(max_rules, min_accuracy, min_votes)
    book, choice = mine_conjunctions(judged, size)
    confirmation = confirm(judged, book.conjunctions(), lambda some: mine_conjunctions(some, size)[0].conjunctions())
    kept = {found.atoms for _, found in book.heads}
    told = tuple(
        ToldRule(_describe(judged, one.grade, one.found), condition_of(judged.table, one.by.atoms))
        for one in choice.told
        if one.by.atoms in kept
    )
    rules = _confirmed(book.rules(judged), confirmation)
    if confirmation is None:
        return Mined(rules, told)
    return Mined(rules, told, confirmation.n_votes, confirmation.n_right)


@dataclass(frozen=True, slots=True)
class BookSize:
    """How long a book may be, and what a head must show on the pairs it is mined from."""

    max_rules: int
    min_accuracy: float
    min_votes: int


@dataclass(frozen=True, slots=True)
class Book:
    """Conjunctions that became rules, before they are counted and put into words."""

    heads: tuple[tuple[int, Found], ...]
    rare: tuple[RareRule, ...]

    def conjunctions(self) -> list[Conjunction]:
        """Return grade and atoms of every rule, heads first."""
        heads = [(grade, found.atoms) for grade, found in self.heads]
        return heads + [(one.grade, one.found.atoms) for one in self.rare]

    def rules(self, judged: Judged) -> list[MinedRule]:
        """Return the rules with their counts, in the same order."""
        rules = [_describe(judged, grade, found) for grade, found in self.heads]
        for one in self.rare:
            rule = _describe(judged, one.grade, one.found)
            if one.head is not None:
                inside = judged.truth[judged.table.cover(one.head.atoms)] == one.grade
                parent = condition_of(judged.table, one.head.atoms)
                rule = replace(rule, exception_to=parent, base_rate=float(inside.mean()))
            rules.append(replace(rule, is_rare=True))
        return rules


def mine_conjunctions(judged: Judged, size: BookSize) -> tuple[Book, Choice]:
    """Return the book of some judged pairs, and how its heads were chosen."""
    grown = {grade: grow_conjunctions(judged, grade, min_votes=RARE_VOTES) for grade in judged.scale.values}
    frequent = {grade: [f for f in pool if f.n_votes >= size.min_votes] for grade, pool in grown.items()}
    pools = {
        grade: heads_among(judged, grade, pool, min_accuracy=size.min_accuracy) for grade, pool in frequent.items()
    }
    choice = choose(judged, pools, max_rules=size.max_rules)
    rare = find_rare_rules(judged, choice.heads, grown)[: _n_rare(size, len(choice.heads))]
    return Book(choice.heads[: size.max_rules - len(rare)], tuple(rare)), choice


def _n_rare(size: BookSize, n_heads: int) -> int:
    """Return how many rare rules a book of so many heads has room for."""
    return min(int(RARE_RATE * size.max_rules), math.ceil(n_heads * RARE_RATE / (1 - RARE_RATE)))


def _confirmed(rules: Sequence[MinedRule], confirmation: Confirmation | None) -> tuple[MinedRule, ...]:
    if confirmation is None:
        return tuple(rules)
    return tuple(replace(rule, held_out=one) for rule, one in zip(rules, confirmation.rules, strict=True))


def rule_text(judged: Judged, grade: int, numbers: Sequence[int]) -> str:
    """Return the sentence of a conjunction."""
    atoms = [judged.table.atoms[i] for i in numbers]
    words = ", ".join(atom.text for atom in atoms[:-1]) + (" and " if len(atoms) > 1 else "") + atoms[-1].text
    return f"Where {words}, the grade is {grade} ({judged.scale.name(grade)})."


def _describe(judged: Judged, grade: int, found: Found) -> MinedRule:
    return MinedRule(
        text=rule_text(judged, grade, found.atoms),
        condition=condition_of(judged.table, found.atoms),
        grade=grade,
        n_votes=found.n_votes,
        n_right=found.n_right,
        n_judged=judged.truth.size,
        base_rate=judged.base_rate(grade),
    )
