"""Votes of rules as rows: what each rule says of each pair, and how they come into the store.

A vote's id is made of its rule and its pair, so casting the votes of a rule twice adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from curation.features import FEATURE_SCHEMA
from curation.rules import ABSTAIN, Rule, vote_matrix
from storage.clock import now
from storage.ids import content_id
from storage.progress import Stage, Watch, unwatched
from storage.store import Store

PAIRS_PER_BATCH = 4000
PAIRS_AT_ONCE = 40_000  # read of the store, when a rule votes on all pairs


def vote_rows(rules: Sequence[Rule], features: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the votes of rules on pairs, a batch of pairs at a time: rule_vote_id, rule_id, pair_id, grade."""
    ids = [rule.rule_id for rule in rules]
    for start in range(0, len(features), PAIRS_PER_BATCH):
        batch = features.slice(start, PAIRS_PER_BATCH)
        votes = vote_matrix(rules, batch.select(list(FEATURE_SCHEMA)))
        pair_ids = batch["pair_id"].to_list()
        rows, columns = (votes != ABSTAIN).nonzero()
        yield pl.DataFrame(
            [
                (content_id("v", ids[c], pair_ids[r]), ids[c], pair_ids[r], int(votes[r, c]))
                for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
            ],
            schema={"rule_vote_id": pl.String, "rule_id": pl.String, "pair_id": pl.String, "grade": pl.Int32},
            orient="row",
        )


def stamped_votes(votes: pl.DataFrame, run_id: str) -> pl.DataFrame:
    """Return votes as rows of the store, cast by a run now."""
    return votes.with_columns(run_id=pl.lit(run_id), created_at=pl.lit(now()))


def append_votes(store: Store, votes: Sequence[pl.DataFrame], run_id: str) -> int:
    """Append the votes the store does not hold; return how many."""
    held = store.frame("rule_vote_ids")
    n_new = 0
    for batch in votes:
        new = batch.join(held, on="rule_vote_id", how="anti")
        if len(new):
            n_new += store.append({"rule_votes": stamped_votes(new, run_id)}).get("rule_votes", 0)
    return n_new


def cast_votes(store: Store, rule: Rule, run_id: str, watch: Watch = unwatched) -> int:
    """Cast one rule's votes on all pairs, a piece at a time; return how many the store did not hold."""
    end = int(store.read("features_end").column("place")[0].as_py())
    n_new = 0
    for first in range(0, end, PAIRS_AT_ONCE):
        watch(Stage.WRITING, first, end)
        features = store.frame("features_from", first=first, last=first + PAIRS_AT_ONCE)
        votes = [batch for batch in vote_rows([rule], features) if len(batch)]
        if votes:
            n_new += store.append({"rule_votes": stamped_votes(pl.concat(votes), run_id)}).get("rule_votes", 0)
    watch(Stage.WRITING, end, end)
    return n_new
