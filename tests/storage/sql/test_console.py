"""What the console answers, and how it says no. What it must not do: test_console_attacks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from storage.errors import UserError
from storage.sql.console import run_query, to_json
from tests.storage.sql.console_forks import CANARY, make_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published copy and files that nobody may read through it."""
    return make_folder(tmp_path_factory.mktemp("workspace"))


def test_an_answer_has_columns_types_and_rows(folder: Path) -> None:
    result = run_query(folder / "published.duckdb", "select grade, count(*) as n from judgments group by 1 order by 1")
    assert (result.columns, result.types, result.is_truncated) == (("grade", "n"), ("BIGINT", "BIGINT"), False)
    assert json.loads(to_json(result)) == [{"grade": grade, "n": 250} for grade in range(4)]


def test_rows_past_the_limit_are_left_out_and_said_so_in_order(folder: Path) -> None:
    sql = "select judgment_id, judgment_id from judgments order by 1 desc"
    result = run_query(folder / "published.duckdb", sql, max_rows=2)
    assert result.is_truncated
    assert result.columns[0] == "judgment_id" != result.columns[1]
    assert result.table.column(0).to_pylist() == [999, 998]
    assert not run_query(folder / "published.duckdb", "from judgments", max_rows=1000).is_truncated


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select grad from judgments", "Did you mean judgments.grade?"),
        ("select * from judgment", "there is no table judgment. Did you mean judgments?"),
        ("select * from zzzzzzzz", "List them: afrel sql"),
        ("selct 1", 'syntax error at or near "selct"'),
        ("copy judgments to 'x'", "the console only reads"),
        ("from read_text('/etc/passwd')", "reads the published tables only: no files"),
        ("", "there is no SQL"),
        ("select 1 -- " + "x" * 40_000, "at most 32,768 are taken"),
        ("select '\ud800'", "half of a character"),
        ("select error(chr(27) || 'x')", "�x"),
    ],
)
def test_a_refusal_says_what_to_do(folder: Path, sql: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        run_query(folder / "published.duckdb", sql)
    assert message in str(error.value)
    assert str(folder) not in str(error.value)


def test_a_missing_copy_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no published copy"):
        run_query(tmp_path / "published.duckdb", "select 1")


def test_an_answer_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="more than 64 MiB"):
        run_query(folder / "published.duckdb", "select repeat('x', 100000) from range(900)", memory_mb=2048)


def test_the_query_sees_no_environment_and_a_fixed_time_zone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCKDB_SECRET", CANARY)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    result = run_query(folder / "published.duckdb", "select current_setting('TimeZone') as zone")
    assert to_json(result) == '[{"zone": "UTC"}]\n'
    assert os.environ["DUCKDB_SECRET"] == CANARY
