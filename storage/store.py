"""The store as everybody sees it: four verbs, and two ways to reach them.

`Store.connect` talks to the workspace's store process and starts it when it is not there; `Store.embedded` holds the
database in this process, for tests and notebooks. Every request may be sent twice: ids make the second one a no-op,
so a broken connection is answered by trying again.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import UserError
from storage.ids import new_session
from storage.process.commit import Counts
from storage.process.journal import Request
from storage.process.owner import Owner
from storage.process.socket_path import short_path
from storage.process.wire import WireError, receive, send
from storage.rows import Row
from storage.workspace import Workspace

Rows: TypeAlias = "Sequence[Row] | Sequence[Mapping[str, Any]] | pa.Table | pl.DataFrame"
START_SECONDS = 120.0  # a start after a crash may have a long journal to put back
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
CANNOT_WRITE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC}
HANDOVER_BYTES = 16 << 20  # larger tables travel as a Parquet file in the hand-over folder


class Transport(Protocol):
    """How a request reaches the owner."""

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]: ...
    def close(self) -> None: ...


class Store:
    """The four verbs (`append`, `read`, `claim`, `update_run`) and the maintenance calls."""

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

    def claim(self, account: str, n: int) -> pa.Table:
        """Choose and lease the next n candidates for a reviewer; one column, candidate_id."""
        self._n_claims += 1
        params = {"account": account, "n": n, "session": self._session, "sequence": self._n_claims}
        _, rows = self._transport.ask("claim", params, {})
        return rows["rows"]

    def update_run(self, run_id: str, **values: Any) -> None:
        """Set `status`, `counts` or `finished_at` of a run."""
        self._transport.ask("update_run", {"run_id": run_id, "values": values}, {})

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


class EmbeddedTransport:
    """The owner in this very process."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._acts: Mapping[str, Callable[..., Any]] = {
            "update_run": self._update_run,
            "publish": lambda: str(self._owner.publish()),
            "rebuild": self._rebuild,
            "examine": lambda: [finding.to_mapping() for finding in self._owner.examine()],
            "backup": lambda target: self._owner.back_up(Path(target)).to_mapping(),
            "erase": self._erase,
        }

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]:
        if verb == "append":
            return self._fold(self._owner.admit(tables)), {}
        if verb == "read":
            return None, {"rows": self._owner.read(**params)}
        if verb == "claim":
            leases = self._owner.choose(**params)
            self._fold(self._owner.admit({"leases": leases}))
            return None, {"rows": leases.select(["candidate_id"])}
        return self._acts[verb](**params), {}

    def _update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        self._fold(self._owner.admit({}, run_update={**values, "run_id": run_id}))

    def _rebuild(self) -> dict[str, int]:
        return self._owner.rebuild()

    def _erase(self, **asked: Any) -> dict[str, Any]:
        with self._owner.paused():
            erased = self._owner.erase(**asked)
        if erased.rewritten is not None:
            self._owner = Owner(self._owner.root)
        return erased.to_mapping()

    def _fold(self, request: Request) -> Counts:
        (outcome,) = self._owner.fold([request])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        self._owner.close()


class SocketTransport:
    """The store process of a workspace, over its Unix socket. Reconnects, and restarts the process, by itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._peer: socket.socket | None = None

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]:
        files, small = self._hand_over(tables)
        if files:
            params = {**params, "files": files}
        give_up_at = time.monotonic() + START_SECONDS
        try:
            while True:
                try:
                    peer = self._connected(give_up_at)
                    send(peer, {"verb": verb, "params": params}, small)
                    head, rows = receive(peer)
                    break
                except (WireError, OSError) as error:
                    self.close()
                    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
                        raise UserError(f"{self._root} cannot be written: {error.strerror}. Mend that first") from error
                    if time.monotonic() > give_up_at:
                        raise UserError(
                            f"the store process of {self._root} does not answer ({error}); its log is "
                            f"{self._root / 'store.log'}"
                        ) from error
        finally:
            for name in files.values():
                (self._root / "handover" / name).unlink(missing_ok=True)
        if "user_error" in head:
            raise UserError(head["user_error"])
        if "error" in head:
            raise RuntimeError(f"store process: {head['error']}")
        return head["ok"], rows

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def _hand_over(self, tables: Mapping[str, pa.Table]) -> tuple[dict[str, str], dict[str, pa.Table]]:
        """Write large tables as Parquet into the hand-over folder; return their file names and the small ones."""
        files, small = {}, {}
        for table, rows in tables.items():
            if rows.nbytes <= HANDOVER_BYTES:
                small[table] = rows
                continue
            files[table] = f"{uuid.uuid4().hex}.parquet"
            (self._root / "handover").mkdir(exist_ok=True)
            pq.write_table(rows, self._root / "handover" / files[table], compression="zstd")
        return files, small

    def _connected(self, give_up_at: float) -> socket.socket:
        if self._peer is not None:
            return self._peer
        started: subprocess.Popen[bytes] | None = None
        while True:
            peer = socket.socket(socket.AF_UNIX)
            try:
                with short_path(self._root) as path:
                    peer.connect(path)
                self._peer = peer
                return peer
            except (FileNotFoundError, ConnectionRefusedError) as error:
                peer.close()
                if time.monotonic() > give_up_at:
                    raise UserError(
                        f"the store process of {self._root} did not come up in {START_SECONDS:.0f} s; "
                        f"its log is {self._root / 'store.log'}"
                    ) from error
                if started is None or started.poll() is not None:
                    self._raise_if_refused(started)
                    started = start_server(self._root)
                time.sleep(0.02)

    def _raise_if_refused(self, started: subprocess.Popen[bytes] | None) -> None:
        if started is not None and started.returncode == 2:
            raise UserError((self._root / "store.error").read_text(encoding="utf-8"))


def start_server(root: Path) -> subprocess.Popen[bytes]:
    """Start the store process of a workspace, detached from this one."""
    with open(root / "store.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "storage.process.server", str(root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Return what the store process needs of this environment, and none of the keys and passwords in it."""
    here = str(Path(__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "PYTHONPATH": f"{here}{os.pathsep}{inherited}" if inherited else here,
        "OMP_NUM_THREADS": "1",
    }
