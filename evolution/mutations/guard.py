"""The collapse guard: a set of mutations must not become one operator's, one query's or one rewriting over and over.

Three bounds, looked at before each draw, once there is enough to judge by. An operator that repeats itself is stopped
for the run; one that takes more than its share waits until others have caught up; a query that gave its share gives no
more. What was held back is counted, and the reason told.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from curation.shingles import shingle

MAX_PER_QUERY = 4
MAX_OPERATOR_RATE = 0.4  # of all mutations, where three operators or more are asked for
MAX_NEAR_DUPLICATE_RATE = 0.5  # of an operator's own
MIN_DRAWN = 20  # an operator's mutations, before a rate of them means something
NEAR = 0.8  # Jaccard overlap, as the screens count it, from which a rewriting is nearly an earlier one
MAX_COMPARED = 200  # latest rewritings of an operator that share a token with a new one
MAX_CHARACTERS = 2000  # of a rewritten doc


@dataclass(frozen=True, slots=True)
class OperatorTally:
    """What one operator did. `stopped` says why it was held back, None where it never was."""

    name: str
    n_drawn: int
    n_near_duplicates: int
    n_held_back: int
    stopped: str | None

    @property
    def near_duplicate_rate(self) -> float | None:
        return self.n_near_duplicates / self.n_drawn if self.n_drawn else None


@dataclass(frozen=True, slots=True)
class Diversity:
    """How mixed a set of mutations is.

    `entropy` is that of the operators' shares over its greatest (1: all alike, 0: one only); None before two were
    drawn or where one operator was asked for. `largest_query_rate` is the share of the commonest source query.
    """

    operators: tuple[OperatorTally, ...]
    entropy: float | None
    largest_query_rate: float | None


@dataclass(slots=True)
class CollapseGuard:
    """Counts what is drawn and says what may be drawn next. `per_query` counts mutations of earlier runs too."""

    operators: Sequence[str]
    per_query: Counter[str] = field(default_factory=Counter)
    _drawn: Counter[str] = field(default_factory=Counter)
    _near: Counter[str] = field(default_factory=Counter)
    _held_back: Counter[str] = field(default_factory=Counter)
    _reasons: dict[str, str] = field(default_factory=dict)
    _seen: defaultdict[str, _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _of_query: Counter[str] = field(default_factory=Counter)

    def next_operators(self, query_id: str, *, n_waiting: int = 0) -> list[str]:
        """Return the operators that may be tried on a query, the least used first; none where it gave its share.

        `n_waiting` mutations of the query have been asked for since, of which some may have been taken.
        """
        if max(self.per_query[query_id], n_waiting) >= MAX_PER_QUERY:
            return []
        allowed = []
        for name in sorted(self.operators, key=lambda n: (self._drawn[n], n)):
            if why := self._bound(name):
                self._held_back[name] += 1
                self._reasons[name] = why
            else:
                allowed.append(name)
        return allowed

    def take(self, name: str, query_id: str, rewritten: str) -> None:
        """Count a mutation; `rewritten` is the side it rewrote."""
        self._near[name] += self._seen[name].is_near(rewritten)
        self._drawn[name] += 1
        self.per_query[query_id] += 1
        self._of_query[query_id] += 1

    def report(self) -> Diversity:
        """Return what was drawn and held back."""
        n_all = self._drawn.total()
        tallies = tuple(
            OperatorTally(name, self._drawn[name], self._near[name], self._held_back[name], self._reasons.get(name))
            for name in sorted(self.operators)
        )
        entropy = None
        if n_all > 1 and len(self.operators) > 1:
            shares = [n / n_all for n in self._drawn.values() if n]
            entropy = -sum(share * math.log(share) for share in shares) / math.log(len(self.operators))
        largest = max(self._of_query.values(), default=0)
        return Diversity(tallies, entropy, largest / n_all if n_all else None)

    def _bound(self, name: str) -> str | None:
        n_drawn, n_all = self._drawn[name], self._drawn.total()
        if n_drawn < MIN_DRAWN:
            return None
        if self._near[name] > MAX_NEAR_DUPLICATE_RATE * n_drawn:
            return (
                f"stopped: {self._near[name]} of its {n_drawn} rewritings are nearly one of its own "
                f"(more than {MAX_NEAR_DUPLICATE_RATE:.0%})"
            )
        if len(self.operators) > 2 and n_drawn > MAX_OPERATOR_RATE * n_all:
            return f"throttled: it gave {n_drawn} of {n_all} mutations (more than {MAX_OPERATOR_RATE:.0%})"
        return None


class _Seen:
    """The rewritings of one operator as token sets; a new one is held against those it shares its tokens with."""

    def __init__(self) -> None:
        self._sets: list[frozenset[int]] = []
        self._by_token: defaultdict[int, list[int]] = defaultdict(list)

    def is_near(self, text: str) -> bool:
        """Say whether a rewriting is nearly an earlier one, and remember it. A text without words has no equals."""
        tokens = frozenset(shingle([text[:MAX_CHARACTERS]]).tokens.tolist())
        shared: Counter[int] = Counter()
        for token in tokens:
            shared.update(self._by_token[token][-MAX_COMPARED:])
        is_near = any(n >= NEAR * len(tokens | self._sets[at]) for at, n in shared.items())
        for token in tokens:
            self._by_token[token].append(len(self._sets))
        self._sets.append(tokens)
        return is_near
