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


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Apply what is missing; UserError when the file was written by a newer afrel."""
    connection.execute(
        "create table if not exists migrations (number integer primary key, name varchar, applied_at timestamp)"
    )
    ((at,),) = connection.execute("select coalesce(max(number), 0) from migrations").fetchall()
    known = migrations()
    if at > known[-1][0]:
        raise UserError(
            f"the store has schema {at}, this afrel knows {known[-1][0]}: it was written by a newer version. "
            "Upgrade afrel; nothing was changed"
        )
    for number, name, sql in known:
        if number <= at:
            continue
        connection.begin()
        try:
            connection.execute(sql)
            connection.execute("insert into migrations values (?, ?, ?)", [number, name, now()])
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
