"""The store as everybody sees it: four verbs, and two ways to reach them.

`Store.connect` talks to the workspace's store process and starts it when it is not there; `Store.embedded` holds the
database in this process, for tests and notebooks. Every request may be sent twice: ids make the second one a no-op,
so a broken connection is answered by trying again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import polars as pl
import pyarrow as pa

from storage.ids import new_session
from storage.process.client import SocketTransport
from storage.rows import Row
from storage.workspace import Workspace

Rows: TypeAlias = "Sequence[Row] | Sequence[Mapping[str, Any]] | pa.Table | pl.DataFrame"


class Transport(Protocol):
    """How a request reaches the owner."""

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]: ...
    def close(self) -> None: ...


class Store:
    """The verbs (`append`, `read`, `claim`, `update_run`, `update_job`) and the maintenance calls."""

    def __init__(self, transport: Transport, *, sees_test: bool) -> None:
        self._transport = transport
        self._sees_test = sees_test
        self._session = new_session()
        self._n_claims = 0

    @classmethod
    def connect(cls, workspace: Workspace, *, sees_test: bool = False) -> Store:
        """Open the workspace's store through its process, started when needed."""
        return cls(SocketTransport(workspace.root), sees_test=sees_test)

    @classmethod
    def embedded(cls, root: Path, *, sees_test: bool = False) -> Store:
        """Open a folder's store in this process; nobody else can open it meanwhile."""
        from storage.process.embedded import EmbeddedTransport
        from storage.process.owner import Owner

        return cls(EmbeddedTransport(Owner(root)), sees_test=sees_test)

    def append(self, tables: Mapping[str, Rows]) -> dict[str, int]:
        """Append rows to several tables in one transaction; return how many were new in each.

        Rows are `storage.rows`, mappings, an Arrow table or a Polars frame; nullable columns may be left out.
        Nothing is written when any row is refused.
        """
        filled = {table: as_table(rows) for table, rows in tables.items()}
        filled = {table: rows for table, rows in filled.items() if rows.num_rows}
        if not filled:
            return {}
        result, _ = self._transport.ask("append", {}, filled)
        return {str(table): int(n) for table, n in result.items()}

    def read(self, name: str, **params: Any) -> pa.Table:
        """Answer a named read (see `storage.reads`)."""
        _, rows = self._transport.ask("read", {"name": name, "params": params, "sees_test": self._sees_test}, {})
        return rows["rows"]

    def frame(self, name: str, **params: Any) -> pl.DataFrame:
        """Answer a named read as a Polars frame."""
        frame = pl.from_arrow(self.read(name, **params))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def claim(self, account: str, n: int, *, among: Sequence[str] | None = None) -> pa.Table:
        """Choose and lease the next n candidates for a reviewer; one column, candidate_id.

        With `among`, those of the named candidates that still want an answer of this reviewer.
        """
        self._n_claims += 1
        params = {"account": account, "n": n, "session": self._session, "sequence": self._n_claims}
        if among is not None:
            params["among"] = list(among)
        _, rows = self._transport.ask("claim", params, {})
        return rows["rows"]

    def update_run(self, run_id: str, **values: Any) -> None:
        """Set `status`, `counts` or `finished_at` of a run."""
        self._transport.ask("update_run", {"run_id": run_id, "values": values}, {})

    def update_job(self, job_id: str, **values: Any) -> None:
        """Set `status`, `run_id`, `process`, `exit_status`, `started_at` or `finished_at` of a job."""
        self._transport.ask("update_job", {"job_id": job_id, "values": values}, {})

    def publish(self) -> Path:
        """Bring the read-only copy up to date; return its path."""
        path, _ = self._transport.ask("publish", {}, {})
        return Path(path)

    def rebuild(self) -> dict[str, int]:
        """Derive the maintained tables anew; return how many rows each differed by."""
        differing, _ = self._transport.ask("rebuild", {}, {})
        return dict(differing)

    def examine(self) -> list[dict[str, Any]]:
        """Return what `afrel doctor` finds, as mappings of `storage.safekeeping.finding`."""
        findings, _ = self._transport.ask("examine", {}, {})
        return list(findings)

    def backup(self, target: Path) -> dict[str, Any]:
        """Copy the workspace to a new folder while others write; return what it holds, in short."""
        made, _ = self._transport.ask("backup", {"target": str(target)}, {})
        return dict(made)

    def erase(
        self, *, kind: str, value: str, account: str, reason: str | None, run_id: str, is_dry: bool = False
    ) -> dict[str, Any]:
        """Blank a source's texts, a query or an account's name for good; return what was done and what remains."""
        asked = {"kind": kind, "value": value, "account": account, "reason": reason, "run_id": run_id}
        erased, _ = self._transport.ask("erase", {**asked, "is_dry": is_dry}, {})
        return dict(erased)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def as_table(rows: Rows) -> pa.Table:
    """Return rows as an Arrow table; a key that some mappings lack is null there."""
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pl.DataFrame):
        return rows.to_arrow()
    mappings = [row.to_mapping() if isinstance(row, Row) else row for row in rows]
    names = list(dict.fromkeys(name for row in mappings for name in row))
    return pa.table({name: pa.array([row.get(name) for row in mappings]) for name in names})
