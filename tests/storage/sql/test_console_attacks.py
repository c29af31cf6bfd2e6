"""No statement leaves the console, alters a byte, tells of the host, outlives its time or outgrows its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from storage.errors import UserError
from storage.sql.console import NICENESS, run_query
from storage.sql.console_child import REFUSED, SLACK_MB
from tests.conftest import ROOT
from tests.storage.sql.attacks_console import ATTACKS, LIMITED_BOMBS, MEMORY_BOMBS, PARENT_BOMBS, QUIET, TIME_BOMBS
from tests.storage.sql.console_forks import CANARY, Outcome, make_folder, outcomes

SECONDS = 1.0
MEMORY_MB = 256
IMPORTS_MB = 160  # what the process holds before it sees the SQL, generously


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def attacked(folder: Path) -> dict[str, Outcome]:
    return outcomes(folder, ATTACKS)


@pytest.fixture(scope="module")
def quiet(folder: Path) -> dict[str, Outcome]:
    return outcomes(folder, QUIET)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_touches_no_file_and_tells_no_secret(attacked: dict[str, Outcome], name: str) -> None:
    outcome = attacked[name]
    assert outcome.status == REFUSED, outcome
    assert json.loads(outcome.answer)["message"]
    assert CANARY.encode() not in outcome.answer
    assert outcome.is_untouched and outcome.is_sane


@pytest.mark.parametrize("name", QUIET)
def test_what_answers_tells_nothing_of_the_host(quiet: dict[str, Outcome], folder: Path, name: str) -> None:
    outcome = quiet[name]
    assert outcome.status == 0, outcome.answer
    told = str(pa.ipc.open_stream(outcome.answer).read_all().to_pylist())
    for part in (*folder.parts[1:], str(Path.home() / ".duckdb"), CANARY):
        assert part not in told and part[::-1] not in told and part.encode().hex().upper() not in told
    assert outcome.is_untouched and outcome.is_sane


def test_a_query_is_told_where_its_copy_lies_by_a_number_only(quiet: dict[str, Outcome]) -> None:
    (row,) = pa.ipc.open_stream(quiet["database_list"].answer).read_all().to_pylist()
    assert row["file"].startswith(("/proc/", "/dev/fd/"))


BOMBS_AT_EACH_CHECK = ("count", "sleep", "recursion_without_end", "regex")
MEMORY_BOMBS_AT_EACH_CHECK = ("repeat_hidden", "range", "string_agg", "sort", "json_array", "escapes")


ALL_BOMBS = TIME_BOMBS | MEMORY_BOMBS | {name: statement for name, (statement, _) in LIMITED_BOMBS.items()}


def stopped(folder: Path, statements: dict[str, str]) -> dict[str, tuple[str, float]]:
    """Run statements through the parent, two at a time; return what each was told and how long it took."""

    def run(statement: str) -> tuple[str, float]:
        started = time.monotonic()
        with pytest.raises(UserError) as error:
            run_query(folder / "published.duckdb", statement, seconds=SECONDS, memory_mb=MEMORY_MB)
        return str(error.value), time.monotonic() - started

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(statements, pool.map(run, statements.values()), strict=True))


def test_a_bomb_past_a_limit_of_duckdbs_own_is_refused_at_once(folder: Path) -> None:
    statements = {name: statement for name, (statement, _) in LIMITED_BOMBS.items()}
    for name, (message, seconds) in stopped(folder, statements).items():
        is_refused = LIMITED_BOMBS[name][1] in message or "its 1 s are up" in message  # on a machine that is slow
        assert is_refused and seconds < SECONDS + 3, (name, message)


def assert_stopped(folder: Path, statements: dict[str, str]) -> None:
    for name, (message, seconds) in stopped(folder, statements).items():
        assert seconds < SECONDS + 3, name
        assert "its 1 s are up" in message or f"more than {MEMORY_MB} MB" in message, (name, message)


def test_a_bomb_is_stopped_by_the_clock_or_by_its_memory(folder: Path) -> None:
    assert_stopped(folder, {name: TIME_BOMBS[name] for name in BOMBS_AT_EACH_CHECK})
    assert_stopped(folder, {name: MEMORY_BOMBS[name] for name in MEMORY_BOMBS_AT_EACH_CHECK})


@pytest.mark.slow
def test_every_bomb_is_stopped_by_the_clock_or_by_its_memory(folder: Path) -> None:
    assert_stopped(folder, TIME_BOMBS | MEMORY_BOMBS)


@pytest.mark.parametrize(
    "names",
    [MEMORY_BOMBS_AT_EACH_CHECK, pytest.param(tuple(ALL_BOMBS), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_no_bomb_holds_more_memory_than_its_limit(folder: Path, names: tuple[str, ...]) -> None:
    """The system's own count of each process's peak; the process dies of its own alarm, for no parent is there."""
    found = outcomes(folder, {name: ALL_BOMBS[name] for name in names}, memory_mb=MEMORY_MB, seconds=3)
    for name, outcome in found.items():
        assert outcome.status != 0, name
        assert outcome.peak_mb < IMPORTS_MB + MEMORY_MB + SLACK_MB, (name, outcome.peak_mb)
        assert outcome.is_untouched and outcome.is_sane, name


@pytest.mark.parametrize("name", PARENT_BOMBS)
def test_an_answer_that_is_huge_once_unpacked_is_refused_in_the_parent(folder: Path, name: str) -> None:
    """However slow the machine: the reason is the size, and not the clock."""
    with pytest.raises(UserError, match=r"at most|more than"):
        run_query(folder / "published.duckdb", PARENT_BOMBS[name], seconds=60, max_rows=5_000_000, memory_mb=2048)


def test_no_process_is_left_behind(folder: Path) -> None:
    before = children()
    with pytest.raises(UserError, match="are up"):
        run_query(folder / "published.duckdb", TIME_BOMBS["sleep"], seconds=0.1)
    assert children() == before
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_a_query_lets_everybody_else_go_first(folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_query, folder / "published.duckdb", TIME_BOMBS["sleep"], seconds=1.0)
        time.sleep(0.5)
        words = ["pgrep", "-P", str(os.getpid()), "-f", "console_child"]
        (child,) = subprocess.run(words, capture_output=True, text=True).stdout.split()
        assert os.getpriority(os.PRIO_PROCESS, int(child)) == NICENESS
        if (group := Path(f"/proc/{int(child)}/autogroup")).exists():
            assert group.read_text().split()[-1] == str(NICENESS)
        with pytest.raises(UserError, match="are up"):
            running.result()


def children() -> list[str]:
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if "console_child" in line]


# Goes through acts that DuckDB's own fences would refuse; tells of each whether it was done.
_UNFENCED = """
import os, sys
import duckdb
from storage.sql.console_child import ALONE
from storage.sql.landlock import give_up_files
folder = sys.argv[1]
secret = folder + "/secret.csv"
held = open(secret)
copy = os.open(folder + "/published.duckdb", os.O_RDONLY)
connection = duckdb.connect(":memory:", config=ALONE)
connection.execute(f"attach '/dev/fd/{copy}' as published (read_only)")
if not give_up_files():
    sys.exit(3)
