"""How far people agree with each other: over all pairs with two answers, in the blind audit, and rule by rule.

Pairs that get a second answer are mostly those somebody doubted, so agreement over all of them is lower than over all
pairs. The blind audit draws pairs by chance: its agreement is that of the work as a whole, and is counted of each
person's first answer, given before the machine's suggestion was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from curation.agreement import Agreement, alpha_of_patterns
from curation.intervals import Interval, wilson
from storage.grades import Scale
from storage.session import read_scale
from storage.store import Store

MOST_RULES = 40
WITHOUT_GRADE = -1

Patterns = Mapping[tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Agreement over pairs with two or more answers: alpha of their grades, and the share that is not of one mind.

    An answer without a grade is of another mind than any.
    """

    alpha: Agreement
    n_pairs: int
    n_disputed: int

    @property
    def disputed_rate(self) -> float | None:
        return self.n_disputed / self.n_pairs if self.n_pairs else None

    @property
    def disputed_interval(self) -> Interval | None:
        return wilson(self.n_disputed, self.n_pairs)


@dataclass(frozen=True, slots=True)
class RuleAgreed:
    """Agreement on the pairs an approved rule votes on."""

    rule_id: str
    text: str
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class AnswerAgreement:
    """All of it; `rules` are those people agree on least surely, at most `MOST_RULES` of `n_rules`."""

    overall: Agreed
    audit: Agreed
    rules: tuple[RuleAgreed, ...]
    n_rules: int


def count_agreement(store: Store) -> AnswerAgreement:
    """Count how far people agree; the store must see test rows."""
    scale = read_scale(store)
    by_rule: dict[str, Counter[tuple[int, ...]]] = {}
    for row in store.read("answer_patterns_by_rule").to_pylist():
        by_rule.setdefault(row["rule_id"], Counter())[tuple(row["grades"])] += row["n"]
    least = sorted(by_rule, key=lambda rule_id: (-_surely_disputed(by_rule[rule_id]), rule_id))[:MOST_RULES]
    texts = {row["rule_id"]: row["text"] for row in store.read("rule_texts", rule_ids=least).to_pylist()}
    return AnswerAgreement(
        _agreed(_patterns(store.read("answer_patterns").to_pylist()), scale),
        _agreed(_patterns(store.read("audit_patterns").to_pylist()), scale),
        tuple(RuleAgreed(rule_id, texts[rule_id], _agreed(by_rule[rule_id], scale)) for rule_id in least),
        len(by_rule),
    )


def _patterns(rows: Iterable[Mapping[str, Any]]) -> Counter[tuple[int, ...]]:
    counted: Counter[tuple[int, ...]] = Counter()
    for row in rows:
        counted[tuple(row["grades"])] += row["n"]
    return counted


def _agreed(patterns: Patterns, scale: Scale) -> Agreed:
    graded: Counter[tuple[int, ...]] = Counter()
    for grades, n in patterns.items():
        graded[tuple(grade for grade in grades if grade != WITHOUT_GRADE)] += n
    return Agreed(alpha_of_patterns(graded, scale=scale), sum(patterns.values()), _n_disputed(patterns))


def _n_disputed(patterns: Patterns) -> int:
    return sum(n for grades, n in patterns.items() if len(set(grades)) > 1 or WITHOUT_GRADE in grades)


def _surely_disputed(patterns: Patterns) -> float:
    """Return the share of pairs that are disputed at least, so that one of one does not come before thirty of sixty."""
    interval = wilson(_n_disputed(patterns), sum(patterns.values()))
    return interval.low if interval else 0.0
