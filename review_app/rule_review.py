"""The rule book as the people see it who answer for it: which rules disagree with experts, and their word on each.

Rules and their standing are read as they are now. What their votes are worth is counted over all pairs, in figures
that are kept (`figures`). A rule is held against settled train and dev pairs, never against test pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from curation.approvals import Decision, decide, undecided
from curation.intervals import wilson
from curation.rules import EDITED, Rule, RuleStatistics
from review_app.figures import Figure, Figures
from storage.errors import UserError
from storage.people.accounts import Act, Pin, require
from storage.store import Store

FEW = 20  # judged pairs; a rate over fewer is shown as uncertain
N_EXAMPLES = 4
N_CONFLICTS = 6
_NOT_JUDGED = {"n_judged": 0, "n_right": 0}


class Order(StrEnum):
    """What comes first in the list."""

    DISAGREEMENT = "disagreement"
    COVERAGE = "coverage"
    CONFLICT = "conflict"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule, its standing now, and what its votes are worth; `statistics` is None while it is not counted yet."""

    rule: Rule
    status: str
    origin: str
    parent_id: str | None
    created_at: datetime
    made_by: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    statistics: RuleStatistics | None

    @property
    def version_of(self) -> str | None:
        """The rule this is a next version of; the parent of a mined rule is the head it is an exception to."""
        return self.parent_id if self.origin == EDITED else None

    @property
    def highest_accuracy(self) -> float:
        """How right the rule may be at best: 1 where nothing is judged, for then nothing speaks against it."""
        interval = self.statistics.accuracy_interval if self.statistics else None
        return 1.0 if interval is None else interval.high


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules. `counted` tells of when the statistics are; None while they are counted for the first time."""

    lines: tuple[RuleLine, ...]
    counted: Figure[Any] | None

    def n_of(self, status: str | None) -> int:
        """Count the rules of a status, of all for None."""
        return len(self.lines) if status is None else sum(line.status == status for line in self.lines)

    def line(self, rule_id: str) -> RuleLine | None:
        """Return a rule's line, None when there is no such rule."""
        return next((line for line in self.lines if line.rule.rule_id == rule_id), None)


