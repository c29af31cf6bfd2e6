"""The index file opened: a connection a thread, one writer at a time, and a file that may vanish or break.

A missing file is made. One that SQLite cannot read, or of another version, is removed and made anew, empty: all that it
held is in the Argilla server's own database. Each use looks whether the file is still the one that was opened.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from review_app.argilla_search import schema

_LOGGER = logging.getLogger(__name__)
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error says that the file is not what was written: broken, cut short, or without its tables."""
    code = getattr(error, "sqlite_errorcode", 0)
    lacks = code == sqlite3.SQLITE_ERROR and "no such " in str(error)
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ or lacks


class Connections:
    """Gives every thread its connection to one file; safe to share."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it where it is missing or unreadable."""
        self.path = path
        self._threads = threading.local()
        self._opening = threading.RLock()
        self._writing = threading.Lock()
        self._opened: list[sqlite3.Connection] = []
        self.reading()

    def reading(self) -> sqlite3.Connection:
        """Return this thread's connection, to the file that is there now."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is not None and self._threads.file == self._file():
            return connection
        with self._opening:
            if connection is not None:
                connection.close()
                self._opened.remove(connection)
            connection = self._open()
            self._opened.append(connection)
        self._threads.connection, self._threads.file = connection, self._file()
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within one transaction: all of it or, after an exception, nothing."""
        with self._writing:
            connection = self.reading()
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("rollback")
                raise
            connection.execute("commit")

    def make_anew(self) -> None:
        """Remove the file and make an empty one."""
        with self._writing, self._opening:
            self._remove()
            self.reading()

    def replace(self) -> None:
        """Make the file anew that this thread used last, unless another thread or process has done so."""
        with self._writing, self._opening:
            if self._threads.file == self._file():
                self._remove()
            self.reading()

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        with self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
            self._threads = threading.local()

    def _file(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connected()
        except sqlite3.OperationalError:
            raise  # locked, no permission, disk full: nothing that a new file would mend
        except sqlite3.DatabaseError as error:
            _LOGGER.warning("%s cannot be used (%s): it is made anew, empty. Fill it by a reindex", self.path, error)
            self._remove()
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            for pragma in schema.PRAGMAS.split(";"):
                connection.execute(pragma)
            version = connection.execute("pragma user_version").fetchone()[0]
            n_tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
            if n_tables and version != schema.VERSION:
                raise sqlite3.DatabaseError(f"its version is {version}, not {schema.VERSION}")
            connection.execute(schema.DATASETS)
            connection.execute(f"pragma user_version = {schema.VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
