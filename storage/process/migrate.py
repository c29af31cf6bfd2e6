"""Bring a database to the newest schema: numbered SQL files, each applied once, in one transaction each."""

from __future__ import annotations

from importlib import resources

import duckdb

from storage.clock import now
from storage.errors import UserError


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, name, SQL) of every migration, in order."""
    files = [f for f in resources.files("storage.migrations").iterdir() if f.name.endswith(".sql")]
    return sorted((int(f.name.split("_")[0]), f.name, f.read_text(encoding="utf-8")) for f in files)


def schema_number(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last migration applied; 0 for an empty database."""
    held = connection.execute("select 1 from duckdb_tables() where table_name = 'migrations'").fetchall()
    if not held:
        return 0
    ((at,),) = connection.execute("select coalesce(max(number), 0) from migrations").fetchall()
    return int(at)


def migrate(connection: duckdb.DuckDBPyConnection, *, to: int | None = None) -> None:
    """Apply what is missing, up to migration `to`; UserError when the file was written by a newer afrel.

    Killed in between, the next call goes on with the first that was not finished.
    """
    at = schema_number(connection)
    known = migrations()
    if at > known[-1][0]:
        raise UserError(
            f"the store has schema {at}, this afrel knows {known[-1][0]}: it was written by a newer version. "
            "Upgrade afrel; nothing was changed"
        )
    connection.execute(
        "create table if not exists migrations (number integer primary key, name varchar, applied_at timestamp)"
    )
    for number, name, sql in known:
        if number <= at or (to is not None and number > to):
            continue
        connection.begin()
        try:
            connection.execute(sql)
            connection.execute("insert into migrations values (?, ?, ?)", [number, name, now()])
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