@dataclass(frozen=True, slots=True)
class Example:
    """A settled pair a rule votes on."""

    pair_id: str
    query: str
    title: str
    grade: int
    settled_grade: int
    origin: str
    split: str

    @property
    def agrees(self) -> bool:
        return self.grade == self.settled_grade


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another rule that votes another grade on the same pairs; of those settled, whom the experts followed."""

    rule_id: str
    text: str
    grade: int
    status: str
    n_pairs: int
    n_judged: int
    n_for_this: int
    n_for_other: int


@dataclass(frozen=True, slots=True)
class Decided:
    """One act on one version of a rule."""

    rule_id: str
    decision: str
    account: str
    reason: str | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """All versions of a rule, the first one first, and what was decided of each, in order of time."""

    versions: tuple[RuleLine, ...]
    decisions: tuple[Decided, ...]


def read_book(person: Pin, store: Store, figures: Figures) -> RuleBook:
    """Return every rule with its standing now and its statistics as last counted."""
    require(person, Act.APPROVE)
    counted = counted_statistics(store, figures)
    found: Mapping[str, RuleStatistics] = counted.value if counted else {}
    lines = [_line(row, found.get(row["rule_id"])) for row in store.read("rule_standing").to_pylist()]
    return RuleBook(tuple(lines), counted)


def choose(
    lines: Iterable[RuleLine], *, status: str | None = None, text: str = "", order: Order = Order.DISAGREEMENT
) -> list[RuleLine]:
    """Return the rules of a status whose sentence, condition or id holds all the words, in order.

    The surest disagreement comes first: a rule wrong on 30 of 100 before one wrong on 1 of 1. Rejected rules come last:
    they are dealt with.
    """
    words = text.casefold().split()
    chosen = [
        line
        for line in lines
        if (status is None or line.status == status)
        and all(word in f"{line.rule.text}\n{line.rule.condition}\n{line.rule.rule_id}".casefold() for word in words)
    ]
    return sorted(chosen, key=lambda line: (line.status == "rejected", _rank(line, order), line.rule.rule_id))


def read_examples(person: Pin, store: Store, rule_id: str) -> list[Example]:
    """Return settled train and dev pairs a rule votes on: some where experts say otherwise, some where they agree."""
    require(person, Act.APPROVE)
    return [Example(**row) for row in store.read("rule_examples", rule_id=rule_id, n=N_EXAMPLES).to_pylist()]


def read_conflicts(person: Pin, store: Store, rule_id: str) -> list[Conflict]:
    """Return the rules in play that contradict a rule most, the worst first."""
    require(person, Act.APPROVE)
    return [Conflict(**row) for row in store.read("rule_conflicts", rule_id=rule_id, n=N_CONFLICTS).to_pylist()]


def read_history(person: Pin, store: Store, book: RuleBook, line: RuleLine) -> History:
    """Return how a rule came to be as it is."""
    require(person, Act.APPROVE)
    versions = versions_of(book.lines, line)
    rows = store.read("rule_decisions", rule_ids=[one.rule.rule_id for one in versions]).to_pylist()
    decisions = [
        Decided(row["rule_id"], row["decision"], row["account"], row["reason"], row["created_at"]) for row in rows
    ]
    return History(versions, tuple(decisions))


def decide_rules(
    person: Pin, store: Store, rule_ids: Sequence[str], decision: str, *, reason: str | None = None
) -> int:
    """Approve or reject rules; return of how many the standing changed. A rejection needs a reason."""
    return _decide(person, store, "rule", rule_ids, decision, reason)


def decide_instruction(
    person: Pin, store: Store, instruction_id: str, decision: str, *, reason: str | None = None
) -> int:
    """Approve or reject a guideline; return whether that changed its standing, as 1 or 0."""
    return _decide(person, store, "instruction", [instruction_id], decision, reason)


def read_instructions(person: Pin, store: Store) -> list[dict[str, Any]]:
    """Return every guideline with its standing and who decided it."""
    require(person, Act.APPROVE)
    return list(store.read("instruction_standing").to_pylist())


def counted_statistics(store: Store, figures: Figures) -> Figure[dict[str, RuleStatistics]] | None:
    """Return what the votes of all rules are worth, as last counted; None while that is done for the first time."""
    (state,) = store.read("rules_state").to_pylist()
    return figures.figure("rules", tuple(state.values()), lambda: count_statistics(store))


def count_statistics(store: Store) -> dict[str, RuleStatistics]:
    """Count what the votes of all rules are worth: the figures of `curation.rules.rule_statistics`, by the store."""
    n_pairs = int(store.read("n_featured_pairs").column("n")[0].as_py())
    judged = {row["rule_id"]: row for row in store.read("rule_accuracy").to_pylist()}
    return {
        row["rule_id"]: _statistics(n_pairs, row, judged.get(row["rule_id"], _NOT_JUDGED))
        for row in store.read("rule_coverage").to_pylist()
    }


def versions_of(lines: Iterable[RuleLine], line: RuleLine) -> tuple[RuleLine, ...]:
    """Return all versions of a rule in the order they were written, itself among them."""
    by_id = {one.rule.rule_id: one for one in lines}
    first = line
    seen = {line.rule.rule_id}
    while (before := by_id.get(first.version_of or "")) is not None and before.rule.rule_id not in seen:
        seen.add(before.rule.rule_id)
        first = before
    found = {first.rule.rule_id: first}
    later = [one for one in by_id.values() if one.version_of is not None]
    grown = True
    while grown:
        grown = False
        for one in later:
            if one.version_of in found and one.rule.rule_id not in found:
                found[one.rule.rule_id] = one
                grown = True
    return tuple(sorted(found.values(), key=lambda one: (one is not first, one.created_at, one.rule.rule_id)))


def _decide(person: Pin, store: Store, kind: str, content_ids: Sequence[str], decision: str, reason: str | None) -> int:
    require(person, Act.APPROVE)
    reason = (reason or "").strip() or None
    if decision == "reject" and reason is None:
        raise UserError(f"a rejected {kind} needs a reason: say in a few words why")
    act = Decision(kind, decision, person.account, reason)
    changed = undecided(store.frame(f"{kind}_standing"), content_ids, act)
    return decide(store, changed, act) if changed else 0


def _line(row: Mapping[str, Any], statistics: RuleStatistics | None) -> RuleLine:
    return RuleLine(
        Rule(row["rule_id"], row["text"], row["condition"], row["grade"]),
        row["status"],
        row["origin"],
        row["parent_id"],
        row["created_at"],
        row["made_by"],
        row["account"],
        row["decided_at"],
        row["reason"],
        statistics,
    )


def _statistics(n_pairs: int, votes: Mapping[str, int], judged: Mapping[str, int]) -> RuleStatistics:
    n_judged, n_right = judged["n_judged"], judged["n_right"]
    return RuleStatistics(
        n_pairs=n_pairs,
        n_votes=votes["n_votes"],
        coverage_rate=votes["n_votes"] / n_pairs if n_pairs else None,
        overlap_rate=votes["n_overlaps"] / n_pairs if n_pairs else None,
        conflict_rate=votes["n_conflicts"] / n_pairs if n_pairs else None,
        n_judged=n_judged,
        accuracy=n_right / n_judged if n_judged else None,
        accuracy_interval=wilson(n_right, n_judged),
    )


def _rank(line: RuleLine, order: Order) -> tuple[float, ...]:
    counted = line.statistics
    if order is Order.NEWEST:
        return (-line.created_at.timestamp(),)
    if order is Order.COVERAGE:
        return (-(counted.coverage_rate or 0.0) if counted else 0.0,)
    if order is Order.CONFLICT:
        return (-(counted.conflict_rate or 0.0) if counted else 0.0,)
    return (line.highest_accuracy, -(counted.n_judged if counted else 0))
