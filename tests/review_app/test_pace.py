"""The pace of the last whole days and when work is done at it; expected values are worked by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from curation.intervals import Interval
from review_app.pace import Pace, finish_of, needed_per_day, pace_of

TODAY = date(2026, 5, 20)


def day(back: int) -> date:
    return TODAY - timedelta(days=back)


def test_the_pace_is_the_mean_of_whole_days_with_students_interval() -> None:
    pace = pace_of({day(3): 10, day(2): 20, day(1): 30, day(0): 1000}, TODAY)
    # mean 20, sample variance 100, t(2) = 4.3027: 20 ± 4.3027 * sqrt(100 / 3)
    assert pace is not None and pace.interval is not None
    assert (pace.per_day, pace.n_answers, pace.n_days) == (20, 60, 3)
    assert pace.interval.high == pytest.approx(20 + 4.30265 * (100 / 3) ** 0.5, abs=1e-3)
    assert pace.interval.low == pytest.approx(20 - 4.30265 * (100 / 3) ** 0.5, abs=1e-3)


def test_rest_days_count_and_days_before_the_work_began_do_not() -> None:
    pace = pace_of({day(4): 8}, TODAY)
    assert pace is not None
    assert (pace.per_day, pace.n_days) == (2, 4)


def test_the_window_is_two_weeks() -> None:
    pace = pace_of({day(20): 1000, day(14): 14}, TODAY)
    assert pace is not None
    assert (pace.per_day, pace.n_days) == (1, 14)


@pytest.mark.parametrize("answers", [{}, {day(0): 50}, {day(2): 50, day(1): 50}])
def test_there_is_no_pace_before_three_whole_days(answers: dict[date, int]) -> None:
    assert pace_of(answers, TODAY) is None


def test_the_finish_is_what_is_asked_for_divided_by_the_pace() -> None:
    found = finish_of(100, Pace(20, Interval(10, 40), 60, 3), TODAY)
    assert (found.by, found.earliest, found.latest) == (day(-5), day(-3), day(-10))


def test_a_pace_that_may_be_none_has_no_latest_day() -> None:
    assert finish_of(100, Pace(20, Interval(-3, 43), 60, 3), TODAY).latest is None
    assert finish_of(100, Pace(0, Interval(0, 0), 0, 3), TODAY).by is None
    # eleven years: no date is told
    assert finish_of(4015, Pace(1, Interval(1, 1), 3, 3), TODAY).by is None


def test_nothing_asked_for_is_done_today() -> None:
    assert finish_of(0, Pace(0, None, 0, 3), TODAY).by == TODAY


def test_what_a_day_needs_counts_both_ends() -> None:
    assert needed_per_day(100, TODAY, TODAY) == 100
    assert needed_per_day(100, TODAY, day(-3)) == 25
    assert needed_per_day(100, TODAY, day(1)) is None
