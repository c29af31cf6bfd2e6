"""What tiers are counted on: the facts of all settled pairs, read beside the pages and kept while they hold.

Reading them takes tens of seconds at a million rows, so no page waits for it: it begins the count, shows how far it is,
and says of a kept one when it was taken and what came since. Only what predicates ask is kept, no text.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from curation.tier_config import read_tiers
from curation.tier_reading import read_tier_facts
from curation.tiers import TIER_COLUMNS, Tier, assign
from review_app.long_work import WORK, Work
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.progress import Stage, Watch
from storage.session import read_scale
from storage.store import Store

N_ASSIGNED_KEPT = 6
KEPT_COLUMNS = ("judgment_id", "candidate_id", *TIER_COLUMNS)


@dataclass(frozen=True, slots=True)
class Stand:
    """Every settled pair that may enter a snapshot, as it stood when it was read.

    `facts` has `KEPT_COLUMNS`; `answers` the graded answers of each pair that two or more gave. `state` are the counts
    of facts it rests on.
    """

    facts: pl.DataFrame
    answers: pl.DataFrame
    left_out: Mapping[str, int]
    n_unscreened: int
    scale: Scale
    state: Mapping[str, int]
    taken_at: datetime
    _assigned: dict[tuple[Tier, ...], pl.Series] = field(default_factory=dict, repr=False)

    def tiers_of(self, tiers: Sequence[Tier]) -> pl.Series:
        """Return the tier of each row of `facts`, null where it meets none."""
        key = tuple(tiers)
        held = self._assigned.get(key)
        if held is None:
            held = assign(self.facts, key)["tier"]
            with _lock:
                while len(self._assigned) >= N_ASSIGNED_KEPT:
                    del self._assigned[next(iter(self._assigned))]
                self._assigned[key] = held
        return held


_stands: dict[Path, Stand] = {}
_lock = threading.Lock()


def held_stand(root: Path) -> Stand | None:
    """Return the last count of a workspace, None before the first."""
    return _stands.get(root)


def count_work(root: Path) -> Work | None:
    """Return the count that is under way, or the last one."""
    return WORK.find(("count", root))


def begin_count(root: Path, store: Store, by: str) -> Work:
    """Read the facts anew, beside the pages."""

    def count(watch: Watch, _stop: threading.Event) -> None:
        stand = read_stand(store, watch)
        with suppress(UserError):  # wrong tiers are told where they are shown
            stand.tiers_of(read_tiers(root).tiers)
        with _lock:
            _stands[root] = stand

    return WORK.begin(("count", root), by, count)


def read_state(store: Store) -> dict[str, int]:
    """Return the counts of all facts that decide what tiers hold."""
    (state,) = store.read("tier_state").to_pylist()
    return dict(state)


def read_stand(store: Store, watch: Watch) -> Stand:
    """Read what the store holds now. What comes while it is read makes it older than it looks, never newer."""
    state, taken_at = read_state(store), now()
    found = read_tier_facts(store, watch)
    facts = found.frame.select(KEPT_COLUMNS).with_columns(
        pl.col("split", "origin", "source", "operator").cast(pl.String)
    )
    watch(Stage.BUILDING, len(facts), len(facts))
    answers = (
        store.frame("graded_answers")
        .group_by("pair_id")
        .agg(pl.col("grade").sort().alias("grades"))
        .filter(pl.col("grades").list.len() >= 2)
    )
    return Stand(facts, answers, found.left_out, found.n_unscreened, read_scale(store), state, taken_at)
