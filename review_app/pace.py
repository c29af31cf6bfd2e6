"""How fast answers come and when the work is done, by one simple model that the page states.

The pace is the mean number of answers of the last whole days, rest days among them; its interval is Student's and takes
the days as independent. What is asked for now divided by the pace is the time it takes. Answers that are not asked for
yet (a suggestion that is overturned asks for one more) are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from curation.intervals import Interval, mean_interval

WINDOW_DAYS = 14
MIN_DAYS = 3
MOST_DAYS = 3650  # beyond ten years no date is told


@dataclass(frozen=True, slots=True)
class Pace:
    """Answers a day over `n_days` whole days, `n_answers` in all."""

    per_day: float
    interval: Interval | None
    n_answers: int
    n_days: int


@dataclass(frozen=True, slots=True)
class Finish:
    """When all that is asked for is answered. `latest` is None where the pace may be none, `by` where it takes ages."""

    n_asked: int
    by: date | None
    earliest: date | None
    latest: date | None


def whole_days(answers: Mapping[date, int], today: date) -> list[date]:
    """Return the last whole days, two weeks at most, from the first on which anybody answered."""
    begun = min((day for day, n in answers.items() if n), default=today)
    first = max(begun, today - timedelta(days=WINDOW_DAYS))
    return [first + timedelta(days=place) for place in range((today - first).days)]


def pace_of(answers: Mapping[date, int], today: date) -> Pace | None:
    """Return the pace of the last whole days, None before there are three of them; an absent day counts as none."""
    days = whole_days(answers, today)
    if len(days) < MIN_DAYS:
        return None
    counts = [answers.get(day, 0) for day in days]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    return Pace(mean, mean_interval(mean, variance, len(counts)), sum(counts), len(counts))


def finish_of(n_asked: int, pace: Pace, today: date) -> Finish:
    """Return when so many answers are given at a pace."""
    interval = pace.interval or Interval(pace.per_day, pace.per_day)
    return Finish(
        n_asked,
        by=_day_after(n_asked, pace.per_day, today),
        earliest=_day_after(n_asked, interval.high, today),
        latest=_day_after(n_asked, interval.low, today),
    )


def needed_per_day(n_asked: int, today: date, target: date) -> float | None:
    """Return the answers a day that finish by the end of a day, this one included; None for a day that is over."""
    n_days = (target - today).days + 1
    return n_asked / n_days if n_days > 0 else None


def _day_after(n_asked: int, per_day: float, today: date) -> date | None:
    if n_asked == 0:
        return today
    if per_day <= 0 or n_asked / per_day > MOST_DAYS:
        return None
    return today + timedelta(days=ceil(n_asked / per_day))
