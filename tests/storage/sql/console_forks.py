"""Run many statements through `console_child.main`, each in a fork of a process that has done the imports.

What is run and how it is limited is the same as in `afrel sql`, only quicker to start: 40 ms in place of 350.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from storage.sql.console import ENVIRONMENT, opened
from tests.conftest import ROOT

CANARY = "canary-7f3a"
SANE = "select count(*) as n from judgments"
_FORKS = """
import base64, hashlib, json, os, sys
import duckdb, pyarrow, pyarrow.compute
from storage.sql import console_child
statements, arguments, folder, sane, every = json.load(sys.stdin)

def state():
    return {name: hashlib.sha256(open(os.path.join(folder, name), "rb").read()).hexdigest()
            for name in sorted(os.listdir(folder))}

def answered(statement):
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
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), content, used.ru_maxrss

before, wanted, outcomes, is_sane = state(), answered(sane)[:2], [], True
for number, statement in enumerate(statements, 1):
    status, content, peak_kb = answered(statement)
    is_untouched = state() == before
    if number % every == 0 or number == len(statements):
        is_sane = wanted[0] == 0 and answered(sane)[:2] == wanted
    outcomes.append([status, base64.b64encode(content).decode(), peak_kb, is_untouched, is_sane])
print(json.dumps(outcomes))
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one statement led to: its process's exit, answer and peak of memory; the folder and the console after it."""

    status: int
    answer: bytes
    peak_mb: float
    is_untouched: bool
    is_sane: bool


def make_folder(folder: Path) -> Path:
    """Fill a folder with a published copy and files beside it that nobody may read through it."""
    with duckdb.connect(str(folder / "published.duckdb")) as connection:
        connection.execute("create table judgments as select i as judgment_id, i % 4 as grade from range(1000) t(i)")
        connection.execute("create table queries as select 'red shoes' as text, 'q_1' as query_id")
        connection.execute("create macro twice(x) as x * 2")
    (folder / "secret.csv").write_text(f"word\n{CANARY}\n")
    (folder / "secret.json").write_text(json.dumps({"word": CANARY}))
    with duckdb.connect(str(folder / "other.duckdb")) as connection:
        connection.execute(f"create table secrets as select '{CANARY}' as word")
        connection.execute(f"copy secrets to '{folder / 'queries.parquet'}'")
    return folder


def outcomes(
    folder: Path, statements: Mapping[str, str], *, memory_mb: int = 512, seconds: int = 10, sane_every: int = 1
) -> dict[str, Outcome]:
    """Run named statements on the folder's copy, one after another; after so many, look whether all is as it was."""
    texts = [statement.replace("<folder>", str(folder)) for statement in statements.values()]
    with opened(folder / "published.duckdb") as descriptor:
        arguments = [str(descriptor), "1000", str(memory_mb), str(seconds)]
        done = subprocess.run(
            [sys.executable, "-c", _FORKS],
            input=json.dumps([texts, arguments, str(folder), SANE, sane_every]),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            timeout=600,
            env=ENVIRONMENT,
            pass_fds=(descriptor,),
            check=True,
        )
    return {
        name: Outcome(status, base64.b64decode(answer), peak_kb / 1024, is_untouched, is_sane)
        for name, (status, answer, peak_kb, is_untouched, is_sane) in zip(
            statements, json.loads(done.stdout), strict=True
        )
    }
