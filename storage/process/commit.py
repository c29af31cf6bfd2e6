"""One transaction: insert what is not held, guard the splits, derive what the new rows touch, note how far we are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import UserError
from storage.process.admission import Admission
from storage.process.id_index import keys_of
from storage.process.journal import Request
from storage.process.maintained import FOUND_BY_PAIR, TOUCHING, derive, read_causes, touched_pairs
from storage.process.places import FIRST_LOCAL, StoreIndexes

Counts = dict[str, int]
# What may be set of rows that are updated in place: table -> column -> type.
UPDATED_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "runs": {"status": "varchar", "counts": "varchar", "finished_at": "timestamp"},
    "jobs": {
        "status": "varchar", "run_id": "varchar", "process": "varchar", "exit_status": "integer",
        "started_at": "timestamp", "finished_at": "timestamp",
    },
}  # fmt: skip
BATCH_ROWS = 100_000  # of a hand-over file, at once in memory


class Commit:
    """One transaction over the owner's connection. `derived` holds the standings it changed, once it has run."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, indexes: StoreIndexes, *, admission: Admission, handover: Path
    ) -> None:
        self._connection = connection
        self._admission = admission
        self._indexes = indexes
        self._handover = handover
        self._inserted: dict[str, list[pa.Table]] = {}
        self.derived: list[pa.Table] = []

    def run(self, requests: Sequence[Request], sequence: int | None) -> list[Counts]:
        """Commit the requests; return rows newly held by table for each. Any error undoes all of them."""
        self._load({table for request in requests for table in (*request.tables, *request.files)})
        self._connection.begin()
        try:
            counts = self._insert_all(requests)
            for request in requests:
                if request.update:
                    self._update(request.update)
            self._derive()
            self._connection.execute(
                "update position set n_commits = n_commits + 1, sequence = coalesce(?, sequence)", [sequence]
            ).fetchall()
            self._connection.commit()
        except BaseException:
            with suppress(duckdb.Error):  # a rollback that fails must not hide why it was needed
                self._connection.rollback()
            self._indexes.rollback()
            self.derived = []
            raise
        self._indexes.commit()
        return counts

    def _load(self, tables: set[str]) -> None:
        """Read the indexes the transaction needs before it begins: they are read from what is committed."""
        if tables & set(TOUCHING):
            tables |= {"candidates", "candidate_status", "pairs", "screenings", *FOUND_BY_PAIR}
        if "pairs" in tables:
            tables |= {"queries"}
        for table in tables - {"candidate_status"}:
            for column in self._indexes.columns(table):
                self._indexes.index(table, column)
        for table in tables:
            self._indexes.n_rows(table)

    def _insert_all(self, requests: Sequence[Request]) -> list[Counts]:
        counts: list[Counts] = [{} for _ in requests]
        # Parents first, whatever order they came in: a pair's query may be in the same group.
        tables = sorted({table for r in requests for table in (*r.tables, *r.files)}, key=_rank)
        for table in tables:
            parts = [(n, request.tables[table]) for n, request in enumerate(requests) if table in request.tables]
            if parts:
                # one chunk: DuckDB reads each chunk by itself, and a group is of many requests of a row
                is_new = self._insert(table, pa.concat_tables([rows for _, rows in parts]).combine_chunks())
                start = 0
                for n, rows in parts:
                    counts[n][table] = int(is_new[start : start + rows.num_rows].sum())
                    start += rows.num_rows
            for n, request in enumerate(requests):
                if table in request.files:
                    for rows in self._batches(table, request.files[table]):
                        counts[n][table] = counts[n].get(table, 0) + int(self._insert(table, rows).sum())
        return counts

    def _batches(self, table: str, name: str) -> Iterator[pa.Table]:
        """Yield the rows of a hand-over file, as the table wants them."""
        with pq.ParquetFile(self._handover / Path(name).name) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield self._admission.admit({table: pa.Table.from_batches([batch])})[table]

    def _insert(self, table: str, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Insert the rows whose id is not held yet; return which those are."""
        keys = keys_of(rows.column(0))
        is_new = ~self._indexes.ids(table).holds(keys)
        _, first = np.unique(keys, return_index=True)
        if len(first) < len(keys):
            is_first = np.zeros(len(keys), np.bool_)
            is_first[first] = True
            is_new &= is_first
        kept = rows if is_new.all() else rows.filter(pa.array(is_new))
        if not kept.num_rows:
            return is_new
        self._connection.register("incoming", kept)
        try:
            self._connection.execute(f"insert into {table} from incoming").fetchall()
            self._indexes.stage(table, kept)
            self._guard_splits(table, kept)
        finally:
            self._connection.unregister("incoming")
        if table in TOUCHING:
            self._inserted.setdefault(table, []).append(kept)
        return is_new

    def _guard_splits(self, table: str, kept: pa.Table) -> None:
        """A pair has its query's split, a query its root's: a test query can never come back as a train one."""
        if table not in ("queries", "pairs"):
            return
        column = "root_query_id" if table == "queries" else "query_id"
        # A root that is not there yet is no fault of a query's; a query that is not there is one of a pair's.
        join = "join" if table == "queries" else "left join"
        places = self._indexes.ids("queries").find(np.unique(keys_of(kept[column])))
        self._connection.register("parent_places", pa.table({"place": places}))
        try:
            rows = self._connection.execute(
                f"select i.{'query_id' if table == 'queries' else 'pair_id'}, i.split, q.split from incoming i "
                f"{join} (select query_id, split from queries where rowid in (from parent_places)) q "
                f"on q.query_id = i.{column} where q.split is distinct from i.split limit 1"
            ).fetchall()
        finally:
            self._connection.unregister("parent_places")
        for row in rows:
            raise UserError(f"{row[0]} is given split {row[1]!r}, its query has {row[2]!r}; nothing was written")

    def _update(self, update: Mapping[str, object]) -> None:
        table, own = ("jobs", "job_id") if "job_id" in update else ("runs", "run_id")
        types = UPDATED_COLUMNS[table]
        clause = ", ".join(f"{name} = cast(${name} as {types[name]})" for name in update if name != own)
        self._connection.execute(f"update {table} set {clause} where {own} = ${own}", dict(update)).fetchall()

    def _derive(self) -> None:
        """Derive the standing of the candidates the new rows touch: insert that of new ones, update that of others."""
        if not self._inserted:
            return
        keys = touched_pairs(self._connection, self._indexes, self._inserted)
        new: list[pa.Table] = []
        for rows in derive(self._connection, self._indexes, keys, causes=read_causes(self._connection)):
            n_old = int(np.searchsorted(rows["place"].to_numpy(), FIRST_LOCAL))
            self._update_standing(rows.slice(0, n_old))
            new.append(rows.slice(n_old))
            self.derived.append(rows)
        n_new = sum(rows.num_rows for rows in self._inserted.get("candidates", []))
        if n_new:
            self._insert_standing(pa.concat_tables(new).sort_by("place"), n_new)

    def _insert_standing(self, rows: pa.Table, n_new: int) -> None:
        """Insert the standing of new candidates in their order: row i is that of row i of candidates."""
        if not np.array_equal(rows["place"].to_numpy(), np.arange(FIRST_LOCAL, FIRST_LOCAL + n_new)):
            raise RuntimeError(f"the standing of {n_new} new candidates was derived for {rows.num_rows}")
        self._connection.register("derived", rows.drop_columns("place"))
        try:
            self._connection.execute("insert into candidate_status from derived").fetchall()
        finally:
            self._connection.unregister("derived")
        self._indexes.grew("candidate_status", rows.num_rows)

    def _update_standing(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        self._connection.register("derived", rows)
        try:
            self._connection.execute(UPDATE_STANDING).fetchall()
        finally:
            self._connection.unregister("derived")


UPDATE_STANDING = """
update candidate_status s
set status = d.status, n_answers = d.n_answers, n_required = d.n_required, cause = d.cause, priority = d.priority
from derived d
where s.rowid = d.place
"""


def _rank(table: str) -> tuple[bool, bool, str]:
    return (table != "queries", table != "pairs", table)
