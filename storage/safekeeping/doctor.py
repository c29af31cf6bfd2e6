"""Examine a workspace: everything that should hold of its rows and files and does not. Nothing is changed.

Costs a few seconds at a million rows: each table is read once for its ids, once for doubles, and once for each column
that names other rows.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from storage.process.table_columns import own_ids
from storage.safekeeping import doctor_files, doctor_rows
from storage.safekeeping.doctor_jobs import lost_jobs
from storage.safekeeping.erasure_scope import came_back
from storage.safekeeping.finding import Finding, Severity
from storage.safekeeping.id_checks import wrong_ids
from storage.safekeeping.references import orphans

NOT_REBUILT = Finding(
    Severity.NOT_LOOKED_AT,
    "whether each candidate's status is what the facts say",
    1,
    "derive it anew and compare: afrel doctor --rebuild",
)


def examine(connection: duckdb.DuckDBPyConnection, *, root: Path) -> list[Finding]:
    """Return everything found, faults first. Read only; nothing may be committed meanwhile."""
    findings = [
        *doctor_rows.doubles_and_gaps(connection),
        *orphans(connection),
        *wrong_ids(connection, own_ids(connection)),
        *doctor_rows.misaligned_standing(connection),
        *doctor_rows.wrong_counts(connection),
        *doctor_rows.rows_of_the_future(connection),
        *came_back(connection),
        *doctor_rows.unfinished_runs(connection, root),
        *lost_jobs(connection, root),
        *doctor_files.snapshots(connection, root),
        *doctor_files.spools(root),
        *doctor_files.scratch(root),
        *doctor_files.published(root),
        NOT_REBUILT,
    ]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