run = lambda sql: connection.execute(sql).fetchall()
acts = {
    "read what was open": held.read,
    "read the copy": lambda: run("from published.judgments"),
    "open the copy again": lambda: run(f"attach '/dev/fd/{copy}' as again (read_only)"),
    "read": lambda: run(f"select content from read_text('{secret}')"),
    "write over the copy": lambda: run(f"copy (select 1) to '{folder}/published.duckdb'"),
    "write over the copy's handle": lambda: run(f"copy (select 1) to '/dev/fd/{copy}'"),
    "write": lambda: run(f"copy (select 1) to '{folder}/new.csv'"),
    "attach": lambda: run(f"attach '{folder}/other.duckdb'"),
    "cut off": lambda: os.truncate(secret, 0),
    "delete": lambda: os.unlink(secret),
    "rename": lambda: os.rename(secret, folder + "/x"),
    "list": lambda: os.listdir(folder),
    "run": lambda: os.execv("/bin/true", ["true"]),
}
for name, act in acts.items():
    try:
        act()
        print(name)
    except (OSError, duckdb.Error):
        pass
"""


def test_were_duckdbs_fences_down_the_kernel_would_still_keep_every_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run([sys.executable, "-c", _UNFENCED, folder], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this kernel has no Landlock")
    assert done.stdout.splitlines() == ["read what was open", "read the copy"], done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# Calls of every function DuckDB has with a file's name in each place that takes text.
_SAMPLES = {
    "BIGINT": "1",
    "INTEGER": "1",
    "UBIGINT": "1::ubigint",
    "DOUBLE": "0.5",
    "BOOLEAN": "true",
    "BLOB": "'<folder>/secret.csv'::blob",
    "VARCHAR[]": "['<folder>/secret.csv']",
    "JSON": "'[\"<folder>/secret.csv\"]'::json",
    "MAP(VARCHAR, VARCHAR)": "map {'path': '<folder>/secret.csv'}",
}


def calls(kinds: tuple[str, ...], template: str) -> dict[str, str]:
    """Return a call of every overload of every function of these kinds, by name and number."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select distinct function_name, parameter_types from duckdb_functions() "
            "where list_contains(?, function_type) order by all",
            [list(kinds)],
        ).fetchall()
    written = {}
    for number, (name, types) in enumerate(rows):
        values = ", ".join(_SAMPLES.get(kind, "'<folder>/secret.csv'") for kind in types)
        quoted = name.replace('"', '""')
        written[f"{number}:{name}"] = template.format(call=f'"{quoted}"({values})')
    return written


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "template", "least"),
    [
        (("table", "table_macro", "pragma"), "select * from {call}", 150),
        (("scalar", "macro"), "select {call}", 1200),
        (("aggregate",), "select {call} from judgments", 500),
    ],
    ids=["table", "scalar", "aggregate"],
)
def test_no_function_of_duckdb_reads_or_writes_a_file(
    folder: Path, kinds: tuple[str, ...], template: str, least: int
) -> None:
    """A crash of the throw-away process is an error of its own, and not an escape: nobody else feels it."""
    statements = calls(kinds, template)
    assert len(statements) >= least
    for name, outcome in outcomes(folder, statements, seconds=3, sane_every=25).items():
        assert CANARY.encode() not in outcome.answer, name
        assert outcome.is_untouched and outcome.is_sane, name


@pytest.mark.slow
def test_no_function_that_takes_a_file_answers_for_one(folder: Path) -> None:
    """What reads, lists, sniffs or copies is refused by every name it has, in each way to name a file."""
    with duckdb.connect() as connection:
        names = [
            name
            for (name,) in connection.execute(
                "select distinct function_name from duckdb_functions() where function_type = 'table' and "
                "regexp_matches(function_name, '^(read_|parquet_|sniff|glob)') order by 1"
            ).fetchall()
        ]
    assert len(names) >= 20
    files = ("<folder>/secret.csv", "<folder>/*", "/proc/self/fd/3", "/dev/stdin", "https://example.com/x")
    statements = {f"{name}({file})": f"select * from {name}('{file}')" for name in names for file in files}
    for name, outcome in outcomes(folder, statements).items():
        assert outcome.status == REFUSED, (name, outcome.answer[:200])
        assert CANARY.encode() not in outcome.answer, name
        assert outcome.is_untouched and outcome.is_sane, name
