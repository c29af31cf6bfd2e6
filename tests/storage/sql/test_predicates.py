"""A predicate reaches its relation's columns and nothing else, and means in DuckDB what the checked tree says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from storage.errors import UserError
from storage.sql.predicate_sql import quote_name
from storage.sql.predicates import check_predicate, matches

TYPES = {
    "term_overlap": "DOUBLE",
    "n_terms": "INTEGER",
    "source": "VARCHAR",
    "is_cjk": "BOOLEAN",
    "fields": "VARCHAR[]",
}
TABLE = pa.table(
    {
        "term_overlap": [0.2, 0.9, None, 0.5],
        "n_terms": pa.array([1, 0, 3, 2147483647], pa.int32()),
        "source": ["shop", "it's", None, "Shop"],
        "is_cjk": [True, False, None, True],
        "fields": [["colour", "size"], [], None, ["colour"]],
    }
)

ALLOWED = {
    "list_contains(fields, 'colour') and term_overlap < 0.5": [True, False, False, False],
    "'colour' in fields": [True, False, False, True],
    "fields && ['size', 'x']": [True, False, False, False],
    "list_has_all(fields, ['size', 'colour'])": [True, False, False, False],
    "len(fields) > 1": [True, False, False, False],
    "source = 'it''s'": [False, True, False, False],
    "LOWER(Source) IN ('shop')": [True, False, False, True],
    "source not like 's%' -- a comment": [False, True, False, True],
    "source ilike 's_op'": [True, False, False, True],
    "starts_with(source, 'S') or ends_with(source, 's')": [False, True, False, True],
    "contains(source, '''')": [False, True, False, False],
    "contains(fields, 'size')": [True, False, False, False],
    "term_overlap between 0.5 and 1": [False, True, False, True],
    "term_overlap not between 0.5 and 1": [True, False, False, False],
    "is_cjk": [True, False, False, True],
    "is_cjk is not true": [False, True, True, False],
    "source is null": [False, False, True, False],
    "coalesce(term_overlap, 0) < 0.5": [True, False, True, False],
    "source is not distinct from null": [False, False, True, False],
    "case when is_cjk then n_terms > 1 else source = 'it''s' end": [False, True, False, True],
    "not is_cjk or n_terms == 3": [False, True, True, False],
    "least(n_terms, 2) = 2": [False, False, True, True],
    "greatest(n_terms, 2) = 2": [True, True, False, False],
    "round(term_overlap * 10) = 5": [False, False, False, True],
    "floor(term_overlap + 0.5) + ceil(term_overlap) = 2": [False, True, False, True],
    "-abs(n_terms) < -2": [False, False, True, True],
    "n_terms % 2 = 1": [True, False, True, True],
    # Division by the row that has 0 terms gives null, and null is no match.
    "6 / n_terms > 0": [True, False, True, True],
    "6 // n_terms = 2": [False, False, True, False],
    "try_cast(source as integer) = 3": [False, False, False, False],
    "n_terms::varchar = '3'": [False, False, True, False],
    "true": [True] * 4,
    "null": [False] * 4,
}


@pytest.mark.parametrize(("text", "expected"), list(ALLOWED.items()))
def test_an_allowed_predicate_matches_the_rows_worked_out_by_hand(text: str, expected: list[bool]) -> None:
    check_predicate(text, columns=TYPES)
    mask = matches(TABLE, {"p": text})["p"]
    assert mask.dtype == np.bool_
    assert mask.tolist() == expected


def test_a_polars_frame_and_an_empty_table_are_matched_alike() -> None:
    frame = pl.DataFrame(TABLE)
    assert matches(frame, {"a": "n_terms = 1", "b": "true"})["a"].tolist() == [True, False, False, False]
    assert matches(TABLE.slice(0, 0), {"a": "n_terms = 1"})["a"].tolist() == []


def test_the_error_names_the_nearest_column_and_the_place() -> None:
    with pytest.raises(
        UserError, match=r"unknown column 'term_overlp'; the nearest is 'term_overlap' \(line 2, column 5\)"
    ):
        check_predicate("is_cjk\nand term_overlp > 1", columns=TYPES)


def test_the_error_names_the_function_and_its_place() -> None:
    with pytest.raises(UserError, match=r"uses the function repeat, which is not allowed \(line 1, column 12\)"):
        check_predicate("is_cjk and repeat(source, 2) = 'x'", columns=TYPES)


@pytest.mark.parametrize(
    "text", ["n_terms", "'true'", "lower(n_terms) = 'x'", "source = 3", "n_terms = 'x'", "fields = 'colour'"]
)
def test_a_type_that_does_not_fit_is_refused_when_types_are_known(text: str) -> None:
    with pytest.raises(UserError):
        check_predicate(text, columns=TYPES)
    assert check_predicate(text, columns=list(TYPES))


def test_a_row_whose_value_cannot_be_computed_is_no_match_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    text = "n_terms * n_terms > 0"  # the last row's square is no 32-bit number
    assert matches(TABLE, {"p": text})["p"].tolist() == [True, False, True, False]
    assert "cannot be computed on 1 of 4 rows (Overflow" in caplog.text
    with duckdb.connect(":memory:") as connection:
        connection.register("facts", TABLE)
        condition = check_predicate(text, columns=TYPES)
        rows = connection.execute(f"select ({condition}) from facts").fetchall()
    assert rows == [(True,), (False,), (True,), (False,)]


def test_the_time_limit_stops_a_predicate() -> None:
    rows = pl.DataFrame({"s": ["ab" * 500 + str(i) for i in range(40_000)]})
    slow = " or ".join(f"contains(lower(s), 'bac{i}')" for i in range(100))
    started = time.monotonic()
    with pytest.raises(UserError, match=r"the 0\.1 s for all predicates are up"):
        matches(rows, {"slow": slow}, seconds=0.1)
    assert time.monotonic() - started < 3


def test_no_time_left_runs_nothing() -> None:
    with pytest.raises(UserError, match="are up"):
        matches(TABLE, {"a": "true"}, seconds=0)


def test_a_column_with_a_quote_in_its_name_stays_one_name() -> None:
    odd = 'a" or true --'
    table = pa.table({odd: [1, 2]})
    assert matches(table, {"p": f"{quote_name(odd)} = 2"})["p"].tolist() == [False, True]


leaves = st.sampled_from(
    [
        "term_overlap",
        "n_terms",
        "0.5",
        "3",
        "null",
        "-n_terms",
        "len(fields)",
        "abs(term_overlap)",
        "coalesce(n_terms, 1)",
    ]
)
numbers = st.recursive(
    leaves, lambda inner: st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*"]), inner), max_leaves=3
)
atoms = st.one_of(
    st.builds("{} {} {}".format, numbers, st.sampled_from(["<", "<=", ">", ">=", "=", "==", "<>", "!="]), numbers),
    st.builds("{} between {} and {}".format, numbers, numbers, numbers),
    st.builds("{} not in ({}, 2)".format, numbers, leaves),
    st.builds("{} is distinct from {}".format, numbers, leaves),
    st.builds(
        "source {} '{}'".format, st.sampled_from(["=", "like", "not like", "<"]), st.sampled_from(["shop", "s%", "''"])
    ),
    st.sampled_from(["is_cjk", "is_cjk is true", "source is not null", "list_contains(fields, 'colour')"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("not {}".format, inner),
        st.builds("({})".format, inner),
        st.builds("case when {} then {} else {} end".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def facts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.register("facts", TABLE.slice(0, 3))
        yield connection


@settings(max_examples=60, deadline=None)
@given(conditions)
def test_what_runs_means_what_duckdb_reads_in_the_text_itself(facts: duckdb.DuckDBPyConnection, text: str) -> None:
    condition = check_predicate(text, columns=list(TYPES))
    rows = facts.execute(f"select coalesce(({text}), false), ({condition}) from facts").fetchall()
    assert [row[0] for row in rows] == [row[1] for row in rows]


# fmt: off
FRAGMENTS = [
    "source", "n_terms", "(", ")", "select", "from", "runs", ";", "--", "/*", "*/", "'", '"', "=", "and", "::", "int",
    ",", "[", "]", ".", "repeat", "in", "not", "case", "when", "then", "end", "1", "$", "\\", "\n", "union", "copy",
]
# fmt: on
texts = st.one_of(
    conditions,
    st.text(max_size=40),
    st.lists(
        st.sampled_from(FRAGMENTS),
        max_size=14,
    ).map(" ".join),
)


@settings(max_examples=150, deadline=None)
@given(texts)
def test_a_checked_predicate_references_listed_columns_only(text: str) -> None:
    try:
        condition = check_predicate(text, columns=list(TYPES))
    except UserError:
        return
    statements = sqlglot.parse(f"select 1 from facts where ({condition})", read="duckdb")
    assert len(statements) == 1
    tree = statements[0]
    assert isinstance(tree, exp.Select)
    assert {column.name for column in tree.find_all(exp.Column)} <= set(TYPES)
    assert all(not column.table for column in tree.find_all(exp.Column))
    assert len(list(tree.find_all(exp.Select))) == 1 and not tree.args.get("with_")
    assert [table.name for table in tree.find_all(exp.Table)] == ["facts"]
    assert len(duckdb.extract_statements(f"select 1 from facts where ({condition})")) == 1
