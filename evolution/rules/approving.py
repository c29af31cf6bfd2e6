"""Which proposed rules may be approved together: what train judgments say, and of rare ones what dev judgments say.

A rule is mined because it is right on train, so that it is right there proves little of one that votes on a handful of
pairs: among the thousands that are tried there are lucky ones. A rare rule (under a hundredth of the train judgments,
or one that overrides a head) therefore needs dev judgments, which it was not mined from, and must be right there more
often than what holds without it: the head it overrides, else the share its grade has anyway. The rest stay proposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curation.intervals import wilson
from storage.store import Store

RARE_RATE = 0.01  # of the judged train pairs


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a proposed rule is worth on judged train pairs and on dev ones.

    `n_without` are the dev pairs it votes on where the head it overrides is right; for a rule without a head,
    `base_rate` is the share of dev judgments with its grade.
    """

    rule_id: str
    status: str
    is_exception: bool
    n_train: int
    n_judged: int
    n_right: int
    n_dev: int
    n_dev_right: int
    n_without: int
    base_rate: float | None

    @property
    def is_rare(self) -> bool:
        """Whether it votes on too few train pairs to be believed for them alone."""
        return self.is_exception or self.n_judged < RARE_RATE * self.n_train

    @property
    def rate_without(self) -> float | None:
        """How often what holds without it is right where it votes, on dev; None where nothing was judged."""
        if self.is_exception:
            return self.n_without / self.n_dev if self.n_dev else None
        return self.base_rate

    @property
    def is_borne_out(self) -> bool:
        """Whether dev judgments say, with 95% confidence, that it is right more often than what holds without it."""
        interval, without = wilson(self.n_dev_right, self.n_dev), self.rate_without
        return interval is not None and without is not None and interval.low > without

    def is_right(self, *, min_accuracy: float, min_votes: int) -> bool:
        """Whether it was right often enough on enough judged train pairs."""
        return self.n_judged >= max(1, min_votes) and self.n_right >= min_accuracy * self.n_judged


@dataclass(frozen=True, slots=True)
class Choice:
    """The proposed rules to approve together, and what stays: right too seldom, or rare and not borne out."""

    rule_ids: tuple[str, ...]
    n_below: int
    n_unproved: int


def read_evidence(store: Store, *, judgments: str = "all") -> list[Evidence]:
    """Return what every rule is worth, by id, on all judgments or those of an origin."""
    return [_evidence(row) for row in store.read("rule_evidence", judgments=judgments).to_pylist()]


def choose(found: list[Evidence], *, min_accuracy: float, min_votes: int) -> Choice:
    """Return which proposed rules may be approved together."""
    proposed = [one for one in found if one.status == "proposed"]
    right = [one for one in proposed if one.is_right(min_accuracy=min_accuracy, min_votes=min_votes)]
    chosen = tuple(one.rule_id for one in right if one.is_borne_out or not one.is_rare)
    return Choice(chosen, len(proposed) - len(right), len(right) - len(chosen))


def _evidence(row: Mapping[str, Any]) -> Evidence:
    return Evidence(**{name: row[name] for name in Evidence.__dataclass_fields__})
