"""Blank what an erasure reaches, and note that it happened: in one transaction of the caller's, no row moved.

DuckDB updates text in place, so rows keep their places; a list it would delete and insert anew at the end, so a table
with lists to blank is written anew in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from storage.ids import content_id
from storage.safekeeping.erasure_scope import BLANKINGS, KIND_OF_SET, MARK, SETS, Blanking, count_to_do

SCREEN = "erased"  # a candidate of an erased pair is set aside by a screen of this name
BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who erases, why, when and in which run."""

    account: str
    reason: str | None
    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReachedSnapshot:
    """A snapshot with rows that are reached; `n_learnt` of them are in train or dev."""

    snapshot_id: str
    n_rows: int
    n_learnt: int


@contextmanager
def named(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Let statements inside the block read rows by a name."""
    connection.register(name, rows)
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # in a transaction that failed nothing runs, and why it failed must be seen
            connection.unregister(name)
        raise
    connection.unregister(name)


def blank_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Blank every row that is reached and still says something; return how many by table."""
    counts = count_to_do(connection)
    for blanking in BLANKINGS:
        if blanking.table not in counts:
            continue
        if blanking.has_lists:
            _write_anew(connection, blanking)
        else:
            values = ", ".join(f"{column} = {value}" for column, value in blanking.values().items())
            connection.execute(f"update {blanking.table} set {values} where {blanking.is_to_do}").fetchall()
    return counts


def note_erased(connection: duckdb.DuckDBPyConnection, stamp: Stamp) -> dict[str, int]:
    """Note every id that was reached and is not noted yet, and set its candidates aside; return counts by kind."""
    counts = {}
    for name, kind in KIND_OF_SET.items():
        ids = connection.sql(f"select {SETS[name]} from {name} order by 1").to_arrow_table().column(0)
        counts[kind] = note_ids(connection, kind, ids, stamp)
    _set_aside(connection, stamp)
    return {kind: n for kind, n in counts.items() if n}


def note_ids(connection: duckdb.DuckDBPyConnection, kind: str, ids: pa.ChunkedArray | pa.Array, stamp: Stamp) -> int:
    """Note erased ids of one kind that are not noted yet; return how many those are."""
    rows = {
        "erasure_id": [content_id("er", kind, one) for one in ids.to_pylist()],
        "kind": pa.repeat(kind, len(ids)),
        "content_id": ids,
        "account": pa.repeat(stamp.account, len(ids)),
        "reason": pa.array([stamp.reason] * len(ids), pa.string()),
        "created_at": pa.array([stamp.at] * len(ids), pa.timestamp("us")),
    }
    return _insert_new(connection, "erasures", "erasure_id", pa.table(rows))


def reached_snapshots(connection: duckdb.DuckDBPyConnection) -> list[ReachedSnapshot]:
    """Return the snapshots that hold a row which is reached."""
    rows = connection.execute(
        """
        select m.snapshot_id, count(*), count(*) filter (p.split is distinct from 'test')
        from tier_members m left join pairs p using (pair_id)
        where m.pair_id in (from erased_pairs) or m.judgment_id in (from erased_judgments)
        group by m.snapshot_id order by m.snapshot_id
        """
    ).fetchall()
    return [ReachedSnapshot(str(snapshot_id), int(n), int(n_learnt)) for snapshot_id, n, n_learnt in rows]


def revoke_rows(
    connection: duckdb.DuckDBPyConnection, snapshots: list[ReachedSnapshot], stamp: Stamp, *, reason: str
) -> int:
    """Register the snapshots as revoked; return how many were not."""
    ids = [snapshot.snapshot_id for snapshot in snapshots]
    rows = {
        "revocation_id": pa.array([content_id("rv", one, None) for one in ids], pa.string()),
        "snapshot_id": pa.array(ids, pa.string()),
        "tier": pa.nulls(len(ids), pa.int32()),
        "account": pa.array([stamp.account] * len(ids), pa.string()),
        "reason": pa.array([reason] * len(ids), pa.string()),
        "created_at": pa.array([stamp.at] * len(ids), pa.timestamp("us")),
    }
    return _insert_new(connection, "revocations", "revocation_id", pa.table(rows))


def _set_aside(connection: duckdb.DuckDBPyConnection, stamp: Stamp) -> None:
    """Fail the candidates that are reached in a screen of their own, which is what sets a candidate aside."""
    for ids in _batches(connection, "select candidate_id from erased_candidates order by 1"):
        n = len(ids)
        rows = {
            "screening_id": [content_id("s", one, SCREEN) for one in ids],
            "candidate_id": ids,
            "screen": [SCREEN] * n,
            "is_passed": [False] * n,
            "score": pa.nulls(n, pa.float64()),
            "matched_id": pa.nulls(n, pa.string()),
            "reason": [MARK] * n,
            "run_id": [stamp.run_id] * n,
            "created_at": pa.array([stamp.at] * n, pa.timestamp("us")),
        }
        _insert_new(connection, "screenings", "screening_id", pa.table(rows))
    connection.execute(
        "update candidate_status set status = 'set_aside' "
        "where candidate_id in (from erased_candidates) and status <> 'set_aside'"
    ).fetchall()


def _insert_new(connection: duckdb.DuckDBPyConnection, table: str, own_id: str, rows: pa.Table) -> int:
    """Insert the rows whose id is not held; return how many.

    Never an insert of no rows: what DuckDB 2.0.0 then inserts into the table on two threads, in the same transaction
    and from a row group (122,880 rows) on, is lost.
    """
    with named(connection, "noted", rows):
        new = connection.sql(f"select * from noted anti join {table} held using ({own_id})").to_arrow_table()
    if new.num_rows:
        with named(connection, "noted", new):
            connection.execute(f"insert into {table} by name from noted").fetchall()
    return int(new.num_rows)


def _batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[list[str]]:
    ids: list[str] = connection.sql(sql).to_arrow_table().column(0).to_pylist()
    yield from (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _write_anew(connection: duckdb.DuckDBPyConnection, blanking: Blanking) -> None:
    """Write a table anew, its rows in the places they had, the reached ones blanked."""
    table = blanking.table
    ((definition,),) = connection.execute(
        "select sql from duckdb_tables() where table_name = ? and database_name = current_database() and not temporary",
        [table],
    ).fetchall()
    connection.execute(
        f"create or replace temp table reached as select rowid as place from {table} where {blanking.is_to_do}"
    )
    values: Mapping[str, str] = blanking.values()
    replaced = ", ".join(
        f"case when rowid in (from reached) then {value} else {column} end as {column}"
        for column, value in values.items()
    )
    connection.execute(f"alter table {table} rename to {table}_before").fetchall()
    connection.execute(definition).fetchall()
    connection.execute(
        f"insert into {table} select * replace ({replaced}) from {table}_before order by {table}_before.rowid"
    ).fetchall()
    connection.execute(f"drop table {table}_before").fetchall()
    connection.execute("drop table temp.reached").fetchall()
