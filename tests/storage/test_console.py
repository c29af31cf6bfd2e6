"""The console answers questions about the published copy; no statement gets out, alters a byte or outlives its time."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from storage.console import ENVIRONMENT, run_query, to_json
from storage.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7f3a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published copy and files that nobody may read through it."""
    folder = tmp_path_factory.mktemp("workspace")
    with duckdb.connect(str(folder / "published.duckdb")) as connection:
        connection.execute("create table judgments as select i as judgment_id, i % 4 as grade from range(1000) t(i)")
        connection.execute("create table queries as select 'red shoes' as text, 'q_1' as query_id")
        connection.execute("create macro twice(x) as x * 2")
    (folder / "secret.csv").write_text(f"word\n{CANARY}\n")
    (folder / "secret.json").write_text(json.dumps({"word": CANARY}))
    (folder / "queries.parquet").write_bytes(b"PAR1")
    with duckdb.connect(str(folder / "other.duckdb")) as connection:
        connection.execute(f"create table secrets as select '{CANARY}' as word")
    return folder


ATTACKS = [
    # reading files
    "select * from read_csv('{folder}/secret.csv')",
    "select * from read_csv_auto('{folder}/secret.csv')",
    "select * from read_text('{folder}/secret.csv')",
    "select * from read_blob('{folder}/secret.csv')",
    "select * from read_blob('{folder}/published.duckdb')",
    "select * from read_json('{folder}/secret.json')",
    "select * from read_json_objects('{folder}/secret.json')",
    "select * from read_ndjson('{folder}/secret.json')",
    "select * from read_parquet('{folder}/queries.parquet')",
    "select * from parquet_metadata('{folder}/queries.parquet')",
    "select * from parquet_schema('{folder}/queries.parquet')",
    "select * from read_duckdb('{folder}/other.duckdb')",
    "select * from sniff_csv('{folder}/secret.csv')",
    "select * from glob('{folder}/*')",
    "select * from glob('/etc/*')",
    "from '{folder}/secret.csv'",
    "from '{folder}/secret.json'",
    'from "{folder}/secret.csv"',
    "from 'secret.csv'",
    "from '/etc/passwd'",
    "from 'file://{folder}/secret.csv'",
    "from '/proc/self/environ'",
    "select * from read_text('/proc/self/environ')",
    "select * from read_text('/proc/self/maps')",
    "select * from read_text('/dev/stdin')",
    "select * from read_text('https://example.com/')",
    "from 'https://example.com/x.parquet'",
    "from 's3://bucket/x.parquet'",
    "from 'hf://datasets/a/b.csv'",
    "select * from query('from read_text(''{folder}/secret.csv'')')",
    "select * from query_table('{folder}/secret.csv')",
    "select * from query_table(['{folder}/secret.csv'])",
    "with t as (from '{folder}/secret.csv') select * from t",
    "select (select content from read_text('{folder}/secret.csv'))",
    "select * from judgments where exists (from read_text('{folder}/secret.csv'))",
    "/* x */ select * /* y */ from -- z\n read_text('{folder}/secret.csv')",
    "select * from read_text(chr(47) || 'etc/passwd')",
    "select * from ｒead_text('{folder}/secret.csv')",
    "pivot read_csv('{folder}/secret.csv') on word",
    "summarize from '{folder}/secret.csv'",
    "describe from '{folder}/secret.csv'",
    "explain analyze from '{folder}/secret.csv'",
    # writing files
    "copy judgments to '{folder}/out.csv'",
    "copy judgments to '{folder}/published.duckdb'",
    "copy (select 1) to '{folder}/published.duckdb' (format csv)",
    "copy judgments to '{folder}/out.parquet' (format parquet)",
    "copy judgments to '/dev/stdout'",
    "copy judgments to '/proc/self/fd/1'",
    "with x as (copy judgments to '{folder}/published.duckdb') select 1",
    "with x as (copy judgments to '{folder}/out.csv') select * from x",
    "with x as materialized (copy (select 1) to '{folder}/published.duckdb') from x",
    "select * from (copy judgments to '{folder}/out.csv')",
    "explain copy judgments to '{folder}/published.duckdb'",
    "explain analyze copy judgments to '{folder}/published.duckdb'",
    "explain analyze with x as (copy judgments to '{folder}/published.duckdb') from x",
    "copy judgments from '{folder}/secret.csv'",
    "copy from database published to other",
    "export database '{folder}/out'",
    "import database '{folder}/out'",
    # changing what is there
    "create table t (i int)",
    "create or replace table judgments as select 1 as x",
    "create temp table t as select 1",
    "create view v as select 1",
    "create temp macro m(x) as x",
    "create schema s",
    "create sequence s",
    "create index i on judgments (grade)",
    "create type t as enum ('a')",
    "insert into judgments values (1, 2)",
    "update judgments set grade = 3",
    "delete from judgments",
    "truncate judgments",
    "drop table judgments",
    "drop macro twice",
    "alter table judgments add column x int",
    "merge into judgments using queries on true when matched then delete",
    "with x as (delete from judgments returning *) select * from x",
    "with x as (insert into judgments values (1, 2) returning *) select * from x",
    "comment on table judgments is 'x'",
    "checkpoint",
    "force checkpoint",
    "vacuum",
    "analyze",
    # other databases, extensions, secrets, settings
    "attach '{folder}/other.duckdb'",
    "attach '{folder}/other.duckdb' as o (read_only)",
    "attach ':memory:' as m",
    "attach 'https://example.com/x.duckdb'",
    "detach published",
    "use system",
    "install httpfs",
    "install '{folder}/x.duckdb_extension'",
    "force install spatial from community",
    "load httpfs",
    "load '{folder}/x.duckdb_extension'",
    "create secret s (type s3, key_id 'a', secret 'b')",
    "create persistent secret s (type http)",
    "set enable_external_access = true",
    "set disabled_filesystems = ''",
    "set lock_configuration = false",
    "set memory_limit = '100GB'",
    "set threads = 64",
    "set temp_directory = '{folder}'",
    "set global allowed_directories = ['/']",
    "set variable x = 1",
    "reset memory_limit",
    "reset enable_external_access",
    "pragma enable_profiling",
    "pragma profile_output = '{folder}/out'",
    "pragma log_query_path = '{folder}/out'",
    "pragma database_list",
    "pragma memory_limit = '100GB'",
    "call enable_logging()",
    "call enable_logging(storage = 'file', storage_config = {{'path': '{folder}/out'}})",
    "select set_config('memory_limit', '100GB', false)",
    # more than one statement, and none
    "select 1; select 2",
    "select 1; copy judgments to '{folder}/published.duckdb'",
    "select 1;;; drop table judgments",
    "; ;",
    "-- nothing",
    "/* select 1 */",
    "begin",
    "commit",
    "prepare p as select 1",
    "execute p",
    # this process
    "select getenv('PATH')",
    "from arrow_scan()",
    "from pandas_scan()",
    "from python_map_function((select 1))",
    "from sys",
    "from connection",
    "from arguments",
    "select * from duckdb_extensions()",
    "select 'a\x00b' from judgments; drop table judgments",
    "select '\ufeff' from read_text('{folder}/secret.csv')",
    "selec\u0442 1",
]
# These answer, with nothing in the answer that should not be.
HARMLESS = [
    "select path, options from duckdb_databases()",
    "select * from duckdb_settings()",
    "select current_setting('secret_directory'), current_setting('temp_directory'), current_setting('home_directory')",
    "select * from duckdb_secrets()",
    "select * from duckdb_temporary_files()",
    "select * from pragma_database_size()",
    "select * from pg_catalog.pg_settings",
    "pivot duckdb_databases() on path using count(*)",
    "select list(path), {{'p': any_value(path)}}, map {{any_value(path): 1}} from duckdb_databases()",
    "select path::blob from duckdb_databases()",
    "select twice(grade) from judgments",
    "select * from query('select 1')",
    "select * from query_table('judgments')",
]

