"""The one place that holds the database open: appends facts, answers named reads, chooses for reviewers.

Facts are inserted, never edited; rows whose id is already held are dropped, so a retry after any crash is safe. The
connection is hardened before the first request: no file but the hand-over and publish folders, settings locked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id
from storage.maintained import MAINTAINED, TOUCHES, maintain
from storage.migrate import migrate
from storage.published import publish
from storage.reads import READS

Tables = Mapping[str, pa.Table | str]  # table name -> rows, or the name of a Parquet file in the hand-over folder
LEASE = timedelta(minutes=30)
LEFT_OVER_SECONDS = 3600
RUN_COLUMNS = {"status", "counts", "finished_at"}

_CLAIM = """
select q.candidate_id
from queue q
where not exists (select 1 from standing_responses s where s.pair_id = q.pair_id and s.account = $account)
  and q.n_open > (
    select count(distinct l.account) from leases l
    where l.candidate_id = q.candidate_id and l.account <> $account and l.until > $now
      and not exists (
        select 1 from standing_responses s where s.pair_id = q.pair_id and s.account = l.account))
order by q.priority desc, q.candidate_id
limit $n
"""


class Owner:
    """The open database. Writes are serialised by a lock; reads run on cursors of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.handover_dir = root / "handover"
        self._publish_dir = root / ".publish"
        for folder in (self.handover_dir, self._publish_dir):
            folder.mkdir(exist_ok=True)
        for left_over in self.handover_dir.glob("*.parquet"):
            if time.time() - left_over.stat().st_mtime > LEFT_OVER_SECONDS:
                left_over.unlink()  # its client was killed; a living one still asks for its own
        try:
            self._connection = duckdb.connect(str(root / "afrel.duckdb"), config={"threads": 2})
        except duckdb.Error as error:
            raise UserError(f"cannot open {root / 'afrel.duckdb'}: {str(error).splitlines()[0]}") from error
        migrate(self._connection)
        folders = ", ".join("'" + str(f).replace("'", "''") + "'" for f in (self.handover_dir, self._publish_dir))
        self._connection.execute(f"set allowed_directories = [{folders}]")
        self._connection.execute("set enable_external_access = false")
        self._connection.execute("set lock_configuration = true")
        self._columns = self._read_columns()
        self._writing = threading.Lock()

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        with self._writing:
            self._connection.close()

    def append(self, requests: Sequence[Tables]) -> list[dict[str, int] | Exception]:
        """Append several requests under one commit; return rows newly held by table, or each request's own error.

        When one of them fails, all are undone and each is tried by itself, so that nobody pays for another's mistake.
        """
        with self._writing:
            try:
                return list(self._in_one_transaction(requests))
            except Exception as error:
                if len(requests) == 1:
                    return [error]
            outcomes: list[dict[str, int] | Exception] = []
            for request in requests:
                try:
                    outcomes += self._in_one_transaction([request])
                except Exception as error:
                    outcomes.append(error)
            return outcomes

    def read(self, name: str, params: Mapping[str, Any], *, sees_test: bool) -> pa.Table:
        """Answer a named read; UserError for an unknown one or one that shows test grades to who may not see them."""
        read = READS.get(name)
        if read is None:
            raise UserError(f"there is no read named {name!r}")
        if read.shows_test and not sees_test:
            raise UserError(f"read {name!r} shows test grades; this store was opened without them")
        cursor = self._connection.cursor()
        try:
            return cursor.sql(read.sql, params=dict(params) or None).to_arrow_table()
        finally:
            cursor.close()

    def claim(self, account: str, n: int, session: str, sequence: int) -> pa.Table:
        """Choose the next n candidates for a reviewer and lease them, atomically; one column, candidate_id."""
        with self._writing:
            at = now()
            self._connection.begin()
            try:
                chosen = self._connection.execute(_CLAIM, {"account": account, "now": at, "n": n}).fetchall()
                for place, (candidate_id,) in enumerate(chosen):
                    lease_id = action_id(account, f"{session}:lease:{sequence}", place)
                    held = self._connection.execute("select 1 from leases where lease_id = ?", [lease_id]).fetchall()
                    if not held:
                        row = [lease_id, candidate_id, account, at + LEASE, at]
                        self._connection.execute("insert into leases values (?, ?, ?, ?, ?)", row)
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise
        return pa.table({"candidate_id": pa.array([c for (c,) in chosen], pa.string())})

    def update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Set status, counts or end of a run: the one fact that is updated in place."""
        unknown = set(values) - RUN_COLUMNS
        if unknown or not values:
            raise ValueError(f"a run's {sorted(unknown)} cannot be updated")
        with self._writing:
            clause = ", ".join(f"{name} = ${name}" for name in values)
            self._connection.execute(f"update runs set {clause} where run_id = $run_id", {**values, "run_id": run_id})

    def publish(self) -> Path:
        """Write the read-only copy if it is older than the facts; return its path."""
        with self._writing:
            return publish(self._connection, root=self.root, scratch=self._publish_dir)

    def rebuild(self) -> dict[str, int]:
        """Derive the maintained tables anew from all facts; return how many rows each differed by."""
        with self._writing:
            self._connection.begin()
            try:
                for table in MAINTAINED:
                    self._connection.execute(f"create or replace temp table before_{table} as from {table}")
                self._connection.execute(
                    "create or replace temp table touched as select distinct pair_id from candidates"
                )
                maintain(self._connection)
                differing = {table: self._n_differing(table) for table in MAINTAINED}
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise
        return differing

    def _n_differing(self, table: str) -> int:
        return int(
            self._first(
                f"select count(*) from ((from {table} except from before_{table}) "
                f"union all (from before_{table} except from {table}))"
            )[0]
        )

    def _first(self, sql: str) -> tuple[Any, ...]:
        """Return the first row, the result drained: DuckDB refuses the next statement otherwise."""
        return tuple(self._connection.execute(sql).fetchall()[0])

    def _read_columns(self) -> dict[str, dict[str, bool]]:
        """Return {table: {column: is nullable}}, columns in order: the first is the id."""
        rows = self._connection.execute(
            "select table_name, column_name, is_nullable from duckdb_columns() "
            "where not internal and schema_name = 'main' order by table_oid, column_index"
        ).fetchall()
        columns: dict[str, dict[str, bool]] = {}
        for table, column, is_nullable in rows:
            columns.setdefault(table, {})[column] = bool(is_nullable)
        return columns

    def _in_one_transaction(self, requests: Sequence[Tables]) -> list[dict[str, int] | Exception]:
        self._connection.begin()
        try:
            self._connection.execute("create or replace temp table touched (pair_id varchar)")
            outcomes: list[dict[str, int] | Exception] = [
                {table: self._insert(table, rows) for table, rows in request.items()} for request in requests
            ]
            if self._first("select count(*) from touched")[0]:
                maintain(self._connection)
            self._connection.commit()
        except BaseException:
            with suppress(duckdb.Error):  # a rollback that fails must not hide why it was needed
                self._connection.rollback()
            raise
        return outcomes

    def _insert(self, table: str, rows: pa.Table | str) -> int:
        """Insert the rows whose id is not held yet; return their number."""
        if table not in self._columns or table in MAINTAINED or table == "migrations":
            raise UserError(f"there is no table {table!r} to append to")
        if isinstance(rows, str):
            path = self.handover_dir / Path(rows).name
            incoming = self._connection.read_parquet(str(path)).to_arrow_table()
        else:
            incoming = rows
        self._check_columns(table, incoming)
        key = next(iter(self._columns[table]))
        self._connection.register("incoming", incoming)
        try:
            inserted = self._first(
                f"insert into {table} by name select * from incoming i "
                f"where not exists (select 1 from {table} t where t.{key} = i.{key}) "
                f"qualify row_number() over (partition by i.{key}) = 1"
            )
            self._guard_splits(table)
            if table in TOUCHES:
                self._connection.execute(f"insert into touched {TOUCHES[table]}")
        finally:
            self._connection.unregister("incoming")
        return int(inserted[0])

    def _check_columns(self, table: str, incoming: pa.Table) -> None:
        columns = self._columns[table]
        unknown = sorted(set(incoming.column_names) - set(columns))
        missing = sorted(c for c, is_nullable in columns.items() if not is_nullable and c not in incoming.column_names)
        if unknown or missing:
            raise UserError(f"rows for {table} have unknown columns {unknown} and lack {missing}")

    def _guard_splits(self, table: str) -> None:
        """A pair has its query's split, a query its root's: a test query can never come back as a train one."""
        if table == "queries":
            sql = (
                "select i.query_id, i.split, r.split from incoming i "
                "join queries r on r.query_id = i.root_query_id where r.split <> i.split limit 1"
            )
        elif table == "pairs":
            sql = (
                "select i.pair_id, i.split, q.split from incoming i left join queries q using (query_id) "
                "where q.split is distinct from i.split limit 1"
            )
        else:
            return
        for row in self._connection.execute(sql).fetchall():
            raise UserError(f"{row[0]} is given split {row[1]!r}, its query has {row[2]!r}; nothing was written")
