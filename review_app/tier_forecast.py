"""How many rows each tier has, and how many more what waits for review will give.

The model is simple and the page states it: what waits settles as what people settled before. Pairs that something asked
more than one answer for are taken by themselves, as they go to other tiers. Counts are of train and dev rows: which
tier a test row meets tells of its grade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curation.intervals import Interval, wilson
from curation.tier_reading import read_tier_facts
from curation.tiers import Tier, assign
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Settled:
    """What people settled of one kind of pair: how many, and how many of them each tier got as train or dev rows."""

    n_pairs: int
    n_of_tier: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class TierStand:
    """The tiers, the train and dev rows each has now, and what people settled, by `is_asked_again`."""

    tiers: tuple[Tier, ...]
    n_now: Mapping[int, int]
    settled: Mapping[bool, Settled]


@dataclass(frozen=True, slots=True)
class TierForecast:
    """A tier: its rows now, and how many more all that waits will give; None where people settled nothing yet."""

    tier: int
    name: str
    n_now: int
    n_more: float | None
    interval: Interval | None


def count_tiers_now(store: Store, tiers: Sequence[Tier]) -> TierStand:
    """Count the rows of each tier, and where what people settled has gone."""
    rows = assign(read_tier_facts(store).frame, tiers).select("pair_id", "split", "origin", "tier")
    asked = store.frame("settled_by_asking")
    rows = rows.join(asked, on="pair_id", how="left").with_columns(pl.col("is_asked_again").fill_null(False))
    counted = rows.filter(pl.col("tier").is_not_null() & pl.col("split").is_in(["train", "dev"]))
    by_people = pl.col("origin").is_in(["consensus", "adjudicated"])
    settled = {}
    for again in (False, True):
        of_kind = pl.col("is_asked_again") == again
        n_of_tier = _by_tier(counted.filter(by_people & of_kind))
        settled[again] = Settled(rows.filter(by_people & of_kind).height, n_of_tier)
    return TierStand(tuple(tiers), _by_tier(counted), settled)


def forecast(stand: TierStand, *, waiting: Mapping[bool, int], discarded: Mapping[bool, int]) -> list[TierForecast]:
    """Return each tier's forecast; `waiting` and `discarded` count pairs by `is_asked_again`.

    The interval adds up Wilson's intervals of both kinds' shares; it says how sure the shares are, not the model.
    """
    kinds = {again: _kind(stand, again, discarded) for again in (False, True)}
    found = []
    for one in stand.tiers:
        n_now = stand.n_now.get(one.tier, 0)
        more, low, high = 0.0, 0.0, 0.0
        is_known = True
        for again, n_waiting in waiting.items():
            n, n_of_tier = kinds[again]
            interval = wilson(n_of_tier.get(one.tier, 0), n)
            if interval is None:
                is_known = is_known and not n_waiting
                continue
            more += n_waiting * n_of_tier.get(one.tier, 0) / n
            low += n_waiting * interval.low
            high += n_waiting * interval.high
        found.append(
            TierForecast(one.tier, one.name, n_now, more, Interval(low, high))
            if is_known
            else TierForecast(one.tier, one.name, n_now, None, None)
        )
    return found


def _kind(stand: TierStand, again: bool, discarded: Mapping[bool, int]) -> tuple[int, Mapping[int, int]]:
    """Return of how many pairs the shares are, and how many each tier got; all pairs where there are none of a kind."""
    own = stand.settled[again]
    if own.n_pairs + discarded.get(again, 0):
        return own.n_pairs + discarded.get(again, 0), own.n_of_tier
    other = stand.settled[not again]
    return other.n_pairs + discarded.get(not again, 0), other.n_of_tier


def _by_tier(rows: pl.DataFrame) -> dict[int, int]:
    return dict(rows.group_by("tier").len().iter_rows())