# Runs `console_child.main` once for each statement, each in a fork of a process that has done the imports: what is run
# and how it is limited is the same, only quicker to start.
FORKS = """
import base64, json, os, sys
import duckdb, pyarrow, pyarrow.compute
from storage import console_child
statements, arguments = json.load(sys.stdin)
answers = []
for statement in statements:
    (sql_out, sql_in), (answer_out, answer_in) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(sql_out, 0)
        os.dup2(answer_in, 1)
        os.close(sql_in)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        status = 70
        try:
            status = console_child.main(arguments)
            sys.stdout.flush()
        finally:
            os._exit(status)
    os.close(answer_in)
    os.write(sql_in, statement.encode())
    os.close(sql_in)
    os.close(sql_out)
    with os.fdopen(answer_out, "rb") as answer:
        content = answer.read()
    answers.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), base64.b64encode(content).decode()])
print(json.dumps(answers))
"""


def _answers(folder: Path, statements: list[str]) -> list[tuple[int, bytes]]:
    arguments = [str(folder / "published.duckdb"), f"{folder}/", "1000", "512", "10"]
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        input=json.dumps([[statement.format(folder=folder) for statement in statements], arguments]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=ENVIRONMENT,
        check=True,
    )
    return [(status, base64.b64decode(content)) for status, content in json.loads(done.stdout)]


