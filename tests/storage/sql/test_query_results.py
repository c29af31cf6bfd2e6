"""A result's texts: machines read back what was there, a spreadsheet runs nothing, a terminal obeys nothing."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json

import pyarrow as pa
import pytest

from storage.sql.query_results import QueryResult, distinct_names, to_csv, to_json, to_text


def _result(*, is_truncated: bool = False, **columns: list[object]) -> QueryResult:
    table = pa.table(columns)
    return QueryResult(tuple(columns), tuple("VARCHAR" for _ in columns), table, is_truncated)


def test_json_has_iso_dates_and_no_nan() -> None:
    result = _result(
        day=[datetime.date(2026, 1, 2), None],
        at=[datetime.datetime(2026, 1, 2, 3, 4), None],
        rate=[float("nan"), float("-inf")],
        amount=[decimal.Decimal("1.50"), decimal.Decimal("2.00")],
        tags=[["a", None], []],
        nested=[{"x": 1}, None],
        blob=[b"\x00\xff", None],
        text=["ü\n", ""],
    )
    assert json.loads(to_json(result)) == [
        {
            "day": "2026-01-02",
            "at": "2026-01-02T03:04:00",
            "rate": None,
            "amount": 1.5,
            "tags": ["a", None],
            "nested": {"x": 1},
            "blob": "AP8=",
            "text": "ü\n",
        },
        {"day": None, "at": None, "rate": None, "amount": 2.0, "tags": [], "nested": None, "blob": None, "text": ""},
    ]


def test_a_whole_number_wider_than_64_bits_stays_whole() -> None:
    result = _result(n=[decimal.Decimal("170141183460469231731687303715884105727")])
    assert json.loads(to_json(result)) == [{"n": 170141183460469231731687303715884105727}]


def test_no_rows_are_an_empty_array() -> None:
    assert to_json(_result(a=[])) == "[]\n"


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\ufeff=1",
    "＝1",
    "|cmd",
    "%0a",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_is_a_formula_gets_an_apostrophe(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(_result(**{text: [text]})), newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]]


def test_numbers_and_plain_texts_stay_as_they_are_in_csv() -> None:
    text = to_csv(_result(n=[-1, None], x=[-0.5, 2.0], s=['a "b", c', "a-b=c"], tags=[["=a"], None]))
    assert text == 'n,x,s,tags\n-1,-0.5,"a ""b"", c","[""=a""]"\n,2.0,a-b=c,\n'


def test_a_terminal_gets_no_control_characters() -> None:
    text = to_text(_result(**{"a\x1b[2J": ["x\x1b]0;title\x07\u202e", "two\nlines"]}))
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert text.splitlines()[-2] == "two⏎lines"


def test_the_table_is_aligned_by_what_a_terminal_shows() -> None:
    result = _result(word=["鞋", "shoe"], n=[1, None], is_truncated=True)
    assert to_text(result) == "word  n\n────  ─\n鞋    1\nshoe\n(2 rows, and there are more)\n"


def test_a_long_cell_is_cut() -> None:
    assert to_text(_result(a=["x" * 61])).splitlines()[2] == "x" * 59 + "…"


def test_a_plan_keeps_its_lines() -> None:
    assert to_text(_result(explain_key=["plan"], explain_value=["a\nb"])) == "a\nb"


def test_repeated_names_become_distinct_without_taking_another_name() -> None:
    assert distinct_names(["a", "a", "a_2", "a", "b"]) == ("a", "a_3", "a_2", "a_4", "b")
