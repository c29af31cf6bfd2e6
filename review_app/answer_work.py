"""What people answered, person by person and in all. Who may see whose line is decided in `progress`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from curation.intervals import Interval, mean_interval, wilson
from review_app.pace import WINDOW_DAYS
from storage.store import Store

FEW = 20  # a figure over fewer is shown as uncertain, and not at all where it could tell of a person
LONGEST_SECONDS = 300.0  # a card that lay open for longer was not looked at all the time


@dataclass(frozen=True, slots=True)
class Timed:
    """How many answers took how many seconds of looking."""

    n: int
    seconds: float

    @property
    def per_hour(self) -> float | None:
        """Answers an hour of work."""
        return self.n * 3600 / self.seconds if self.seconds else None


@dataclass(frozen=True, slots=True)
class Work:
    """What a person, or the team, answered. The days of `by_day` hold answers given here, not replayed ones.

    `n_recent` were given since two weeks ago; `timed_recent` is of them. The other counts, and `timed`, are of all that
    stand, replayed ones too.
    """

    by_day: Mapping[date, int]
    n_recent: int
    n_answers: int
    n_cannot_tell: int
    n_discarded: int
    n_replayed: int
    timed_recent: Timed
    timed: Timed

    @property
    def is_timed_recent(self) -> bool:
        """Whether enough of the last two weeks is timed to speak of the speed by it."""
        return self.timed_recent.n >= FEW

    @property
    def speed(self) -> Timed:
        """The timed answers to speak of: the recent ones, or all where those are few."""
        return self.timed_recent if self.is_timed_recent else self.timed

    @property
    def cannot_tell_interval(self) -> Interval | None:
        return wilson(self.n_cannot_tell, self.n_answers)

    @property
    def discarded_interval(self) -> Interval | None:
        return wilson(self.n_discarded, self.n_answers)


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person: their work, the seconds an answer takes (middle and middle half), how far above the settled grade.

    `leniency` is over `n_held` grades on pairs that were not settled by this person alone.
    """

    account: str
    work: Work
    median_seconds: float | None
    low_seconds: float | None
    high_seconds: float | None
    n_seconds: int
    leniency: float | None
    leniency_interval: Interval | None
    n_held: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What all answers that stand say of each person: counts and seconds, and how they compare with settled grades."""

    answers: Mapping[str, Mapping[str, Any]]
    held: Mapping[str, Mapping[str, Any]]


def count_standing(store: Store) -> Standing:
    """Count all answers that stand; the store must see test rows."""
    answers = store.read("answers_by_person", longest=LONGEST_SECONDS).to_pylist()
    held = store.read("leniency").to_pylist()
    return Standing({row["account"]: row for row in answers}, {row["account"]: row for row in held})


def read_days(store: Store, local: datetime, minutes_ahead: int) -> list[dict[str, Any]]:
    """Return what each person answered on each day of the last four weeks, by a clock that shows `local` now."""
    first = datetime.combine(local.date() - timedelta(days=2 * WINDOW_DAYS), time.min)
    since = (first - timedelta(minutes=minutes_ahead)).isoformat()
    return list(store.read("answers_by_day", since=since, shift=minutes_ahead, longest=LONGEST_SECONDS).to_pylist())


def people_of(days: Sequence[Mapping[str, Any]], standing: Standing, today: date) -> list[PersonLine]:
    """Return everybody who answered, in order of name."""
    recent = today - timedelta(days=WINDOW_DAYS)
    accounts = sorted({*standing.answers, *(row["account"] for row in days)})
    return [
        _person(
            account,
            [row for row in days if row["account"] == account],
            standing.answers.get(account, {}),
            standing.held.get(account),
            recent=recent,
        )
        for account in accounts
    ]


def total_work(works: Sequence[Work]) -> Work:
    """Return the work of several people together."""
    by_day: Counter[date] = Counter()
    for one in works:
        by_day.update(one.by_day)
    return Work(
        dict(by_day),
        n_recent=sum(one.n_recent for one in works),
        n_answers=sum(one.n_answers for one in works),
        n_cannot_tell=sum(one.n_cannot_tell for one in works),
        n_discarded=sum(one.n_discarded for one in works),
        n_replayed=sum(one.n_replayed for one in works),
        timed_recent=_together(one.timed_recent for one in works),
        timed=_together(one.timed for one in works),
    )


def hides_others(lines: Sequence[PersonLine], account: str) -> bool:
    """Say whether totals tell nothing of one person: beside the asker nobody answered, or two people or more did.

    Asked of all answers, of those of four weeks and of those of two.
    """
    others = [line.work for line in lines if line.account != account]
    return 1 not in (len(others), sum(bool(work.by_day) for work in others), sum(work.n_recent > 0 for work in others))


def _together(timed: Iterable[Timed]) -> Timed:
    timed = list(timed)
    return Timed(sum(one.n for one in timed), sum(one.seconds for one in timed))


def _person(
    account: str,
    days: Sequence[Mapping[str, Any]],
    standing: Mapping[str, Any],
    held: Mapping[str, Any] | None,
    *,
    recent: date,
) -> PersonLine:
    lately = [row for row in days if row["day"] >= recent]
    work = Work(
        {row["day"]: row["n_answers"] for row in days},
        n_recent=sum(row["n_answers"] for row in lately),
        n_answers=standing.get("n_answers", 0),
        n_cannot_tell=standing.get("n_cannot_tell", 0),
        n_discarded=standing.get("n_discarded", 0),
        n_replayed=standing.get("n_replayed", 0),
        timed_recent=_together(Timed(row["n_timed"], row["seconds"]) for row in lately),
        timed=Timed(standing.get("n_timed", 0), standing.get("seconds", 0.0)),
    )
    return PersonLine(
        account,
        work,
        standing.get("median_seconds"),
        standing.get("low_seconds"),
        standing.get("high_seconds"),
        standing.get("n_timed", 0),
        held["mean"] if held else None,
        mean_interval(held["mean"], held["variance"], held["n"]) if held else None,
        held["n"] if held else 0,
    )
