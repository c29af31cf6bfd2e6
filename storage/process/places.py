"""The indexes of a store: which columns have one, read from the tables when first asked, kept on disk between lives.

A saved index says how many rows it covers and the last of their ids; rows that came since are read from the table, and
an index that does not fit its table is made anew. Losing the folder loses nothing.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from storage import durable
from storage.process.id_index import IdIndex, Keys, Places, keys_of, sorted_keys

# Columns by which the owner looks rows up, beside the id of each table, which is its first column.
ALSO_INDEXED: Mapping[str, tuple[str, ...]] = {
    "pairs": ("query_id",),
    "candidates": ("pair_id",),
    "comments": ("candidate_id",),
    "screenings": ("candidate_id",),
    "step_verdicts": ("candidate_id",),
    "responses": ("pair_id",),
    "send_backs": ("pair_id",),
    "judgments": ("pair_id",),
    "rule_votes": ("pair_id",),
    "predictions": ("pair_id",),
    "tier_members": ("pair_id",),
}
# DuckDB numbers the rows a transaction has inserted and not committed yet from here, in order; a commit moves them
# behind the committed ones (its MAX_ROW_ID; a test holds it).
FIRST_LOCAL = 36_028_797_018_960_000
FEW_ROWS = 20_000  # read anew in milliseconds: not worth a file


Segment = tuple[Keys, Places]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a saved index covers: so many rows, the last of which has this id."""

    n_rows: int
    last_id: str


_NONE: Segment = (np.empty(0, np.uint64), np.empty(0, np.int64))


