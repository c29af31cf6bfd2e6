"""The search box: every element of its syntax, in English and Chinese, and whatever else a person may type."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_app.argilla_search.text_query import MOST_CLAUSES, match_expression, read_query
from review_app.argilla_search.text_terms import EVERY_RECORD, indexed_text

TEXTS = {
    1: "A red leather sofa, Café style",
    2: "Blue sofa with red pillow",
    3: "红木茶几 客厅家具",
    4: "木",
    5: "Sofabed 沙发床 with storage",
    6: "",
    7: "ソファ かき がき 😀 ＡＢＣ r_12 3.5kg",
    8: "ab\u200bcd مرحبا",
}


def texts_in_two_columns() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("create virtual table t using fts5 (every_record, one, two, tokenize = 'ascii')")
    for n, text in TEXTS.items():
        row = (n, EVERY_RECORD, indexed_text(text), indexed_text("brand sofa") if n == 4 else "")
        connection.execute("insert into t (rowid, every_record, one, two) values (?, ?, ?, ?)", row)
    return connection


TABLE = texts_in_two_columns()


def found(query: str, *columns: str) -> list[int]:
    match = match_expression(query, columns)
    if match is None:
        return []
    return sorted(n for (n,) in TABLE.execute("select rowid from t where t match ?", (match,)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sofa", [1, 2, 4]),
        ("SOFA Red", [1, 2]),  # default AND, in any order and case
        ("red + leather", [1]),
        ('"red leather"', [1]),
        ('"leather red"', []),
        ("leather | pillow", [1, 2]),
        ("sofa -red", [4]),
        ("-red", [3, 4, 5, 6, 7, 8]),
        ("-(red | 木)", [5, 6, 7, 8]),
        ("leather | -sofa", [1, 3, 5, 6, 7, 8]),
        ("sofa - red", [1, 2]),  # a sign before a space says nothing
        ("sofa*", [1, 2, 4, 5]),
        ("(leather | pillow) blue", [2]),
        ("leather | pillow blue", [2]),  # from left to right: (leather or pillow) and blue
        ("blue (leather | pillow)", [2]),
        ("leather | (pillow blue)", [1, 2]),
        ('-"red leather" red', [2]),
        ("cafe", [1]),
        ("CAFÉ", [1]),
        ("cafe\u0301", [1]),
        ("sofa~1", [1, 2, 4]),
        ('"red leather"~2 sofa', [1]),
        ("r_12", [7]),
        ("3.5kg", [7]),
        ("abc", [7]),
        ("abcd", []),  # a zero-width space parts words
        ("😀", [7]),
        ("مرحبا", [8]),
        (r"\-red", [1, 2]),
        ('"red leather', [1]),  # a quote that never closes is passed over
        ("((red", [1, 2]),
        ("red))) leather", [1]),
        ("| red", [1, 2]),
        ("red |", [1, 2]),
        ("red ! leather", [1]),
        ("", []),
        ("   ", []),
        ("!?…", []),
        ("*", []),
        ("()", []),
        ("-", []),
    ],
)
def test_each_element_of_the_syntax_finds_what_it_says(query: str, expected: list[int]) -> None:
    assert found(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("木", [3, 4]),  # inside a run, and a run of its own
        ("几", [3]),  # the last of a run
        ("红", [3]),
        ("茶几", [3]),
        ("木茶", [3]),
        ("红木茶几", [3]),
        ("红茶", []),  # both are there, but not together
        ("红 茶", [3]),
        ('"茶几 客厅"', [3]),
        ("家具 -沙发", [3]),
        ("沙发 | 家具", [3, 5]),
        ('"沙发床 with"', [5]),
        ('"沙发 with"', []),  # 床 stands between
        ("家*", [3]),
        ("ソファ", [7]),
        ("がき", [7]),
        ("ｿﾌｧ", [7]),  # half-width
        ("沙 storage", [5]),
    ],
)
def test_a_phrase_of_any_length_is_found_where_words_have_no_spaces(query: str, expected: list[int]) -> None:
    assert found(query) == expected


def test_a_query_of_columns_is_asked_of_those_only_also_what_is_absent() -> None:
    assert (found("sofa", "two"), found("sofa", "one"), found("sofa", "one", "two")) == ([4], [1, 2], [1, 2, 4])
    assert found("-sofa", "two") == [1, 2, 3, 5, 6, 7, 8]
    assert found("brand 木", "two") == []


SIGNS = st.text(alphabet='ab 木几"|-+*()~1\\😀é', max_size=80)


@settings(max_examples=300, deadline=2000)
@given(st.one_of(st.text(), SIGNS))
def test_no_text_makes_the_search_raise(query: str) -> None:
    assert set(found(query)) <= set(TEXTS)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 5000 + "red",
        "red|blue " * 1000,
        "-(" * 300 + "red" + ")" * 300,
        "a " * 4000,
        '"' + "红" * 9000 + '"',
        "(a|(b " * 400,
        "\ud800 red",
        "\x00red",
        "a*b*c*" * 900,
        "-" * 9999 + "red",
    ],
)
def test_long_and_deep_queries_are_read_as_far_as_the_database_can(query: str) -> None:
    found(query)


def test_no_more_clauses_are_read_than_stand_in_the_limit() -> None:
    read = read_query("a " * (MOST_CLAUSES + 10))
    assert read is not None and len(read.clauses) == MOST_CLAUSES  # type: ignore[union-attr]


@given(st.text(alphabet="红木茶几客厅ab ,é", min_size=1, max_size=12), st.data())
def test_every_part_of_a_run_is_found_in_it(text: str, draw: st.DataObject) -> None:
    runs = [run for run in text.replace(",", " ").replace("a", " ").replace("b", " ").replace("é", " ").split() if run]
    if not runs:
        return
    run = draw.draw(st.sampled_from(runs))
    start = draw.draw(st.integers(0, len(run) - 1))
    end = draw.draw(st.integers(start + 1, len(run)))
    connection = sqlite3.connect(":memory:")
    connection.execute("create virtual table t using fts5 (one, tokenize = 'ascii')")
    connection.execute("insert into t (one) values (?)", (indexed_text(text),))
    match = match_expression(run[start:end])
    assert connection.execute("select count(*) from t where t match ?", (match,)).fetchone() == (1,)
    connection.close()
