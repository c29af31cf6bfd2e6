"""A small store made by plain inserts, for the tests of the published copy: row `i` of every table speaks of pair `i`.

Every fifth pair is a test pair. Ids are `<prefix>_<i>`, so that expected values can be written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.process.migrate import migrate
from storage.publishing.masking import FACTS
from storage.publishing.published import begin_snapshot, publish

AT = datetime(2026, 3, 1, 12)
PEOPLE = {"ana": "person_a", "bo-li": "person_b", "cy.wu": "person_c"}
PREFIXES = {
    "pair_id": "p", "parent_pair_id": "p", "query_id": "q", "root_query_id": "q", "doc_id": "d", "candidate_id": "c",
    "response_id": "a", "judgment_id": "j", "llm_call_id": "l", "instruction_id": "i", "snapshot_id": "snap",
    "run_id": "run", "train_run_id": "run", "pair_mutation_id": "m",
}  # fmt: skip
SECRET = "ana said 2"  # what a person typed: it names an account
TYPED_REASONS = ("responses", "send_backs", "judgments", "approvals", "revocations", "erasures")


def split_of(i: int) -> str:
    return "test" if i % 5 == 4 else "train"


def id_of(prefix: str, i: int) -> str:
    return f"{prefix}_{i}"


def value(table: str, column: str, kind: str, i: int) -> Any:
    """Return the value a table has in row i: telling where a column is known, of its type elsewhere."""
    special: dict[str, Callable[[], Any]] = {
        "account": lambda: list(PEOPLE)[i % 3],
        "split": lambda: split_of(i),
        "rule_id": lambda: id_of("r", i if table == "rules" else i % 3),
        "rule_ids": lambda: [id_of("r", i % 3)],
        "act": lambda: "submitted",
        "target_id": lambda: None,
        "origin": lambda: "consensus" if table == "judgments" else "import",
        "response_ids": lambda: [] if table == "send_backs" else [id_of("a", i)],
        "reason": lambda: SECRET if table in TYPED_REASONS else f"reason {i}",
        "status": lambda: "finished",
        "config": lambda: json.dumps({"file": "/home/ana/shop/pairs.csv", "by": "ana", "model": "Qwen/Qwen3", "i": i}),
        "fields": lambda: json.dumps({"account": "bo-li", "i": i}),
        "is_passed": lambda: True,
        "failure": lambda: None if i % 4 else "time out",
        "sequence": lambda: i,
    }
    if column in PREFIXES:
        return id_of(PREFIXES[column], i)
    if column in special:
        return special[column]()
    if kind == "TIMESTAMP":
        return AT + timedelta(seconds=i)
    if kind.endswith("[]"):
        return []
    of_type: dict[str, Any] = {"VARCHAR": f"{column} {i}", "BOOLEAN": i % 2 == 0, "DOUBLE": i / 7}
    return of_type.get(kind, i % 4)


class StoreFile:
    """A store's database, opened as its owner opens it, and its published copy."""

    def __init__(self, root: Path) -> None:
        self.root, self.scratch = root, root / ".publish"
        self.changed: set[str] = set()
        self.open()

    def open(self) -> None:
        """Open the database, at the newest schema."""
        self.scratch.mkdir(exist_ok=True)
        self.connection = duckdb.connect(str(self.root / "afrel.duckdb"), config={"threads": 2})
        migrate(self.connection)
        folder = str(self.scratch).replace("'", "''")
        for setting in (
            f"allowed_directories = ['{folder}']", "enable_external_access = false", "lock_configuration = true"
        ):  # fmt: skip
            self.connection.execute(f"set {setting}")

    def close(self) -> None:
        """Fold the log and let go of the file."""
        self.connection.close()

    @property
    def copy(self) -> Path:
        return self.root / "published.duckdb"

    @cached_property
    def types(self) -> dict[str, dict[str, str]]:
        """Return the columns of every table with their types."""
        types: dict[str, dict[str, str]] = {}
        for table, column, kind in self.connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where database_name = current_database() order by table_name, column_index"
        ).fetchall():
            types.setdefault(table, {})[column] = kind
        return types

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, what they do not say filled in by place, in one commit."""
        self.connection.begin()
        self._insert(table, rows)
        self._commit()

    def grow(self, n: int) -> None:
        """Append n rows to every fact table, in one commit."""
        if not self.connection.execute("select 1 from accounts").fetchall():
            self.pin()
        self.connection.begin()
        for table in FACTS:
            if table != "erasures":
                self._insert(table, [{}] * n)
        for table in ("runs", "jobs", "leases"):
            self._insert(table, [{}])
        self._commit()

    def update(self, sql: str, *, pairs: Iterable[str] = ()) -> None:
        """Change rows in place, in one commit."""
        self.connection.begin()
        self.connection.execute(sql).fetchall()
        self.changed |= set(pairs)
        self._commit()

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        ((n,),) = self.connection.execute(f"select count(*) from {table}").fetchall()
        full = [
            {column: row.get(column, value(table, column, kind, n + k)) for column, kind in self.types[table].items()}
            for k, row in enumerate(rows)
        ]
        self.connection.register("incoming", pa.Table.from_pylist(full))
        self.connection.execute(f"insert into {table} by name select * from incoming").fetchall()
        self.connection.unregister("incoming")
        if table == "candidates":
            self._insert("candidate_status", [{"status": "proposed", "cause": ""} for _ in full])
        self.changed |= {row["pair_id"] for row in full if table == "candidate_status"}

    def _commit(self) -> None:
        self.connection.execute("update position set n_commits = n_commits + 1").fetchall()
        self.connection.commit()

    def pin(self, people: Mapping[str, str] = PEOPLE) -> None:
        """Pin accounts under their pseudonyms."""
        rows = [
            {"account": name, "pseudonym": p, "role": "reviewer", "by_account": "ana"} for name, p in people.items()
        ]
        self.insert("accounts", rows)

    def publish(self, *, is_known: bool = True) -> Path:
        """Publish, with the pairs that changed or without knowing them."""
        with closing(self.connection.cursor()) as cursor:
            begin_snapshot(cursor)
            changed = sorted(self.changed) if is_known else None
            copy = publish(cursor, root=self.root, scratch=self.scratch, changed_pairs=changed)
        self.changed.clear()
        return copy

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the copy."""
        with duckdb.connect(str(self.copy), read_only=True) as reader:
            return reader.execute(sql).fetchall()

    def contents(self) -> dict[str, list[str]]:
        """Return all rows of every table and view of the copy, in order; when it was made is left out."""
        with duckdb.connect(str(self.copy), read_only=True) as reader:
            names = [
                name
                for (name,) in reader.execute(
                    "select table_name from duckdb_tables() union select view_name from duckdb_views() "
                    "where not internal order by 1"
                ).fetchall()
            ]
            return {
                name: sorted(
                    map(
                        repr,
                        reader.execute(
                            f"select * {'exclude (made_at)' if name == 'publication' else ''} from {name}"
                        ).fetchall(),
                    )
                )
                for name in names
            }

    def contents_built_anew(self) -> dict[str, list[str]]:
        """Return what a copy built from nothing holds."""
        self.copy.unlink()
        self.publish()
        return self.contents()
