"""The read-only copy anyone may open: every table and the views one asks for, people by pseudonym, test grades blank.

Made beside and renamed, so that a reader of the old copy keeps it undisturbed. What came since is added to a copy of
the old one where that is right as far as it goes; else all is built anew, slice by slice, at a pace that leaves the
machine to others. How far a copy goes is written in it; its time of change says that nobody altered it since.
"""

from __future__ import annotations

import calendar
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb

from storage import durable
from storage.clock import now
from storage.errors import UserError
from storage.publishing.masking import FACTS
from storage.publishing.pace import CpuPace, next_publish_at
from storage.publishing.reach import Cursor, Reach, Schema, can_grow, read_n_commits, read_reach, read_schema
from storage.publishing.rows import append, catch_up, create_tables, form, name_people, split_all

__all__ = ["begin_snapshot", "next_publish_at", "publish"]

SLICE = 2 * 122_880  # rows copied at once: whole row groups of DuckDB's
N_TRIES = 3
COPIED_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class Held:
    """The copy that is there: the commit it shows, and how far it reaches."""

    n_commits: int
    reach: Reach


def begin_snapshot(cursor: Cursor) -> None:
    """Begin the transaction that `publish` shall show, where no commit can come between it and taking changed pairs."""
    cursor.begin()
    read_n_commits(cursor)


def publish(cursor: Cursor, *, root: Path, scratch: Path, changed_pairs: Sequence[str] | None) -> Path:
    """Bring `published.duckdb` up to what the store has committed; return its path. One call at a time.

    `changed_pairs` are those whose candidate_status changed since the last publish that succeeded; None: unknown. They
    count only when `begin_snapshot` was called on the cursor as they were taken. Whatever stops this leaves the old
    copy as it was, and at most files in `scratch`, which the next call removes.
    """
    copy, building = root / "published.duckdb", scratch / "building.duckdb"
    _clear(scratch)
    try:
        if not _is_in_transaction(cursor):
            begin_snapshot(cursor)
            changed_pairs = None
        schema = read_schema(cursor)
        held = _read_held(cursor, copy, scratch, form=form(schema))
        if held is not None and not can_grow(cursor, schema, held.reach):
            held = None
        if held is not None and held.n_commits == read_n_commits(cursor):
            return copy
        made_at = None
        if held is not None:
            _check_space(root, copy)
            made_at = _grow(cursor, schema, held, copy, building, changed_pairs=changed_pairs)
        if made_at is None:
            _check_space(root, root / "afrel.duckdb")
            with suppress(duckdb.Error):
                cursor.rollback()
            made_at = _build(cursor, schema, building)
        _put_in_place(building, copy, made_at)
    except BaseException:
        with suppress(OSError):
            _clear(scratch)
        raise
    finally:
        with suppress(duckdb.Error):  # there is none when all went well
            cursor.rollback()
    return copy


def _is_in_transaction(cursor: Cursor) -> bool:
    first, second = (cursor.execute("select txid_current()").fetchall() for _ in range(2))
    return first == second


def _read_held(cursor: Cursor, copy: Path, scratch: Path, *, form: str) -> Held | None:
    """Return how far the copy goes; None when there is none, or it is damaged, altered or of another form.

    DuckDB may open files in `scratch` only, and whoever has the copy open may lock it: hence a link, read only.
    """
    if not copy.exists() or _log_of(copy).exists() or copy.stat().st_mtime_ns % 10**9:
        return None
    linked = scratch / "held.duckdb"
    os.link(copy, linked)
    with closing(cursor.cursor()) as reader:
        try:
            reader.execute(f"attach {_quoted(linked)} as held (read_only)").fetchall()
            ((made_at, n_commits, its_form),) = reader.execute(
                "select made_at, n_commits, form from held.publication"
            ).fetchall()
            rows = reader.execute("select table_name, n_rows, last_id_digest from held.publication_rows").fetchall()
        except (duckdb.Error, ValueError):
            return None
        finally:
            reader.execute("detach database if exists held").fetchall()
            linked.unlink()
    if its_form != form or _seconds(made_at) != int(copy.stat().st_mtime):
        return None
    return Held(n_commits, Reach({table: n for table, n, _ in rows}, {table: last_id for table, _, last_id in rows}))


