"""What a proposed rule must show on all train judgments before it is kept, whoever proposed it.

The rule is counted on every judged train pair and apart on those of queries nobody was shown (a fixed quarter); each
reason to turn it away is words that stand in the table. What is rare stays in sight: three cases, all right, are enough
to be kept, though not to be confirmed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.intervals import wilson
from curation.rules import ABSTAIN, Rule
from evolution.rules.counts import RuleCount, count_rules, judged_votes
from evolution.rules.folds import FALSE_DISCOVERY_RATE, MIN_RATE, HeldOut, benjamini_hochberg, binomial_tail
from evolution.rules.search import effective_count
from storage.ids import digest

MIN_ACCURACY = 0.6
MIN_VOTES = 3
HELD_OUT_PARTS = 4  # one query in so many is held out
SAME_PAIRS_RATE = 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a rule: `reason` is why it was turned away, or what held-out queries say of a kept one."""

    is_kept: bool
    reason: str
    count: RuleCount
    held_out: HeldOut


def held_out_queries(root_query_ids: Iterable[str]) -> frozenset[str]:
    """Return the queries that are kept from every proposer: a quarter of them, by the digests of their roots."""
    drawn = sorted(set(root_query_ids), key=lambda root: digest(["held out", root]))
    return frozenset(drawn[: len(drawn) // HELD_OUT_PARTS])


class Gate:
    """Counts rules on judged train pairs (rows of `train_features`), held against the rules in play.

    `held_out` are the queries that nobody who proposes was shown.
    """

    def __init__(self, judged: pl.DataFrame, in_play: Sequence[Rule], *, held_out: Collection[str]) -> None:
        self._judged, self._in_play = judged, list(in_play)
        self._grades = judged["grade"].to_numpy()
        self._groups = np.unique(judged["root_query_id"].to_numpy(), return_inverse=True)[1]
        self._is_held_out = np.array([root in held_out for root in judged["root_query_id"]], np.bool_)
        self._votes = judged_votes(self._in_play, judged)

    def votes_of(self, rule: Rule) -> NDArray[np.bool_]:
        """Return which judged pairs a rule in play votes on."""
        return np.asarray(self._votes[:, self._in_play.index(rule)] != ABSTAIN)

    def judge(self, rules: Sequence[Rule], within: Sequence[Rule | None]) -> list[Verdict]:
        """Return a verdict on each rule, in order.

        `within` names for each the rule in play it sharpens: its chance of being right is then counted among that
        rule's pairs. What held-out queries say is tested for all the kept ones together.
        """
        counts = count_rules(rules, self._judged, others=self._in_play)
        votes = judged_votes(rules, self._judged) if rules else np.empty((len(self._judged), 0), np.int16)
        verdicts, chances = [], []
        for column, (rule, count, outer) in enumerate(zip(rules, counts, within, strict=True)):
            said = np.asarray(votes[:, column] != ABSTAIN)
            among = np.ones_like(said) if outer is None else self.votes_of(outer)
            base = float((self._grades[among] == rule.grade).mean()) if among.any() else 0.0
            held = said & self._is_held_out
            n_right = int((self._grades[held] == rule.grade).sum())
            held_out = HeldOut(1, int(held.sum()), n_right, is_confirmed=False)
            reason = self._fault(rule, said, count, held_out, base)
            verdicts.append(Verdict(reason is None, reason or "", count, held_out))
            n_effective = effective_count(self._groups[held])
            right = n_effective * n_right / held_out.n_votes if held_out.n_votes else 0.0
            chances.append(binomial_tail(right, n_effective, max(MIN_RATE, base)))
        return _confirmed(verdicts, chances)

    def _fault(
        self, rule: Rule, said: NDArray[np.bool_], count: RuleCount, held_out: HeldOut, base: float
    ) -> str | None:
        """Return why a rule is turned away, None when it is kept."""
        accuracy, interval = count.accuracy, count.interval
        held = wilson(held_out.n_right, held_out.n_votes)
        if accuracy is None or interval is None or count.n_votes < MIN_VOTES:
            return f"covers {count.n_votes} judged train pairs; {MIN_VOTES} are needed"
        told = f"right on {count.n_right} of {count.n_votes}"
        faults = {
            "holds in one query only, so it is that query's memory": np.unique(self._groups[said]).size < 2,
            f"{told} judged train pairs, under {MIN_ACCURACY:.0%}": accuracy < MIN_ACCURACY,
            f"{told}, which is not surely more than the {base:.0%} its grade has there anyway": interval.low <= base,
            f"fails on held-out queries: right on {held_out.n_right} of {held_out.n_votes}": (
                held is not None and held.high < MIN_ACCURACY
            ),
        }
        if fault := next((words for words, is_so in faults.items() if is_so), None):
            return fault
        for other, column in zip(self._in_play, self._votes.T, strict=True):
            covered = column != ABSTAIN
            is_same = other.grade == rule.grade and (said & covered).sum() >= SAME_PAIRS_RATE * said.sum()
            if is_same and interval.low <= float((self._grades[covered] == other.grade).mean()):
                return f"says no more than {other.rule_id}"
        return None


def _confirmed(verdicts: Sequence[Verdict], chances: Sequence[float]) -> list[Verdict]:
    """Test what held-out queries say of the kept rules together, and put it into words."""
    kept = [at for at, verdict in enumerate(verdicts) if verdict.is_kept]
    discovered = benjamini_hochberg([chances[at] for at in kept], FALSE_DISCOVERY_RATE)
    told = list(verdicts)
    for at, is_confirmed in zip(kept, discovered, strict=True):
        held = replace(verdicts[at].held_out, is_confirmed=is_confirmed)
        standing = "confirmed" if is_confirmed else "not confirmed"
        reason = f"{standing}: right on {held.n_right} of {held.n_votes} held-out pairs"
        told[at] = replace(verdicts[at], held_out=held, reason=reason)
    return told
