"""The rule book: rules mined from train judgments and voted over every pair.

Votes read features only, so they may be cast on dev and test pairs; grades are read of train pairs alone. Every rule
proposed is kept with its counts, also one left out because a simpler one says as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.features import FEATURE_SCHEMA
from curation.rule_votes import append_votes, vote_rows
from curation.rules import Rule, make_rule
from evolution.rules.counts import RuleCount, count_rules
from evolution.rules.mining import Mined, MinedRule, mine_rules
from evolution.rules.proposals import JUDGMENTS, RuleProposal, proposal_tables
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.runs import finished_run, start_run
from storage.store import Store

PROPOSER = "lexical"  # whoever mines without a model
NOTHING_MINED = Mined()


@dataclass(frozen=True, slots=True)
class BookEntry:
    """A mined rule under its id, with its coverage over all pairs and its count on judged ones."""

    rule: Rule
    mined: MinedRule
    parent_id: str | None
    n_votes: int
    n_pairs: int
    count: RuleCount

    @property
    def coverage_rate(self) -> float | None:
        return self.n_votes / self.n_pairs if self.n_pairs else None


@dataclass(frozen=True, slots=True)
class MineReport:
    """What mining did. `finished_before` names the run that had done it on the same judgments."""

    entries: tuple[BookEntry, ...]
    n_judged: int
    n_new_rules: int = 0
    n_new_votes: int = 0
    finished_before: str | None = None
    mined: Mined = NOTHING_MINED


def mine_book(
    store: Store,
    *,
    scale: Scale,
    max_rules: int,
    account: str | None,
    judgments: str = "all",
    is_dry: bool = False,
) -> MineReport:
    """Mine rules from train judgments, append them, their votes and what was left out.

    `judgments` narrows them to an origin: import, consensus or adjudicated. UserError when nothing is judged, or all of
    it with one grade.
    """
    judged = read_judged(store, judgments)
    config = {"max_rules": max_rules, "judgments": judgments, "n_judged": len(judged)}
    input_digest = digest([judged.select("pair_id", "grade").rows(), sorted(FEATURE_SCHEMA), max_rules])
    if before := finished_run(store, "mine", input_digest):
        return MineReport((), len(judged), finished_before=before)
    mined = mine_rules(
        judged.select(list(FEATURE_SCHEMA)),
        judged["grade"].to_list(),
        scale=scale,
        max_rules=max_rules,
        queries=judged["root_query_id"].to_list(),
    )
    features = store.frame("all_features")
    rules, parents = _named(mined.rules)
    counts = count_rules(rules, judged)
    book = {rule.rule_id: rule for rule in [*all_rules(store), *rules]}
    votes = list(vote_rows(list(book.values()), features))
    n_votes = _count_votes(votes)
    entries = tuple(
        BookEntry(rule, found, parents.get(rule.rule_id), n_votes.get(rule.rule_id, 0), len(features), count)
        for rule, found, count in zip(rules, mined.rules, counts, strict=True)
    )
    if is_dry:
        return MineReport(entries, len(judged), mined=mined)
    with start_run(store, verb="mine", config=config, input_digest=input_digest, account=account) as run:
        proposals = [*map(_kept, entries), *_left_out(mined, rules, judged)]
        written = store.append(proposal_tables(proposals, run_id=run.run_id, at=now()))
        n_new_votes = append_votes(store, votes, run.run_id)
        run.counts.update(
            rules=len(entries),
            new_rules=written.get("rules", 0),
            new_votes=n_new_votes,
            confirmed=sum(one.mined.is_confirmed for one in entries),
            say_no_more=len(mined.told),
            held_out=mined.n_held_out,
            held_out_right=mined.n_held_out_right,
        )
    return MineReport(entries, len(judged), written.get("rules", 0), n_new_votes, mined=mined)


def read_judged(store: Store, judgments: str) -> pl.DataFrame:
    """Return judged train pairs with their features; UserError when there is nothing to learn from them."""
    judged = store.frame("train_features", judgments=judgments)
    if judged.is_empty():
        raise UserError(
            "no judged train pairs with features, so there is nothing to mine from. "
            "Bring judgments: afrel ingest FILE --map query=…,title=…,grade=…"
        )
    grades = judged["grade"].unique().to_list()
    if len(grades) == 1:
        raise UserError(
            f"all {len(judged)} judged train pairs have grade {grades[0]}, so no rule can tell it from another. "
            "Bring judgments of other grades: afrel ingest FILE --map query=…,title=…,grade=…"
        )
    return judged


def all_rules(store: Store) -> list[Rule]:
    """Return every rule, by id; their conditions were checked when they were made and are again when they vote."""
    return [_as_rule(row) for row in _held(store)]


def approved_rules(store: Store) -> list[Rule]:
    """Return the approved rules, by id."""
    return [_as_rule(row) for row in _held(store) if row["status"] == "approved"]


def book_digest(rules: Sequence[Rule]) -> str:
    """Return the digest of a set of rules, whatever their order."""
    return digest(sorted([rule.rule_id, rule.grade] for rule in rules))


def _named(mined: Sequence[MinedRule]) -> tuple[list[Rule], dict[str, str]]:
    """Return the rules under their ids, in order, and the parent id of each exception."""
    rules = [make_rule(found.text, found.condition, found.grade) for found in mined]
    by_condition = {rule.condition: rule.rule_id for rule in reversed(rules)}
    parents = {
        rule.rule_id: by_condition[found.exception_to]
        for rule, found in zip(rules, mined, strict=True)
        if found.exception_to in by_condition
    }
    return rules, parents


def _kept(entry: BookEntry) -> RuleProposal:
    return RuleProposal(
        source=JUDGMENTS,
        proposer=PROPOSER,
        said=(entry.rule.text, entry.rule.condition, entry.rule.grade),
        rule=entry.rule,
        is_kept=True,
        reason=entry.mined.standing,
        parent_id=entry.parent_id,
        count=entry.count,
        held_out=entry.mined.held_out,
        example_ids=entry.count.examples,
        counter_ids=entry.count.counter_examples,
    )


def _left_out(mined: Mined, kept: Sequence[Rule], judged: pl.DataFrame) -> list[RuleProposal]:
    """Return the rules that say no more than a kept one, as proposals turned away."""
    ids = {(rule.condition, rule.grade): rule.rule_id for rule in kept}
    rules = [make_rule(one.rule.text, one.rule.condition, one.rule.grade) for one in mined.told]
    return [
        RuleProposal(
            source=JUDGMENTS,
            proposer=PROPOSER,
            said=(rule.text, rule.condition, rule.grade),
            rule=rule,
            is_kept=False,
            reason=f"says no more than {ids[one.by_condition, rule.grade]}",
            count=count,
            example_ids=count.examples,
            counter_ids=count.counter_examples,
        )
        for one, rule, count in zip(mined.told, rules, count_rules(rules, judged, others=kept), strict=True)
    ]


def _as_rule(row: Mapping[str, Any]) -> Rule:
    return Rule(row["rule_id"], row["text"], row["condition"], row["grade"])


def _held(store: Store) -> list[dict[str, Any]]:
    return list(store.read("rule_book").to_pylist())


def _count_votes(votes: Sequence[pl.DataFrame]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for batch in votes:
        for rule_id, n in batch["rule_id"].value_counts().iter_rows():
            counts[rule_id] = counts.get(rule_id, 0) + n
    return counts