def _state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_no_attack_gets_out_or_alters_a_byte(folder: Path) -> None:
    before = _state(folder)
    answers = _answers(folder, ATTACKS)
    assert _state(folder) == before
    assert len(answers) == len(ATTACKS) >= 60
    for attack, (status, content) in zip(ATTACKS, answers, strict=True):
        assert status == 3, (attack, status, content[:200])
        assert json.loads(content)["message"]
        assert CANARY.encode() not in content, attack


def test_what_answers_discloses_no_path_of_the_host(folder: Path) -> None:
    before = _state(folder)
    for statement, (status, content) in zip(HARMLESS, _answers(folder, HARMLESS), strict=True):
        assert status == 0, (statement, content)
        assert str(folder).encode() not in content, statement
        assert str(Path.home() / ".duckdb").encode() not in content, statement
    assert _state(folder) == before


BOMBS = [
    "select count(*) from range(1000000000000)",
    "select count(*) from judgments a, judgments b, judgments c, judgments d where a.grade < b.grade + c.grade",
    "with recursive r as (select 1 as n union all select n from r) select count(*) from r",
    "select levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "select sum(length(repeat('x', 100000) || i::varchar)) from range(100000000) t(i)",
    "select max(md5(i::varchar)) from range(10000000000) t(i)",
]
MEMORY_BOMBS = [
    "select repeat('x', 2000000000)",
    "select length(repeat('x', 2000000000))",
    "select list_sum(range(500000000))",
    "select lpad('x', 2000000000, 'y')",
    "select format('{:2000000000}', 'x')",
    "select list(i) from range(1000000000) t(i)",
    "select string_agg(i::varchar, repeat('x', 1000)) from range(100000000) t(i)",
    "select * from range(100000000) t(i) order by md5(i::varchar)",
]


def test_a_bomb_is_stopped_by_the_clock_or_by_its_memory(folder: Path) -> None:
    seconds = 0.5

    def run(sql: str) -> tuple[str, float]:
        started = time.monotonic()
        with pytest.raises(UserError) as error:
            run_query(folder / "published.duckdb", sql, seconds=seconds, memory_mb=256)
        return str(error.value), time.monotonic() - started

    before = _state(folder)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(run, [*BOMBS, *MEMORY_BOMBS]))
    for sql, (message, taken) in zip([*BOMBS, *MEMORY_BOMBS], outcomes, strict=True):
        assert taken < seconds + 2, sql
        assert "its 0.5 s are up" in message or "more than 256 MB" in message, (sql, message)
    assert _state(folder) == before


def test_no_process_is_left_behind(folder: Path) -> None:
    with pytest.raises(UserError, match="are up"):
        run_query(folder / "published.duckdb", BOMBS[0], seconds=0.1)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"storage.console_child {folder}" not in running


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
        ("select grad from judgments", 'Candidate bindings: "grade"'),
        ("select * from judgment", 'there is no table judgment. Did you mean "judgments"?'),
        ("select * from zzzzzzzz", "List the tables: show tables"),
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