class StoreIndexes:
    """Indexes by table and column. Whatever reads a table does so under the owner's lock."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        columns: Mapping[str, Mapping[str, bool]],
        *,
        lock: threading.RLock,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._folder = folder
        self._columns = columns
        self._indexes: dict[tuple[str, str], IdIndex] = {}
        self._n_rows: dict[str, int] = {}
        self._n_local: dict[str, int] = {}

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the indexed columns of a table, its id first."""
        return (next(iter(self._columns[table])), *ALSO_INDEXED.get(table, ()))

    def is_loaded(self, table: str) -> bool:
        """Say whether all indexes of a table are in memory."""
        return all((table, column) in self._indexes for column in self.columns(table))

    def index(self, table: str, column: str) -> IdIndex:
        """Return the index of a column, loaded when needed."""
        held = self._indexes.get((table, column))
        if held is not None:
            return held
        with self._lock:
            held = self._indexes.get((table, column))
            return held if held is not None else self._load(table, column)

    def ids(self, table: str) -> IdIndex:
        """Return the index of a table's id."""
        return self.index(table, self.columns(table)[0])

    def n_rows(self, table: str) -> int:
        """Return the number of committed rows of a table."""
        if table not in self._n_rows:
            with self._lock:
                ((n,),) = self._connection.execute(
                    f"select coalesce(max(rowid) + 1, 0) from {table} where rowid < {FIRST_LOCAL}"
                ).fetchall()
                self._n_rows[table] = int(n)
        return self._n_rows[table]

    def stage(self, table: str, rows: pa.Table) -> None:
        """Note rows that this transaction inserts: they are found at once, and kept by `commit`."""
        first = FIRST_LOCAL + self._n_local.get(table, 0)
        for column in self.columns(table):
            self.index(table, column).stage(keys_of(rows[column]), first)
        self.grew(table, rows.num_rows)

    def grew(self, table: str, n: int) -> None:
        """Note that this transaction inserts n rows."""
        self._n_local[table] = self._n_local.get(table, 0) + n

    def commit(self) -> None:
        """Keep what was staged."""
        for table, n in self._n_local.items():
            for column in self.columns(table):
                if (table, column) in self._indexes:
                    self._indexes[table, column].commit(self._n_rows[table] - FIRST_LOCAL)
            self._n_rows[table] += n
        self._n_local.clear()

    def rollback(self) -> None:
        """Forget what was staged."""
        for index in list(self._indexes.values()):
            index.rollback()
        self._n_local.clear()

    def mend(self) -> None:
        """Read again every index that does not say what its table says, and drop what is on disk."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for at in list(self.differing()):
            del self._indexes[at]

    def save(self) -> None:
        """Write what is loaded and has grown by a tenth since it was saved."""
        register = self._register()
        stale = [at for at in self._indexes if self._is_worth_saving(at, register)]
        if not stale:
            return
        self._folder.mkdir(exist_ok=True)
        for table, column in stale:
            n = self.n_rows(table)
            keys, places = self._indexes[table, column].merged()
            for name, array in (("keys", keys), ("places", places)):
                path = self._folder / _file_name(table, column, n, name)
                with open(path.with_suffix(".part"), "wb") as file:
                    np.save(file, array)
                path.with_suffix(".part").replace(path)
            register[table, column] = Saved(n, self._id_at(table, n - 1))
        said = {f"{table}.{column}": asdict(saved) for (table, column), saved in register.items()}
        durable.replace(self._folder / "index.json", json.dumps(said), folder=self._folder, mode=0o600)
        self._remove_old(register)

    def differing(self) -> Iterator[tuple[str, str]]:
        """Yield (table, column) of every loaded index that does not say what its table says."""
        for (table, column), index in list(self._indexes.items()):
            keys, places = _read(self._connection, table, column, 0)
            held_keys, held_places = index.merged()
            is_same = len(keys) == len(held_keys) and bool(
                (keys == held_keys).all() and (np.sort(places) == np.sort(held_places)).all()
            )
            if not is_same:
                yield table, column

    def _load(self, table: str, column: str) -> IdIndex:
        saved = self._saved(table, column)
        n_covered = len(saved[0])
        tail = _read(self._connection, table, column, n_covered) if self.n_rows(table) > n_covered else _NONE
        self._indexes[table, column] = IdIndex(saved, tail)
        return self._indexes[table, column]

    def _saved(self, table: str, column: str) -> Segment:
        saved = self._register().get((table, column))
        if saved is None or saved.n_rows > self.n_rows(table) or saved.last_id != self._id_at(table, saved.n_rows - 1):
            return _NONE
        try:
            keys, places = (
                np.load(self._folder / _file_name(table, column, saved.n_rows, name), mmap_mode="r")
                for name in ("keys", "places")
            )
        except (OSError, ValueError):
            return _NONE
        return (keys, places) if len(keys) == len(places) == saved.n_rows else _NONE

    def _is_worth_saving(self, at: tuple[str, str], register: Mapping[tuple[str, str], Saved]) -> bool:
        n = self.n_rows(at[0])
        return n > FEW_ROWS and (at not in register or n > register[at].n_rows * 1.1)

    def _id_at(self, table: str, place: int) -> str:
        rows = self._connection.execute(
            f"select {self.columns(table)[0]} from {table} where rowid = ?", [place]
        ).fetchall()
        return str(rows[0][0]) if rows else ""

    def _register(self) -> dict[tuple[str, str], Saved]:
        try:
            said = json.loads((self._folder / "index.json").read_text(encoding="utf-8"))
            return {(at.split(".")[0], at.split(".")[1]): Saved(**saved) for at, saved in said.items()}
        except (OSError, ValueError, TypeError, AttributeError, IndexError):
            return {}

    def _remove_old(self, register: Mapping[tuple[str, str], Saved]) -> None:
        kept = {
            _file_name(table, column, saved.n_rows, name)
            for (table, column), saved in register.items()
            for name in ("keys", "places")
        }
        for path in self._folder.glob("*.npy"):
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _file_name(table: str, column: str, n_rows: int, name: str) -> str:
    return f"{table}.{column}.{n_rows}.{name}.npy"


def _read(connection: duckdb.DuckDBPyConnection, table: str, column: str, first_place: int) -> Segment:
    """Read a column from the table, from a place on."""
    rows = (
        connection.cursor()
        .sql(f"select rowid as place, {column} as id from {table} where rowid >= $first", params={"first": first_place})
        .to_arrow_table()
    )
    return sorted_keys(keys_of(rows["id"]), rows["place"].to_numpy())
