"""Which column names rows of which table: the one declared map, by which orphans are found.

DuckDB would refuse deletes and column drops with foreign keys, so there are none; a test holds this map against the
schema, so that whoever adds a column ending in `_id` decides what it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from storage.process.table_columns import columns_of
from storage.safekeeping.finding import Finding, Severity

# column -> table, wherever the column stands
BY_COLUMN: Mapping[str, str] = {
    "run_id": "runs",
    "query_id": "queries",
    "root_query_id": "queries",
    "doc_id": "docs",
    "pair_id": "pairs",
    "parent_pair_id": "pairs",
    "pair_mutation_id": "pair_mutations",
    "instruction_id": "instructions",
    "rule_id": "rules",
    "rule_ids": "rules",
    "example_pair_ids": "pairs",
    "counter_pair_ids": "pairs",
    "llm_call_id": "llm_calls",
    "candidate_id": "candidates",
    "response_id": "responses",
    "response_ids": "responses",
    "judgment_id": "judgments",
    "snapshot_id": "snapshots",
    "account": "accounts",
    "by_account": "accounts",
}
# (table, column) -> the tables one of which holds it, where the column's name does not say
BY_PLACE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("instructions", "parent_id"): ("instructions",),
    ("instruction_edits", "parent_id"): ("instructions",),
    ("instruction_edits", "other_parent_id"): ("instructions",),
    ("rules", "parent_id"): ("rules",),
    ("rule_proposals", "parent_id"): ("rules",),
    ("responses", "target_id"): ("responses",),
    ("approvals", "content_id"): ("rules", "instructions", "judgments"),
    ("external_ids", "content_id"): ("queries", "docs"),
    ("screenings", "matched_id"): ("queries", "candidates", "pairs", "rules", "instructions"),
}
# Rows that may come before what they name: taking back an act that is still on its way is right.
MAY_COME_FIRST = frozenset({("responses", "target_id")})
NOT_REFERENCES: Mapping[tuple[str, str], str] = {
    ("erasures", "content_id"): "names rows of many tables, a source or an account, by its kind",
    ("evaluations", "snapshot_id"): "a model may be measured on a snapshot of another workspace",
    ("evaluations", "train_run_id"): "a model may have been trained away from the workspace",
    ("rollouts", "train_run_id"): "as of evaluations",
    ("predictions", "train_run_id"): "as of evaluations",
    ("rule_recalls", "train_run_id"): "as of evaluations",
    ("difficulty_scores", "train_run_id"): "as of evaluations",
}
KEYS: Mapping[str, str] = {"accounts": "account"}  # what names a row of a table, where it is not its first column
INGEST = "bring the source again: afrel ingest FILE --map … (what is held is not taken twice)"
RESTORE = "put a backup beside and compare: afrel restore BACKUP NEW_FOLDER"
_MENDS: Mapping[str, str] = {"queries": INGEST, "docs": INGEST, "pairs": INGEST, "rules": "afrel mine"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A column whose every value should be the name of a row of one of the targets."""

    table: str
    column: str
    targets: tuple[str, ...]
    is_list: bool


def references(connection: duckdb.DuckDBPyConnection) -> list[Reference]:
    """Return every reference of the schema."""
    found = []
    for table, columns in columns_of(connection).items():
        for place, (column, kind) in enumerate(columns.items()):
            is_own_id = place == 0 and table == BY_COLUMN.get(column, table)
            targets = BY_PLACE.get((table, column)) or tuple(filter(None, [BY_COLUMN.get(column)]))
            is_named = table == BY_COLUMN.get(column) and KEYS.get(table) == column
            if targets and not (is_own_id or is_named or (table, column) in NOT_REFERENCES):
                found.append(Reference(table, column, targets, kind.endswith("[]")))
    return found


def orphans(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Return a finding for every reference that names rows which are not there."""
    columns = columns_of(connection)
    findings = []
    for reference in references(connection):
        own = next(iter(columns[reference.table]))
        keys = " union all ".join(
            f"select {KEYS.get(target, next(iter(columns[target])))} as key from {target}"
            for target in reference.targets
        )
        named = f"unnest({reference.column})" if reference.is_list else reference.column
        ((n, example, missing),) = connection.execute(
            f"select count(*), any_value(own), any_value(named) from "
            f"(select {own} as own, {named} as named from {reference.table}) t anti join ({keys}) k on k.key = t.named "
            "where named is not null"
        ).fetchall()
        if n:
            what = f"{reference.table}.{reference.column} names {' or '.join(reference.targets)} that are not there"
            severity, mend = Severity.WRONG, _MENDS.get(reference.targets[0], RESTORE)
            if (reference.table, reference.column) in MAY_COME_FIRST:
                severity, mend = Severity.NOT_LOOKED_AT, "nothing, while a reviewer may still be offline"
            findings.append(Finding(severity, what, n, mend, f"{example} names {missing}"))
    return findings
