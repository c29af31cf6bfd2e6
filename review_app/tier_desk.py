"""What a curator does with tiers, free of any page: see what each holds, try other predicates, save them.

Test rows: whoever tries predicates must not read test grades off the counts. So all counts here are of train and dev
rows; how many test rows there are is told without a tier, and by tier only to who may adjudicate, for they see every
answer on a test pair anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from curation.agreement import Agreement, krippendorff_alpha
from curation.intervals import Interval, wilson
from curation.tier_config import SavedTiers, read_tiers, save_tiers
from curation.tiers import DEFAULT_TIERS, Tier, tier_mistakes
from review_app.long_work import WORK, Work
from review_app.tier_stand import Stand, begin_count, count_work, held_stand, read_state
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, may, require
from storage.store import Store

COUNTED_AT_ONCE = 20_000  # judgments; up to so many are counted when the page opens
COUNTED_AGAIN_AFTER = timedelta(seconds=30)  # while people answer, facts come all the time


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known the moment the page opens. `since` are the facts that came after the kept count."""

    saved: SavedTiers
    stand: Stand | None
    work: Work | None
    n_judgments: int
    since: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TierView:
    """A tier as it would be, in counts of train and dev rows; `n_test` is None for who may not see it.

    `n_in` rows come in and `n_out` go out against the saved tier of this number. `alpha` and `exact` are over the pairs
    that two or more people graded: how far they agree, and the share with equal grades.
    """

    tier: Tier
    by_split: Mapping[str, int]
    n_test: int | None
    grades: Mapping[int, int]
    n_in: int
    n_out: int
    alpha: Agreement
    n_exact: int
    exact: Interval | None

    @property
    def n(self) -> int:
        return sum(self.by_split.values())


@dataclass(frozen=True, slots=True)
class Preview:
    """Tiers tried against the saved ones. `moves` counts rows by (tier now, tier then), None for no tier.

    `n_test` are all settled test rows that may enter a snapshot, whatever tier they meet.
    """

    tiers: tuple[TierView, ...]
    left_out: Mapping[str, int]
    moves: Mapping[tuple[int | None, int | None], int]
    n_test: int
    n_unscreened: int


def require_look(person: Pin) -> None:
    """Let in who signs or asks; UserError says who may."""
    require(person, Act.SIGN if may(person.role, Act.SIGN) else Act.SQL)


def look(person: Pin, root: Path, store: Store) -> Outlook:
    """Return the tiers and the last count; a small workspace is counted when there is no count of now."""
    require_look(person)
    state = read_state(store)
    stand = held_stand(root)
    if state["judgments"] <= COUNTED_AT_ONCE and _is_due(stand, state) and not _failed(root):
        begin_count(root, store, person.account).wait()
        stand = held_stand(root)
    since = {name: n - stand.state[name] for name, n in state.items() if n > stand.state[name]} if stand else {}
    return Outlook(read_tiers(root), stand, count_work(root), state["judgments"], since)


def count(person: Pin, root: Path, store: Store) -> Work:
    """Count anew, beside the page."""
    require_look(person)
    return begin_count(root, store, person.account)


def check_tiers(person: Pin, tiers: Sequence[Tier], *, place: str = "tier") -> list[str]:
    """Return every mistake in tiers that are being written, with the nearest column for one that is not there.

    `place` is what a tier is called before its number.
    """
    require(person, Act.SQL)
    return tier_mistakes([tier.to_table() for tier in tiers], place=place)


def preview(person: Pin, stand: Stand, saved: Sequence[Tier], tried: Sequence[Tier]) -> Preview:
    """Return what each tried tier would hold, and how that differs from the saved ones."""
    require_look(person)
    if tuple(tried) != tuple(saved) and (mistakes := check_tiers(person, tried)):
        raise UserError("; ".join(mistakes))
    rows = stand.facts.select("pair_id", "split", "grade").with_columns(
        stand.tiers_of(saved).alias("before"), stand.tiers_of(tried).alias("after")
    )
    tests = rows.filter(pl.col("split") == "test")
    shown = rows.filter(pl.col("split") != "test")
    sees_tests = may(person.role, Act.ADJUDICATE)
    moves = {(before, after): n for before, after, n in shown.group_by("before", "after").len().iter_rows()}
    views = []
    for tier in tried:
        members = shown.filter(pl.col("after") == tier.tier)
        grades = stand.answers.join(members.select("pair_id"), on="pair_id", how="semi")["grades"].to_list()
        n_exact = sum(len(set(given)) == 1 for given in grades)
        n_test = int((tests["after"] == tier.tier).sum()) if sees_tests else None
        views.append(
            TierView(
                tier=tier,
                by_split={split: int((members["split"] == split).sum()) for split in ("train", "dev")},
                n_test=n_test,
                grades=dict(sorted(Counter(members["grade"].to_list()).items())),
                n_in=sum(n for (old, new), n in moves.items() if new == tier.tier and old != tier.tier),
                n_out=sum(n for (old, new), n in moves.items() if old == tier.tier and new != tier.tier),
                alpha=krippendorff_alpha(grades, scale=stand.scale),
                n_exact=n_exact,
                exact=wilson(n_exact, len(grades)),
            )
        )
    left_out = {**stand.left_out, "meets no tier": int(shown["after"].is_null().sum())}
    return Preview(tuple(views), left_out, moves, len(tests), stand.n_unscreened)


def rows_of(person: Pin, stand: Stand, tiers: Sequence[Tier]) -> list[tuple[Tier, int, int]]:
    """Return each tier with its train and dev rows."""
    require_look(person)
    placed = pl.DataFrame({"tier": stand.tiers_of(tiers), "split": stand.facts["split"]})
    sizes = {(tier, split): n for tier, split, n in placed.group_by("tier", "split").len().iter_rows()}
    return [(tier, sizes.get((tier.tier, "train"), 0), sizes.get((tier.tier, "dev"), 0)) for tier in tiers]


def begin_preview(
    person: Pin, root: Path, tab: str, stand: Stand, saved: Sequence[Tier], tried: Sequence[Tier]
) -> Work:
    """Preview beside the page: at half a million rows it takes seconds. A tab has one at a time."""
    require_look(person)
    return WORK.begin(
        ("preview", root, person.account, tab),
        person.account,
        lambda _watch, _stop: preview(person, stand, saved, tried),
        is_of_tab=True,
    )


def save(person: Pin, root: Path, tiers: Sequence[Tier], *, mark: str) -> SavedTiers:
    """Write the tiers into `afrel.toml`; UserError when they are wrong or the file was changed since `mark`."""
    require(person, Act.CUT)
    return save_tiers(root, tiers, mark=mark)


def default_tiers(person: Pin) -> tuple[Tier, ...]:
    """Return the tiers a workspace has that names none."""
    require_look(person)
    return DEFAULT_TIERS


def _is_due(stand: Stand | None, state: Mapping[str, int]) -> bool:
    return stand is None or (stand.state != state and now() - stand.taken_at > COUNTED_AGAIN_AFTER)


def _failed(root: Path) -> bool:
    """Say whether the last count went wrong, so that looking again does not begin it again and again."""
    work = count_work(root)
    return work is not None and work.is_over and (work.refused or work.broke) is not None
