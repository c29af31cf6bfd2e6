"""Derive the standing of all candidates anew from the facts alone, and put right what differs."""

from __future__ import annotations

import duckdb

from storage.process.maintained import derive_by_scanning, read_causes

CHUNK = 200_000  # candidates at once


def rebuild(connection: duckdb.DuckDBPyConnection) -> int:
    """Replace `candidate_status` where it is not what the facts say, in one transaction; return the rows that differed.

    Nothing is taken from the owner's indexes: pairs' facts are found by scanning.
    """
    connection.begin()
    try:
        ((n_candidates,),) = connection.execute("select coalesce(max(rowid) + 1, 0) from candidates").fetchall()
        ((definition,),) = connection.execute(
            "select sql from duckdb_tables() where table_name = 'candidate_status' and not temporary "
            "and database_name = current_database()"  # a copy that is being published has one too
        ).fetchall()
        # Not `as select … limit 0`: after an insert of no rows, DuckDB 2.0.0 loses what is inserted into the same table
        # on two threads, in the same transaction and from a row group (122,880 rows) on.
        columns = definition.partition("(")[2]
        connection.execute(f"create or replace temp table rebuilt (place bigint, {columns}").fetchall()
        causes = read_causes(connection)
        for first in range(0, n_candidates, CHUNK):
            rows = derive_by_scanning(connection, first, min(first + CHUNK, n_candidates), causes=causes)
            connection.register("derived", rows)
            try:
                connection.execute("insert into rebuilt from derived").fetchall()
            finally:
                connection.unregister("derived")
        ((n_rebuilt,),) = connection.execute("select count(place) from rebuilt").fetchall()
        if n_rebuilt != n_candidates:
            raise RuntimeError(
                f"the standing of {n_rebuilt} of {n_candidates} candidates was derived; nothing is changed"
            )
        ((n_differing,),) = connection.execute(_DIFFERING).fetchall()
        if n_differing:
            # A new table: in one that was emptied, row i would no longer have rowid i.
            connection.execute("drop table candidate_status").fetchall()
            connection.execute(definition).fetchall()
            connection.execute(
                "insert into candidate_status select * exclude (place) from rebuilt order by place"
            ).fetchall()
        connection.execute("update position set n_commits = n_commits + 1").fetchall()
        connection.execute("drop table if exists rebuilt").fetchall()
        connection.execute("drop table if exists rebuilt_pairs").fetchall()
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return int(n_differing)


_DIFFERING = """
select count(*)
from rebuilt r
full join (select rowid as place, * from candidate_status) s using (place)
where (r.candidate_id, r.pair_id, r.status, r.n_answers, r.n_required, r.cause, r.priority)
    is distinct from (s.candidate_id, s.pair_id, s.status, s.n_answers, s.n_required, s.cause, s.priority)
"""
