"""Write the database file anew, so that it holds what its rows say now and nothing they said before.

DuckDB leaves old values behind: in blocks that are free, and in the unused parts of blocks that are not. Overwriting
the free ones leaves the second kind (measured), so the whole file is written anew beside and then takes the old one's
place, while nobody has the database open.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from storage import durable
from storage.errors import UserError
from storage.process.table_columns import columns_of

DATABASE = "afrel.duckdb"
FRESH = "rewritten.duckdb"


def rewrite(connection: duckdb.DuckDBPyConnection, *, scratch: Path) -> Path:
    """Write what the database holds to a new file in the scratch folder, every row in its place; return the file.

    Nothing may be committed from here until `take_over`. UserError when there is no room.
    """
    fresh = scratch / FRESH
    for left_over in (fresh, fresh.with_suffix(".duckdb.wal")):
        left_over.unlink(missing_ok=True)
    quoted = str(fresh).replace("'", "''")
    ((name,),) = connection.execute("select current_database()").fetchall()
    try:
        connection.execute(f"attach '{quoted}' as rewritten").fetchall()
        try:
            connection.execute(f'copy from database "{name}" to rewritten').fetchall()
            _require_same(connection)
            connection.execute("checkpoint rewritten").fetchall()
        finally:
            connection.execute("detach rewritten").fetchall()
    except duckdb.IOException as error:
        fresh.unlink(missing_ok=True)
        raise UserError(
            f"the rows are blanked, but {DATABASE} still holds what they said: it cannot be written anew to {scratch} "
            f"({str(error).splitlines()[0]}). Make room for as much again, then run the command again"
        ) from error
    os.chmod(fresh, 0o600)
    durable.sync(fresh)
    return fresh


def take_over(root: Path, fresh: Path) -> None:
    """Put a rewritten file in the place of the database, which nobody may have open."""
    log = root / f"{DATABASE}.wal"
    if log.exists() and log.stat().st_size:
        raise RuntimeError(f"{log} is not folded into its database: it would be lost")
    log.unlink(missing_ok=True)
    os.replace(fresh, root / DATABASE)
    durable.sync(root)


def _require_same(connection: duckdb.DuckDBPyConnection) -> None:
    """Check that each table has the same ids in the same places."""
    for table, columns in columns_of(connection).items():
        own = next(iter(columns))
        marks = [
            connection.execute(f"select count(*), bit_xor(hash(rowid, {own})) from {place}{table}").fetchall()
            for place in ("", "rewritten.")
        ]
        if marks[0] != marks[1]:
            raise RuntimeError(f"{table} was not copied row by row: {marks}")
