"""Rows drawn for an audit: each grade in its share, none twice, the same with the same seed."""

from __future__ import annotations

import polars as pl
import pytest

from curation.tier_audit import draw_rows, shares


@pytest.mark.parametrize(
    ("sizes", "n", "wanted"),
    [
        ({0: 50, 1: 30, 2: 20}, 20, {0: 10, 1: 6, 2: 4}),
        ({0: 999, 1: 1}, 20, {0: 19, 1: 1}),  # a rare grade is looked at, too
        ({0: 3, 1: 4}, 20, {0: 3, 1: 4}),
        ({0: 10, 1: 10, 2: 10}, 20, {0: 7, 1: 7, 2: 6}),
        ({0: 5, 1: 9, 2: 7}, 2, {1: 1, 2: 1}),  # fewer than there are grades: the largest
        ({}, 20, {}),
    ],
)
def test_each_grade_is_drawn_in_its_share(sizes: dict[int, int], n: int, wanted: dict[int, int]) -> None:
    assert shares(sizes, n) == wanted


def members(n: int) -> pl.DataFrame:
    return pl.DataFrame({"judgment_id": [f"j_{i:04d}" for i in range(n)], "grade": [i % 3 for i in range(n)]})


def test_a_draw_is_repeatable_whatever_the_order_of_the_rows() -> None:
    rows = members(300)
    drawn = draw_rows(rows, seed=4)
    assert drawn.equals(draw_rows(rows.reverse(), seed=4))
    assert drawn["judgment_id"].n_unique() == len(drawn) == 20
    assert not drawn.equals(draw_rows(rows, seed=5))


def test_rows_of_one_grade_do_not_come_together() -> None:
    grades = draw_rows(members(300), seed=1)["grade"].to_list()
    assert grades != sorted(grades)


def test_every_row_is_drawn_about_equally_often() -> None:
    """Two of ten rows of one grade, over 2000 seeds: each row 400 times, five standard deviations are 90."""
    rows = pl.DataFrame({"judgment_id": [f"j_{i}" for i in range(10)], "grade": [1] * 10})
    counts = pl.concat([draw_rows(rows, seed=seed, n=2) for seed in range(2000)])["judgment_id"].value_counts()
    assert counts["count"].min() > 310 and counts["count"].max() < 490
