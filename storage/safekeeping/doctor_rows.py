"""What is wrong among the rows: doubles, gaps, rows out of line with each other, rows of the future, dead runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from storage.clock import now
from storage.liveness import booted_at, is_alive, is_locked
from storage.process.table_columns import columns_of, own_ids
from storage.safekeeping.finding import Finding, Severity
from storage.safekeeping.references import RESTORE

AHEAD = timedelta(minutes=10)  # clocks of people's machines differ by less
TIMES = ("created_at", "started_at")
REBUILD = "afrel doctor --rebuild"


def doubles_and_gaps(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Find ids that stand twice, and tables from which rows were taken away: row i must have place i."""
    findings = []
    for table, own in own_ids(connection).items():
        ((n, example),) = connection.execute(
            f"select count(*), min({own}) from (select {own} from {table} group by {own} having count(*) > 1)"
        ).fetchall()
        if n:
            findings.append(Finding(Severity.WRONG, f"{table} hold an id more than once", n, RESTORE, example))
        ((n_gaps,),) = connection.execute(f"select coalesce(max(rowid) + 1, 0) - count(*) from {table}").fetchall()
        if n_gaps:
            what = f"{table} lack rows in between: they were deleted or changed outside the store"
            findings.append(Finding(Severity.WRONG, what, n_gaps, RESTORE))
    return findings


def misaligned_standing(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Find candidates whose standing is missing or stands in another candidate's place."""
    ((n, example),) = connection.execute(
        """
        select count(*), min(coalesce(c.candidate_id, s.candidate_id))
        from (select rowid as place, candidate_id, pair_id from candidates) c
        full join (select rowid as place, candidate_id, pair_id from candidate_status) s using (place)
        where (c.candidate_id, c.pair_id) is distinct from (s.candidate_id, s.pair_id)
        """
    ).fetchall()
    what = "candidates whose status is missing or in another's place"
    return [Finding(Severity.WRONG, what, n, REBUILD, example)] if n else []


def wrong_counts(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Find snapshots whose registered rows are not as many as the register says."""
    rows = connection.execute(
        """
        with members as (select snapshot_id, tier, count(*) as n from tier_members group by snapshot_id, tier)
        select t.snapshot_id, t.tier, t.n_rows, coalesce(m.n, 0)
        from tiers t left join members m using (snapshot_id, tier) where t.n_rows <> coalesce(m.n, 0)
        union all
        select s.snapshot_id, null, s.n_rows, coalesce((select sum(m.n) from members m
            where m.snapshot_id = s.snapshot_id), 0)
        from snapshots s where s.n_rows <> coalesce((select sum(m.n) from members m
            where m.snapshot_id = s.snapshot_id), 0)
        order by 1, 2 nulls last
        """
    ).fetchall()
    if not rows:
        return []
    snapshot_id, tier, said, held = rows[0]
    where = snapshot_id if tier is None else f"{snapshot_id} tier {tier}"
    mend = "complete the register by cutting the same rows again: afrel --as CURATOR snapshot"
    example = f"{where} is said to have {said} rows, {held} are registered"
    return [Finding(Severity.WRONG, "snapshots whose registered rows are not all there", len(rows), mend, example)]


def rows_of_the_future(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Find rows dated later than now: who wrote them had a wrong clock, or this machine has."""
    latest = now() + AHEAD
    findings = []
    for table, columns in columns_of(connection).items():
        for column in TIMES:
            if column not in columns:
                continue
            ((n, example, at),) = connection.execute(
                f"select count(*), arg_max({next(iter(columns))}, {column}), max({column}) from {table} "
                f"where {column} > ?",
                [latest],
            ).fetchall()
            if n:
                mend = "set the clock (date -u); the rows stay as they are, and what comes later is stamped after them"
                what = f"{table} are dated in the future"
                findings.append(Finding(Severity.WRONG, what, n, mend, f"{example} of {at:%Y-%m-%d %H:%M}"))
    return findings


def dead_runs(runs: Iterable[Mapping[str, Any]], runs_dir: Path) -> tuple[list[str], list[str]]:
    """Return the ids of running runs whose process is gone, and of those of which nobody can tell.

    A training run locks its folder as long as it lives, whichever process has gone on with it. A row without a process
    was written before processes were noted: it is dead if the machine was started since.
    """
    booted = booted_at()
    dead, unknown = [], []
    for run in runs:
        lock, process = runs_dir / run["run_id"] / "lock", run["process"]
        started_at: datetime = run["started_at"]
        if lock.exists():
            alive: bool | None = is_locked(lock)
        elif process:
            alive = is_alive(process)
        else:
            alive = False if booted is not None and started_at < booted else None
        if alive is False:
            dead.append(run["run_id"])
        elif alive is None:
            unknown.append(run["run_id"])
    return dead, unknown


def unfinished_runs(connection: duckdb.DuckDBPyConnection, root: Path) -> list[Finding]:
    """Find runs that are said to go on although their process is gone."""
    running = connection.sql("select * from runs where status = 'running' order by started_at").to_arrow_table()
    dead, unknown = dead_runs(running.to_pylist(), root / "runs")
    findings = []
    if dead:
        what = "runs that are said to go on, but their process is gone"
        findings.append(Finding(Severity.LEFT_OVER, what, len(dead), "afrel doctor --mend", dead[0]))
    if unknown:
        what = "runs that are said to go on, on another host or by a process that was not noted"
        findings.append(Finding(Severity.NOT_LOOKED_AT, what, len(unknown), "look there whether they do", unknown[0]))
    return findings
