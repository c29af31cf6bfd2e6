"""Screens that hold a candidate against others: its pair the same, nearly the same or nearly held back, its rationale.

What came first stays: pairs whose candidate passed before or which are settled, then the candidates at hand in the
order they were made. A duplicate is like another pair of its split in query *and* doc and proposes the same grade: one
of the two alone is how a ranker learns, and between splits the leak guard sets the train side aside and keeps the
other. A pair is no duplicate of the pair it was made of on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from curation.screening_context import Finding, ScreeningContext, failures

_Place = dict[str, list["_Holder"]]


@dataclass(frozen=True, slots=True)
class _Holder:
    """A pair that holds its place, under the id that says why: a candidate, or the pair itself where it is settled.

    `rank` is lower for pairs that came to hold a place before.
    """

    standing_id: str
    pair_id: str
    rank: int


@dataclass(frozen=True, slots=True)
class _Match:
    holder: _Holder
    query_score: float
    doc_score: float

    @property
    def score(self) -> float:
        """How alike two pairs are: as much as the less alike of their parts."""
        return min(self.query_score, self.doc_score)


def screen_exact_duplicate(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Query and doc of the same words as those of another pair that stands, with the same grade."""
    return failures("exact_duplicate", (one for one in _duplicates(candidates, context) if one.score == 1))


