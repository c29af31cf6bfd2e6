import pytest

from trainers.rollouts.pass_curve import pass_curve, sizes


def test_the_curve_is_the_mean_over_pairs() -> None:
    """4 samples of two pairs, 4 and 1 right. Of one answer: (1 + 1/4) / 2. Of two: of the second pair's 6 couples 3
    hold the right one, so (1 + 3/6) / 2. Of four, both pairs have one."""
    curve = pass_curve({"a": 4, "b": 1}, {"a": "q1", "b": "q2"}, n_samples=4)
    assert [(one.metric, one.value, one.n) for one in curve] == [
        ("pass@1", pytest.approx(5 / 8), 2), ("pass@2", pytest.approx(3 / 4), 2), ("pass@4", 1.0, 2),
    ]  # fmt: skip


def test_the_interval_spans_draws_of_queries() -> None:
    """Two queries, drawn twice: the first alone, both, or the second alone, each often enough to be within 95%."""
    (one, *_) = pass_curve({"a": 4, "b": 1}, {"a": "q1", "b": "q2"}, n_samples=4)
    assert (one.low, one.high) == (pytest.approx(1 / 4), 1.0)


def test_powers_of_two_up_to_the_samples() -> None:
    assert [list(sizes(n)) for n in (1, 4, 6, 8)] == [[1], [1, 2, 4], [1, 2, 4, 6], [1, 2, 4, 8]]
