"""Open the database of a workspace: newest schema, backed up before it changes, and hardened."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from storage import durable
from storage.clock import now
from storage.errors import UserError
from storage.process.migrate import migrate, migrations, schema_number

MEMORY_LIMIT = "4GB"
DYING_SECONDS = 3.0  # a killed store process lets go of its files a little after its locks


def open_database(root: Path, *, folders: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """Open `afrel.duckdb`; DuckDB may touch no file but its own and those in `folders`, and no setting can change.

    UserError says what is wrong with the file and how to mend it; nothing is changed then.
    """
    path = root / "afrel.duckdb"
    connection = _connect(path)
    try:
        at, newest = schema_number(connection), migrations()[-1][0]
        if 0 < at < newest:
            connection.execute("checkpoint").fetchall()
            connection.close()  # a file that is open here must not be copied here: closing the copy drops its lock
            back_up_before_migrating(path, at)
            connection = _connect(path)
        migrate(connection)
        quoted = ", ".join("'" + str(folder).replace("'", "''") + "'" for folder in folders)
        for setting in (
            # Checkpoints are the owner's, when nobody waits; and DuckDB's log keeps every commit until then.
            "wal_autocheckpoint = '1TB'",
            "auto_checkpoint_skip_wal_threshold = 1000000000000",
            f"memory_limit = '{MEMORY_LIMIT}'",
            f"allowed_directories = [{quoted}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"set {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def back_up_before_migrating(path: Path, at: int) -> Path:
    """Copy a database that is not open to `backups/`, so that a schema change can be undone; return the copy."""
    folder = path.parent / "backups"
    copy = folder / f"schema-{at:04d}-{now():%Y%m%dT%H%M%S}.duckdb"
    beside = copy.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(path, beside)
        os.chmod(beside, 0o600)
        durable.sync(beside)
        beside.replace(copy)
        durable.sync(folder)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(
            f"the store has an older schema ({at}) and cannot be copied to {copy} before it is changed: "
            f"{error.strerror}. Nothing was changed. Make room, then run the command again"
        ) from error
    return copy


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + DYING_SECONDS
    while True:
        try:
            return duckdb.connect(str(path), config={"threads": 2})
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            if "onflicting lock" not in message or time.monotonic() > deadline:
                raise UserError(_explained(path, message)) from error
            time.sleep(0.05)


def _explained(path: Path, message: str) -> str:
    log = path.with_suffix(".duckdb.wal")
    if "onflicting lock" in message:
        return f"{path} is open in another program ({message}). Close it there, then run the command again"
    if "WAL" in message or "log" in message.lower():
        return (
            f"{log} is damaged ({message}). Nothing was changed. What was acknowledged is in the journal beside it: "
            f"move the damaged log away (mv {log} {log}.damaged), then run the command again"
        )
    if "No space left" in message:
        return f"the disk of {path} is full. Free some space, then run the command again"
    if "version number" in message or "newer version" in message:
        return f"{path} was written by another DuckDB ({message}). Install the one in constraints.txt"
    return f"cannot open {path}: {message}. If it is damaged, restore a backup: afrel restore BACKUP NEW_FOLDER"
