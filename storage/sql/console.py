"""`afrel sql`: a stranger's query, answered by a process of its own that is gone afterwards.

The process is `console_child`: it gets the published copy already open, without a name, and none of our environment,
and is killed by its whole group when the time is up, whatever DuckDB is doing. The parent reads a bounded answer and
never runs SQL itself.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from storage.errors import UserError
from storage.sql.console_child import REFUSED
from storage.sql.query_results import QueryResult, distinct_names, printable, to_csv, to_json, to_text

__all__ = ["QueryResult", "run_query", "to_csv", "to_json", "to_text"]

MAX_SQL_BYTES = 32 * 2**10  # less than a pipe holds, so that handing it over never waits
MAX_ANSWER_BYTES = 64 * 2**20
MAX_VALUES = 5_000_000  # nulls and booleans take next to no bytes on the way, and dozens each once they are here
STARTUP_SECONDS = 1.0
LOOK_SECONDS = 0.1  # from look to look whether a query is to stop
NICENESS = 10
# All that the process sees: both keep allocators from reserving address space that the limit then counts.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_NARROW = "Select fewer columns or rows, or cut long texts: left(text, 200)"
_ROOT = Path(__file__).resolve().parent.parent.parent


def run_query(
    published: Path,
    sql: str,
    *,
    seconds: float = 10,
    max_rows: int = 10_000,
    memory_mb: int = 1024,
    stop: threading.Event | None = None,
) -> QueryResult:
    """Run one reading statement on the published copy; once `stop` is set its process is killed.

    UserError with DuckDB's message for a statement that is wrong or not allowed, that takes longer than `seconds`,
    more than `memory_mb`, or answers with more than 64 MiB or 5 million values. Rows past `max_rows` are left out and
    `is_truncated` set.
    """
    text = _checked(published, sql)
    numbers = [str(max_rows), str(memory_mb), str(int(seconds + STARTUP_SECONDS) + 2)]
    deadline = time.monotonic() + seconds + STARTUP_SECONDS
    with opened(published) as descriptor, _disposable(descriptor, numbers) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(text)
            child.stdin.close()
        except BrokenPipeError:
            pass  # it is dead already; its status says why
        answer = _read(child.stdout.fileno(), deadline=deadline, seconds=seconds, stop=stop)
        try:
            status = child.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _out_of_time(seconds) from None
    if status == 0:
        return _result(answer)
    if status == REFUSED:
        raise UserError(f"the query was refused: {_readable(json.loads(answer)['message'])}")
    if status in (-signal.SIGXCPU, -signal.SIGALRM):
        raise _out_of_time(seconds)
    why = f"signal {-status}" if status < 0 else f"status {status}"
    raise UserError(
        f"the query's process ended without an answer ({why}): it took more than {memory_mb} MB, or DuckDB failed. "
        "Narrow it with where, fewer columns or limit"
    )


def _checked(published: Path, sql: str) -> bytes:
    if not published.is_file():
        raise UserError(f"there is no published copy at {published}. Make one: afrel sql 'show tables'")
    try:
        text = sql.encode()
    except UnicodeEncodeError:
        raise UserError("the SQL holds half of a character. Type it again") from None
    if not sql.strip():
        raise UserError("there is no SQL. Give some: afrel sql 'show tables'")
    if len(text) > MAX_SQL_BYTES:
        raise UserError(f"the SQL has {len(text):,} bytes; at most {MAX_SQL_BYTES:,} are taken. Split it")
    return text


@contextmanager
def opened(published: Path) -> Iterator[int]:
    """Open the copy under a second name that is gone again, so that no catalog of DuckDB's can tell where it lies.

    A file system without such names (hard links) leaves it the first one, and the path can be read.
    """
    second = published.with_name(f".console-{secrets.token_hex(8)}")
    try:
        os.link(published, second)
    except OSError:
        descriptor = os.open(published, os.O_RDONLY)
    else:
        try:
            descriptor = os.open(second, os.O_RDONLY)
        finally:
            second.unlink()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _disposable(descriptor: int, numbers: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own, with none of our environment; kill its group on the way out."""
    command = [sys.executable, "-s", "-B", "-X", "utf8", "-m", "storage.sql.console_child", str(descriptor)]
    child = subprocess.Popen(
        [*command, *numbers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=ENVIRONMENT,
        pass_fds=(descriptor,),
        start_new_session=True,
    )
    try:
        _give_way(child.pid)
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


def _give_way(process_id: int) -> None:
    """Let everybody else go first: with ten bombs running a claim then takes less than twice as long, not five times.

    A session of its own is a group of its own to Linux' scheduler, which weighs groups before what is in them.
    """
    with suppress(OSError):  # it may be gone already
        os.setpriority(os.PRIO_PROCESS, process_id, NICENESS)
        Path(f"/proc/{process_id}/autogroup").write_text(str(NICENESS), encoding="ascii")


def _read(descriptor: int, *, deadline: float, seconds: float, stop: threading.Event | None) -> bytes:
    """Return what comes until the end; UserError past the deadline or the cap, or when it is to stop."""
    parts: list[bytes] = []
    n_bytes = 0
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            left = max(0.0, deadline - time.monotonic())
            is_ready = selector.select(timeout=left if stop is None else min(left, LOOK_SECONDS))
            if stop is not None and stop.is_set():
                raise UserError("the query was stopped")
            if not is_ready and time.monotonic() < deadline:
                continue
            if not is_ready:
                raise _out_of_time(seconds)
            part = os.read(descriptor, 2**20)
            if not part:
                return b"".join(parts)
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > MAX_ANSWER_BYTES:
                raise UserError(f"the answer has more than {MAX_ANSWER_BYTES // 2**20} MiB. {_NARROW}")


def _result(answer: bytes) -> QueryResult:
    table = pa.ipc.open_stream(answer).read_all()
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UserError(f"a value of the answer cannot be told ({error}). Cast its column: x::varchar") from None
    n_values = sum(_n_values(chunk) for column in table.columns for chunk in column.chunks)
    if n_values > MAX_VALUES:
        raise UserError(f"the answer has {n_values:,} values; at most {MAX_VALUES:,} are told. {_NARROW}")
    facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    columns = distinct_names(table.column_names)
    table = table.rename_columns(list(columns)).replace_schema_metadata(None)
    return QueryResult(columns, tuple(json.loads(facts["types"])), table, facts["more"] == "True")


def _n_values(array: pa.Array) -> int:
    """Count the values of a column, those inside lists and structs too."""
    kind = array.type
    if pa.types.is_struct(kind):
        return len(array) + sum(_n_values(array.field(place)) for place in range(kind.num_fields))
    if pa.types.is_map(kind):
        return len(array) + _n_values(array.keys) + _n_values(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return len(array) + _n_values(array.flatten())
    return len(array)


def _out_of_time(seconds: float) -> UserError:
    return UserError(
        f"the query was stopped: its {seconds:g} s are up. Narrow it with where or limit, or look at a sample: "
        "select … from … using sample 1%"
    )


def _readable(message: str) -> str:
    """Return DuckDB's message without the name of its error class, and in our words where it speaks of settings."""
    if "LocalFileSystem has been disabled" in message or "disabled through configuration" in message:
        return "the console reads the published tables only: no files, extensions, secrets or other databases."
    if "configuration has been locked" in message:
        return "the console's settings cannot be changed."
    return printable(re.sub(r"^(?:\w+ )+Error: ", "", message))
