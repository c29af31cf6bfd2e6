"""The store as a process of its own: writers at once, a kill between them, garbage on its socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage.clock import now
from storage.process.socket_path import short_path
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import ROOT, stop_store_process


def named(query_id: str) -> dict[str, Any]:
    return {
        "query_id": query_id,
        "text": "a query",
        "root_query_id": query_id,
        "split": "train",
        "source": "s",
        "run_id": "run_1",
        "created_at": now(),
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    folder = tmp_path / ("deep" * 12) / "workspace"  # longer than a socket address may be
    folder.mkdir(parents=True)
    (folder / "afrel.toml").write_text("")
    yield Workspace.open(folder)
    stop_store_process(folder)


WRITER = """
import sys
from pathlib import Path
from storage.store import Store
from storage.workspace import Workspace
from tests.storage.process.test_store_process import named
name, n = sys.argv[2], int(sys.argv[3])
with Store.connect(Workspace.open(Path(sys.argv[1]))) as store:
    for i in range(n):
        store.append({"queries": [named(f"q_{name}{i}")]})
        print(f"q_{name}{i}", flush=True)
"""


def writer(workspace: Workspace, name: str, n: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(workspace.root), name, str(n)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_two_processes_write_at_once(workspace: Workspace) -> None:
    writers = [writer(workspace, name, 30) for name in ("x", "y")]
    acknowledged = [line.strip() for process in writers for line in process.communicate(timeout=60)[0].splitlines()]
    with Store.connect(workspace) as store:
        held = store.read("query_splits").column("query_id").to_pylist()
    assert len(acknowledged) == 60 and sorted(held) == sorted(acknowledged)


def test_no_acknowledged_row_is_lost_when_the_store_process_is_killed(workspace: Workspace) -> None:
    with Store.connect(workspace) as store:
        store.append({"queries": [named("q_a")]})
        process = writer(workspace, "x", 60)
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(10)]
        for _ in range(3):
            (pid, *_) = subprocess.run(
                ["pgrep", "-f", f"storage.process.server {workspace.root}"], capture_output=True, text=True
            ).stdout.split()
            os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.4)
        acknowledged += process.communicate(timeout=60)[0].split()
        held = store.read("query_splits").column("query_id").to_pylist()
        assert process.returncode == 0
        assert len(acknowledged) == 60 and len(held) == 61
        assert set(acknowledged) <= set(held)


def is_cut_off(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def test_garbage_on_the_socket_harms_nobody(workspace: Workspace) -> None:
    with Store.connect(workspace) as store:
        store.append({"queries": [named("q_a")]})
        for garbage in (b"\x00" * 3, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\x00\x00\x00\x02" + bytes(8) + b"[]"):
            with short_path(workspace.root) as path, socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                peer.sendall(garbage)
                peer.settimeout(2)
                peer.shutdown(socket.SHUT_WR)
                assert is_cut_off(peer)
        assert store.read("query_splits").num_rows == 1
        mode = (workspace.root / "store.sock").stat().st_mode & 0o777
        assert mode == 0o600
