"""The scale: parsed from a range or names, and what a source's text stands for."""

from __future__ import annotations

import pytest

from storage.errors import UserError
from storage.grades import Scale, parse_scale


def test_a_range_or_names() -> None:
    assert parse_scale("0-2") == Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
    assert parse_scale("1-5").values == (1, 2, 3, 4, 5)
    assert parse_scale("bad, fair,good") == Scale((0, 1, 2), ("bad", "fair", "good"))


@pytest.mark.parametrize("text", ["0", "0-9", "3-1", "bad", "", "a,a", "a,,b", "1,2,3"])
def test_what_is_no_scale_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="scale"):
        parse_scale(text)


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("1", 1),
        (" 1.0 ", 1),
        ("Fully", 2),
        ("3", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400 + ".0", None),
        ("", None),
    ],
)
def test_a_source_s_text_is_a_grade_by_number_or_name_or_none(text: str, grade: int | None) -> None:
    assert parse_scale("0-2").find(text) == grade