def _grow(
    cursor: Cursor, schema: Schema, held: Held, copy: Path, building: Path, *, changed_pairs: Sequence[str] | None
) -> datetime | None:
    """Make a copy of the one that is there and add what it lacks; None when it turns out to be damaged."""
    _copy_file(copy, building)
    try:
        with _attached(cursor, building):
            return _finish(cursor, schema, held.reach, is_new=False, changed_pairs=changed_pairs)
    except duckdb.InterruptException:
        raise
    except duckdb.Error:  # whatever else is wrong, building anew will say
        building.unlink()
        return None


def _build(cursor: Cursor, schema: Schema, building: Path) -> datetime:
    """Make a copy from nothing: the bulk of the rows with no transaction held open, then what came meanwhile."""
    pace = CpuPace()
    for _ in range(N_TRIES):
        with _attached(cursor, building):
            create_tables(cursor, schema)
            reach = read_reach(cursor, schema)
            name_people(cursor)
            split_all(cursor)
            for table in FACTS:
                for start in range(0, reach.n_rows[table], SLICE):
                    stop = min(start + SLICE, reach.n_rows[table])
                    pace.run(partial(append, cursor, schema, table, start=start, stop=stop))
                    durable.sync(building)  # in pieces, see _copy_file
            begin_snapshot(cursor)
            if can_grow(cursor, schema, reach):  # nobody erased anything meanwhile
                return pace.run(partial(_finish, cursor, schema, reach, is_new=True, changed_pairs=None))
        building.unlink()
    raise RuntimeError(f"the store changed what it had {N_TRIES} times while its copy was made")


def _finish(
    cursor: Cursor, schema: Schema, since: Reach, *, is_new: bool, changed_pairs: Sequence[str] | None
) -> datetime:
    """Bring the attached copy up to the cursor's transaction, end that, and fold the copy's file; return its time."""
    made_at = now().replace(microsecond=0)
    catch_up(cursor, schema, since=since, is_new=is_new, changed_pairs=changed_pairs, made_at=made_at)
    cursor.commit()
    cursor.execute("checkpoint published").fetchall()
    return made_at


@contextmanager
def _attached(cursor: Cursor, building: Path) -> Iterator[None]:
    """Attach a file as `published`; it needs no log, because a copy that is not finished is thrown away."""
    cursor.execute(
        f"attach {_quoted(building)} as published (recovery_mode no_wal_writes, storage_version 'v1.2.0')"
    ).fetchall()
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            cursor.rollback()
        cursor.execute("detach database if exists published").fetchall()


def _put_in_place(building: Path, copy: Path, made_at: datetime) -> None:
    os.chmod(building, 0o600)
    os.utime(building, (_seconds(made_at), _seconds(made_at)))
    durable.sync(building)
    _log_of(copy).unlink(missing_ok=True)  # of somebody who opened the old copy to write: it does not fit the new one
    os.replace(building, copy)
    durable.sync(copy.parent)


def _copy_file(source: Path, target: Path) -> None:
    """Copy in the kernel; a file system that can share blocks does not even read them.

    Put on disk piece by piece: a commit's own fsync would else wait for all of it.
    """
    with open(source, "rb") as read, open(target, "wb") as written:
        while os.copy_file_range(read.fileno(), written.fileno(), COPIED_AT_ONCE):
            os.fdatasync(written.fileno())


def _check_space(root: Path, like: Path) -> None:
    """A full disk in the middle of a write would cost the store process its database."""
    needed, free = like.stat().st_size * 5 // 4 + (1 << 24), shutil.disk_usage(root).free
    if free < needed:
        raise UserError(
            f"a new published copy needs {needed >> 20} MB, and the disk of {root} has {free >> 20} MB free. "
            "Free some, then run the command again"
        )


def _clear(scratch: Path) -> None:
    for left_over in scratch.iterdir():
        left_over.unlink()


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _seconds(at: datetime) -> int:
    return calendar.timegm(at.timetuple())


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
