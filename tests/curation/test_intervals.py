from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.intervals import mean_interval, wilson


def test_wilson_of_five_in_ten() -> None:
    # z² = 3.8415; centre (.5 + .19207) / 1.38415 = .5; half 1.95996 · √(.025 + .0096036) / 1.38415 = .26341
    interval = wilson(5, 10)
    assert interval is not None
    assert interval.low == pytest.approx(0.23659, abs=1e-4)
    assert interval.high == pytest.approx(0.76341, abs=1e-4)


def test_nothing_counted_has_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_lies_in_its_interval_and_the_interval_in_zero_to_one(counts: tuple[int, int]) -> None:
    hits, n = counts
    interval = wilson(hits, n)
    assert interval is not None
    assert 0.0 <= interval.low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= interval.high <= 1.0


def test_the_mean_of_one_and_three_by_student() -> None:
    # variance 2, t of one degree at 97.5% is 12.7062: 2 ± 12.7062 · √(2 / 2)
    interval = mean_interval(2.0, 2.0, 2)
    assert interval is not None
    assert interval.low == pytest.approx(2 - 12.7062, abs=1e-3)
    assert interval.high == pytest.approx(2 + 12.7062, abs=1e-3)


def test_the_mean_of_one_value_has_no_interval() -> None:
    assert mean_interval(2.0, None, 1) is None
    assert mean_interval(0.0, 0.0, 0) is None
