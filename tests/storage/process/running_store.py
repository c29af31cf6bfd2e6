"""A real store process in a folder of a test, watched: whoever misuses its socket must leave it as it was."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.clock import now
from storage.process.socket_path import SOCKET_NAME, short_path
from storage.process.wire import receive, send
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import ROOT, stop_store_process

# The server, with other limits on how long a frame may take and how many files it may have open.
SERVER = """
import resource, sys, storage.process.wire
storage.process.wire.FRAME_SECONDS, max_files = float(sys.argv.pop(1)), int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
from storage.process.server import main
sys.exit(main())
"""


def query_row(name: str) -> dict[str, Any]:
    """Return a row that `queries` takes."""
    return {
        "query_id": f"q_{name}",
        "text": f"query {name}",
        "root_query_id": f"q_{name}",
        "split": "train",
        "source": "s",
        "run_id": "run_1",
        "created_at": now(),
    }


class RunningStore:
    """A store process with one row in it, and a good client."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes]) -> None:
        self.root = root
        self.process = process
        self.good = Store.connect(Workspace.open(root))
        self.good.append({"queries": [query_row("first")]})
        self._held = self._all_held()

    def connect(self) -> socket.socket:
        """Return a fresh connection."""
        peer = socket.socket(socket.AF_UNIX)
        with short_path(self.root) as path:
            peer.connect(path)  # without a time limit: with one, a full backlog is an error instead of a wait
        peer.settimeout(20)
        return peer

    def ask(
        self, head: Mapping[str, Any], tables: Mapping[str, pa.Table] | None = None
    ) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        """Send one well-formed frame by hand; return the answer."""
        with self.connect() as peer:
            send(peer, head, tables)
            return receive(peer, seconds=20)

    def is_cut_off(self, sent: bytes) -> bool:
        """Send bytes; say whether the connection was closed without an answer."""
        with self.connect() as peer:
            try:
                peer.sendall(sent)
                return peer.recv(1) == b""
            except (ConnectionResetError, BrokenPipeError):
                return True

    def assert_unharmed(self, *, seconds: float = 20.0) -> None:
        """Hold that the same process answers the good client in time, and that nothing was written."""
        started = time.monotonic()
        assert self._all_held() == self._held
        assert time.monotonic() - started < seconds
        assert self.process.poll() is None
        with self.connect() as peer:
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        assert struct.unpack("3i", credentials)[0] == self.process.pid

    def n_threads(self) -> int:
        """Return how many threads the process has."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def log(self) -> str:
        """Return what the process has written to its log."""
        return (self.root / "store.log").read_text(errors="replace")

    def _all_held(self) -> tuple[Any, ...]:
        queries = self.good.read("query_splits").to_pylist()
        counts = [tuple(row.values()) for row in self.good.read("counts").to_pylist()]
        accounts = self.good.read("accounts").to_pylist()
        return queries, counts, accounts


@contextmanager
def running_store(root: Path, *, frame_seconds: float = 1.0, max_files: int = 1024) -> Iterator[RunningStore]:
    """Run a store process."""
    root.mkdir(parents=True)
    (root / "afrel.toml").write_text("")
    with open(root / "store.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(frame_seconds), str(max_files), str(root), "--idle", "120"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 20
        while not (root / SOCKET_NAME).exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        store = RunningStore(root, process)
        yield store
        store.good.close()
    finally:
        process.kill()
        process.wait()
        stop_store_process(root)


def wait_until(is_so: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Say whether something became so in time."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def frame(head: bytes | Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return the bytes of a frame, whatever its head says."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack(">IQ", len(text), len(body)) + text + body


def stream(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def append_frame(body: bytes, table: str = "queries") -> bytes:
    """Return a frame that appends one stream, whatever is in it."""
    return frame({"verb": "append", "params": {}, "tables": [[table, len(body)]]}, body)
