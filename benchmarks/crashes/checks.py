"""What must hold after every kill: each acknowledged row once, no id twice, everything readable, status as derived.

Rows are looked for in the published copy, asked for after the truth was read, so it shows at least that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.crashes.labels import LabelWorker
from benchmarks.crashes.load import PREFIXES, cutter_key, cutter_pin, read_truth
from benchmarks.store_rows import ids
from storage.snapshots.cutting import verify_snapshot
from storage.store import Store

KEYS = {
    "llm_calls": "llm_call_id",
    "candidates": "candidate_id",
    "screenings": "screening_id",
    "responses": "response_id",
    "queries": "query_id",
    "pairs": "pair_id",
}


@dataclass(slots=True)
class Findings:
    """What was looked at and what was wrong with it."""

    n_acknowledged: int = 0
    n_snapshots: int = 0
    n_rebuilds: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    _verified: set[str] = field(default_factory=set)

    @property
    def is_sound(self) -> bool:
        return not (self.lost or self.repeated or self.unreadable or self.differing)

    def check(self, store: Store, root: Path, labels: LabelWorker | None, *, when: str) -> None:
        """Look at everything; `when` names the round in what is found."""
        expected = acknowledged(root)
        if labels is not None:
            expected["llm_calls"] = pa.concat_arrays(
                [expected["llm_calls"], pa.array(sorted(labels.kept), pa.string())]
            )
            finished = list(labels.finished)
        self.n_acknowledged = sum(len(rows) for rows in expected.values())
        copy = store.publish()
        try:
            connection = duckdb.connect(str(copy), read_only=True)
        except duckdb.Error as error:
            self.unreadable.append(f"{when}: {copy}: {error}")
            return
        with connection:
            self._check_rows(connection, expected, when)
            if labels is not None:
                self._check_labels(connection, finished, when)
        self._check_snapshots(root, when)

    def rebuild(self, store: Store, *, when: str) -> None:
        """Derive the maintained tables anew; every row that differs is a finding."""
        differing = store.rebuild()
        self.n_rebuilds += 1
        if any(differing.values()):
            self.differing.append(f"{when}: {differing}")

    def _check_rows(self, connection: duckdb.DuckDBPyConnection, expected: dict[str, pa.Array], when: str) -> None:
        for table, rows in expected.items():
            connection.register("expected", pa.table({"id": rows}))
            sql = f"select count(*), min(id) from expected where id not in (select {KEYS[table]} from {table})"
            ((n, one),) = connection.execute(sql).fetchall()
            connection.unregister("expected")
            if n:
                self.lost.append(f"{when}: {n} of {len(rows)} acknowledged {table}, such as {one}")
        tables = connection.execute(
            "select table_name, column_name from duckdb_columns() where column_index = 1 and not internal "
            "and column_name like '%_id' and table_name in (select table_name from duckdb_tables())"
        ).fetchall()
        for table, key in tables:
            ((n,),) = connection.execute(f"select count({key}) - count(distinct {key}) from {table}").fetchall()
            if n:
                self.repeated.append(f"{when}: {n} rows of {table}")

    def _check_labels(self, connection: duckdb.DuckDBPyConnection, finished: Iterable[str], when: str) -> None:
        ((n_pairs,),) = connection.execute("select count(*) from pair_features").fetchall()
        rows = connection.execute(
            "select model, count(*) from llm_calls where failure is null and provider <> 'bench' group by model"
        ).fetchall()
        replies = dict(rows)
        rows = connection.execute(
            "select split_part(proposer, ':', 2), count(*), count(distinct pair_id) from candidates "
            "where proposer like 'openai:%' group by 1"
        ).fetchall()
        labelled = {model: (n, n_distinct) for model, n, n_distinct in rows}
        for model in finished:
            n, n_distinct = labelled.get(model, (0, 0))
            if n_distinct < n_pairs or replies.get(model, 0) < n_pairs:
                self.lost.append(f"{when}: model {model} is done with {n_distinct} of {n_pairs} pairs labelled")
            if n > n_pairs or replies.get(model, 0) > n_pairs:
                self.repeated.append(f"{when}: model {model} has {n} candidates on {n_pairs} pairs")

    def _check_snapshots(self, root: Path, when: str) -> None:
        key = cutter_key(root)
        for directory in sorted((root / "snapshots").glob("snap_*")):
            if directory.name in self._verified:
                continue
            problems = verify_snapshot(directory, {key.account: cutter_pin(key)}).problems
            self._verified.add(directory.name)
            self.n_snapshots += 1
            if problems:
                self.unreadable.append(f"{when}: {directory.name}: {problems[0]}")


def acknowledged(root: Path) -> dict[str, pa.Array]:
    """Return the ids of every row a writer has noted as acknowledged, by table."""
    found: dict[str, list[pa.Array]] = {table: [] for table in PREFIXES}
    for path in sorted((root / "truth").glob("writer-*.jsonl")):
        for line in read_truth(path):
            for table, (first, n) in line.items():
                found[table].append(np.arange(first, first + n, dtype=np.uint64))
    empty = np.empty(0, np.uint64)
    return {table: ids(PREFIXES[table], np.concatenate([empty, *parts])) for table, parts in found.items()}