def screen_near_duplicate(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Query and doc both nearly those of another pair that stands, with the same grade."""
    return failures("near_duplicate", (one for one in _duplicates(candidates, context) if one.score != 1))


def screen_leak(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """A train pair whose query is nearly one of dev or test."""
    groups = context.likeness.queries
    held_back: dict[str, str] = {}
    for query_id in context.held_back:
        held_back.setdefault(groups.group(query_id), query_id)
    found = []
    for row in candidates.filter(pl.col("split") == "train").iter_rows(named=True):
        near = {group: score for group, score in groups.like(row["query_id"]).items() if group in held_back}
        near = {group: score for group, score in near.items() if score >= context.config.leak}
        if near:
            group = min(near, key=lambda group: (-near[group], group))
            query_id, score = held_back[group], near[group]
            # the id only: the text of another query would outlive its erasing here
            reason = (
                f"its query is {'' if score == 1 else 'nearly '}the dev or test query {query_id}, {score:.2f} alike"
            )
            found.append(Finding(row["candidate_id"], reason, score, query_id))
    return failures("leak", found)


def flag_near_rationale(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """A rationale that is nearly that of another pair, made before."""
    groups = context.likeness.rationales
    known = [] if context.standing is None else context.standing.select("standing_id", "pair_id").iter_rows()
    here = candidates.select("candidate_id", "pair_id").iter_rows()
    # what came first of the same id says since when: a pair that is settled, too, has an id of its own
    pair_of = dict((*known, *here))
    since = {standing_id: rank for rank, standing_id in enumerate(pair_of)}
    found = []
    for candidate_id, pair_id in candidates.select("candidate_id", "pair_id").iter_rows():
        near = {
            other: score
            for other, score in groups.like(candidate_id).items()
            if score >= context.config.near_duplicate
            and other != candidate_id
            and pair_of.get(other, pair_id) != pair_id
            and since[other] < since[candidate_id]
        }
        if near:
            other = min(near, key=lambda one: (-near[one], since[one]))
            reason = f"{near[other]:.2f} alike with that of {other}, of pair {pair_of[other]}"
            found.append(Finding(candidate_id, reason, near[other], other))
    return failures("near_rationale", found)


def count_shared_docs(candidates: pl.DataFrame, context: ScreeningContext, held_back_docs: frozenset[str]) -> int:
    """Return how many train candidates have a doc, or nearly one, that dev or test pairs have too: told, no leak."""
    docs = context.likeness.docs
    groups = {docs.group(doc_id) for doc_id in held_back_docs}
    train = candidates.filter(pl.col("split") == "train")
    return sum(any(group in groups for group in docs.like(doc_id)) for doc_id in train["doc_id"].to_list())


def _duplicates(candidates: pl.DataFrame, context: ScreeningContext) -> Iterator[Finding]:
    docs = context.likeness.docs
    asked = {group for doc_id in candidates["doc_id"].unique().to_list() for group in docs.like(doc_id)}
    places = _Places(context)
    # the first row of a pair says since when it holds a place
    since: dict[str, int] = {}
    n_standing = 0
    if context.standing is not None:
        columns = ("pair_id", "standing_id", "split", "query_id", "doc_id", "grade")
        own = set(candidates["pair_id"].to_list())
        for rank, (pair_id, standing_id, *texts) in enumerate(context.standing.select(columns).iter_rows()):
            if pair_id in own:
                since.setdefault(pair_id, rank)
            if docs.group(texts[2]) in asked:
                places.settle(_Holder(standing_id, pair_id, rank), *texts)
        n_standing = len(context.standing)
    columns = ("pair_id", "candidate_id", "split", "query_id", "doc_id", "grade")
    for n, (pair_id, candidate_id, *texts) in enumerate(candidates.select(columns).iter_rows()):
        # a pair that holds a place itself yields to those before it only: else of two each would yield to the other
        me = _Holder(candidate_id, pair_id, since.setdefault(pair_id, n_standing + n))
        match = places.closest(me, *texts)
        if match is None:
            places.settle(me, *texts)
        else:
            yield Finding(candidate_id, _reason(match, context), match.score, match.holder.standing_id)


class _Places:
    """Who holds which place: for a split, doc group, grade and query group two holders of different pairs at most."""

    def __init__(self, context: ScreeningContext) -> None:
        self._queries, self._docs = context.likeness.queries, context.likeness.docs
        self._least, self._kin = context.config.near_duplicate, context.kin
        self._holders: dict[tuple[str, str, int], _Place] = defaultdict(dict)

    def settle(self, holder: _Holder, split: str, query_id: str, doc_id: str, grade: int) -> None:
        place = self._holders[split, self._docs.group(doc_id), grade]
        holders = place.setdefault(self._queries.group(query_id), [])
        if len(holders) < 2 and all(one.pair_id != holder.pair_id for one in holders):
            holders.append(holder)

    def closest(self, me: _Holder, split: str, query_id: str, doc_id: str, grade: int) -> _Match | None:
        """Return the most similar holder before me, of equals the first; None when none is similar enough."""
        near = self._queries.like(query_id)
        matches = [
            _Match(holder, near[query_group], doc_score)
            for doc_group, doc_score in self._docs.like(doc_id).items()
            if doc_score >= self._least
            for query_group, holders in _shared(self._holders.get((split, doc_group, grade)), near)
            if near[query_group] >= self._least
            for holder in holders
            if holder.rank < me.rank and holder.pair_id != me.pair_id and (holder.pair_id, me.pair_id) not in self._kin
        ]
        return max(matches, key=lambda match: (match.score, -match.holder.rank), default=None)


def _shared(place: _Place | None, near: Mapping[str, float]) -> Iterator[tuple[str, list[_Holder]]]:
    """Yield the groups of a place that are also near, going through the smaller of the two."""
    if place is None:
        return
    for group in near if len(near) < len(place) else place:
        if group in near and group in place:
            yield group, place[group]


def _reason(match: _Match, context: ScreeningContext) -> str:
    holder = match.holder
    is_settled = holder.standing_id == holder.pair_id
    other = (
        f"pair {holder.pair_id}, which is settled" if is_settled else f"{holder.standing_id} of pair {holder.pair_id}"
    )
    snapshot_id = context.snapshots.get(holder.pair_id)
    told = f"query {match.query_score:.2f} and doc {match.doc_score:.2f} alike, same grade as {other}"
    return f"{told} and in {snapshot_id}" if snapshot_id else told
