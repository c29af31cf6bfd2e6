"""The read-only copy anyone may open: every table, people by pseudonym, test grades blank.

Built beside, then renamed, so a reader of the old copy keeps it undisturbed. Answers on test pairs are blanked in
every column from which a grade could be read.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

# Columns blanked where the row's pair is a test pair.
TEST_BLANKED = {
    "judgments": ("grade", "steps", "reason"),
    "responses": ("grade", "steps", "reason", "first_wrong_step"),
    "candidate_status": ("cause", "n_required"),
    "queue": ("cause", "n_required", "priority"),
}
# A rejected record may carry a test grade, and its split may be unknown: its text stays in the store. Session and
# counter would let anybody who guesses a name find it behind a pseudonym, because an act's id is their hash.
ALWAYS_BLANKED = {
    "ingest_rejects": ("value", "record"),
    "comments": ("text",),
    "responses": ("session", "sequence"),
    "approvals": ("sequence",),
    "tiers": ("n_rows",),
}
# Rows whose being there, or whose hash, tells a test grade: an edit, a tier, a cause for a second look.
TEST_ROWS_LEFT_OUT = {"preferences", "tier_members", "rollouts", "difficulty_scores"}
LEFT_OUT = {"accounts", "migrations", "leases"}
PEOPLE = ("account", "by_account")
# What a curator asks for most, beside the tables: name, SQL.
VIEWS = (
    ("current_judgments", "select m.* from published.judgments m join current_judgments j using (judgment_id)"),
    ("rule_status", "select * from rule_status"),
)


def is_stale(root: Path) -> bool:
    """Say whether a fact may have come since the copy was made."""
    copy = root / "published.duckdb"
    files = [root / "afrel.duckdb", root / "afrel.duckdb.wal"]
    newest = max((f.stat().st_mtime_ns for f in files if f.exists()), default=0)
    return not copy.exists() or copy.stat().st_mtime_ns <= newest


def publish(connection: duckdb.DuckDBPyConnection, *, root: Path, scratch: Path) -> Path:
    """Write `published.duckdb` anew if it is stale; return its path."""
    copy = root / "published.duckdb"
    if not is_stale(root):
        return copy
    building = scratch / "published.duckdb"
    building.unlink(missing_ok=True)
    connection.execute("checkpoint")
    connection.execute(f"attach '{str(building).replace(chr(39), chr(39) * 2)}' as published")
    try:
        _fill(connection)
    finally:
        connection.execute("detach published")
    os.chmod(building, 0o600)
    os.replace(building, copy)
    return copy


def _fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the copy's tables in one transaction, undone when it fails: the owner's connection must stay usable."""
    connection.begin()
    try:
        for table, columns in _tables(connection).items():
            if table not in LEFT_OUT:
                connection.execute(f"create table published.{table} as {_masked(table, columns)}")
        connection.execute("create table published.people as select pseudonym, role, created_at from current_accounts")
        for name, sql in VIEWS:
            connection.execute(f"create table published.{name} as {sql}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    connection.execute("checkpoint published")


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    rows = connection.execute(
        "select c.table_name, c.column_name from duckdb_columns() c join duckdb_tables() t using (table_oid) "
        "where c.database_name = current_database() and t.database_name = current_database() and not t.temporary "
        "order by c.table_name, c.column_index"
    ).fetchall()
    tables: dict[str, list[str]] = {}
    for table, column in rows:
        tables.setdefault(table, []).append(column)
    return tables


def _masked(table: str, columns: list[str]) -> str:
    blanked = TEST_BLANKED.get(table, ())
    parts = []
    for column in columns:
        if column in PEOPLE:
            parts.append(
                f"(select any_value(a.pseudonym) from current_accounts a where a.account = t.{column}) as {column}"
            )
        elif column in ALWAYS_BLANKED.get(table, ()):
            parts.append(f"null as {column}")
        elif column in blanked:
            parts.append(f"case when p.split = 'test' then null else t.{column} end as {column}")
        else:
            parts.append(f"t.{column}")
    is_partial = table in TEST_ROWS_LEFT_OUT
    join = " left join pairs p on p.pair_id = t.pair_id" if blanked or is_partial else ""
    where = " where p.split is distinct from 'test'" if is_partial else ""
    if table == "rule_recalls":  # of a rule cited once, the recall is the grade
        where = " where t.split <> 'test'"
    return f"select {', '.join(parts)} from {table} t{join}{where}"
