"""No peer holds the store up by being slow, silent, many, gone, or somebody else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from storage.clock import now
from storage.errors import UserError
from storage.process.client import SocketTransport
from storage.process.wire import WireError, receive, send
from tests.storage.process.running_store import (
    RunningStore,
    append_frame,
    frame,
    query_row,
    running_store,
    stream,
    wait_until,
)

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
SCALE = {"verb": "read", "params": {"name": "scale", "params": {}, "sees_test": False}}
LONG = {"verb": "read", "params": {"name": "instructions", "params": {}, "sees_test": False}}
LONG_BYTES = 12_000_000  # far more than a socket holds


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunningStore]:
    """A store whose frames may take one second; LONG has an answer of 12 MB."""
    with running_store(tmp_path / "w", frame_seconds=1.0) as running:
        instruction = {
            "instruction_id": "i_1",
            "text": "x" * LONG_BYTES,
            "operator": "default",
            "generation": 0,
            "run_id": "run_1",
            "created_at": now(),
        }
        running.good.append({"instructions": [instruction]})
        yield running
        running.assert_unharmed()


def closed_after(peer: socket.socket) -> float:
    """Return the seconds until the store hangs up."""
    started = time.monotonic()
    with suppress(ConnectionResetError):
        assert peer.recv(1) == b""
    return time.monotonic() - started


def whole() -> bytes:
    return append_frame(stream(pa.Table.from_pylist([query_row("never")])))


@pytest.mark.parametrize("n_bytes", [1, 11, 12, 20, -1])
def test_a_frame_begun_and_not_finished_is_cut_off_in_time_and_holds_no_thread(
    store: RunningStore, n_bytes: int
) -> None:
    n_threads = store.n_threads()
    with store.connect() as peer:
        peer.sendall(whole()[:n_bytes])
        assert wait_until(lambda: store.n_threads() > n_threads)
        assert 0.5 < closed_after(peer) < 8
        assert wait_until(lambda: store.n_threads() <= n_threads)


def test_a_frame_that_comes_a_byte_at_a_time_is_cut_off_as_well(store: RunningStore) -> None:
    with store.connect() as peer:
        started = time.monotonic()
        n_sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            for byte in whole():
                peer.sendall(bytes([byte]))
                n_sent += 1
                time.sleep(0.05)
        assert n_sent < len(whole())
        assert time.monotonic() - started < 8


def test_a_peer_may_be_silent_between_frames_for_longer_than_a_frame_may_take(store: RunningStore) -> None:
    with store.connect() as peer:
        for _ in range(2):
            send(peer, SCALE)
            assert receive(peer)[0] == {"ok": None}
            time.sleep(1.5)


def test_two_hundred_silent_connections_keep_nobody_waiting(store: RunningStore) -> None:
    n_threads = store.n_threads()
    peers = [store.connect() for _ in range(200)]
    assert wait_until(lambda: store.n_threads() >= n_threads + 200)
    store.assert_unharmed(seconds=5)
    send(peers[150], SCALE)
    assert receive(peers[150])[0] == {"ok": None}
    for peer in peers:
        peer.close()
    assert wait_until(lambda: store.n_threads() <= n_threads)


def test_peers_that_leave_in_the_middle_of_an_answer_are_let_go(store: RunningStore) -> None:
    n_threads = store.n_threads()
    for _ in range(10):
        with store.connect() as peer:
            send(peer, LONG)
            assert len(peer.recv(1000)) > 0
    for _ in range(10):
        with store.connect() as peer:
            send(peer, LONG)
    assert wait_until(lambda: store.n_threads() <= n_threads)


def test_a_reader_that_never_takes_its_answer_is_let_go_and_others_work_meanwhile(store: RunningStore) -> None:
    n_threads = store.n_threads()
    slow = [store.connect() for _ in range(5)]
    for peer in slow:
        send(peer, LONG)
    for _ in range(5):
        store.assert_unharmed(seconds=5)
    assert wait_until(lambda: store.n_threads() <= n_threads)
    for peer in slow:
        with pytest.raises(WireError):
            receive(peer)
        peer.close()


def test_many_peers_of_all_bad_kinds_at_once_do_not_keep_a_good_one_from_its_rows(store: RunningStore) -> None:
    sent = [b"", whole()[:30], frame(b"[" * 100_000), os.urandom(300), frame(b"{}", b"x" * 1000), whole()[:-1]]

    def bother(number: int) -> None:
        with store.connect() as peer:
            peer.settimeout(0.2)
            with suppress(OSError):
                peer.sendall(sent[number % len(sent)])
                peer.recv(1)

    with ThreadPoolExecutor(24) as pool:
        bothering = [pool.submit(bother, number) for number in range(240)]
        while not all(one.done() for one in bothering):
            store.assert_unharmed(seconds=10)


def test_more_connections_than_the_process_may_have_files_do_not_end_it(tmp_path: Path) -> None:
    with running_store(tmp_path / "w", max_files=64) as store:
        peers = []
        for _ in range(100):
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            try:
                peer.connect(str(store.root / "store.sock"))
            except BlockingIOError:
                peer.close()
                break
            peers.append(peer)
        time.sleep(1.0)
        for peer in peers:
            peer.close()
        store.assert_unharmed()


# Becomes nobody, asks a read of the store at argv[1], prints what came of it.
STRANGER = """
import os, socket, sys
from storage.process.wire import receive, send
os.setgroups([]); os.setgid(65534); os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(20)
try:
    peer.connect(sys.argv[1])
    send(peer, {"verb": "read", "params": {"name": "accounts", "params": {}, "sees_test": False}})
    print("answered", receive(peer))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def reachable() -> Iterator[RunningStore]:
    """A store in a folder that other users may enter, so that the socket alone keeps them out."""
    folder = Path(tempfile.mkdtemp(prefix="afrel-strangers-"))
    folder.chmod(0o755)
    try:
        with running_store(folder / "w") as running:
            running.root.chmod(0o755)
            yield running
            running.assert_unharmed()
    finally:
        shutil.rmtree(folder)


def strangers_luck(store: RunningStore) -> str:
    command = [sys.executable, "-c", STRANGER, str(store.root / "store.sock")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@ROOT_ONLY
def test_another_user_cannot_connect(reachable: RunningStore) -> None:
    assert (reachable.root / "store.sock").stat().st_mode & 0o777 == 0o600
    assert strangers_luck(reachable).startswith("PermissionError")


@ROOT_ONLY
def test_another_user_who_can_connect_is_hung_up_on_unheard(reachable: RunningStore) -> None:
    (reachable.root / "store.sock").chmod(0o666)
    said = strangers_luck(reachable)
    assert said.startswith(("WireError the connection", "BrokenPipeError", "ConnectionResetError")), said


# Becomes nobody and listens in the folder argv[1] as a store would; says what came.
IMPOSTOR = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "/store.sock")
os.chmod(sys.argv[1] + "/store.sock", 0o777)
listener.listen(1)
print("listening", flush=True)
peer, _ = listener.accept()
print(peer.recv(1000), flush=True)
"""


@ROOT_ONLY
def test_a_client_says_nothing_to_a_socket_of_another_user() -> None:
    with tempfile.TemporaryDirectory(prefix="afrel-impostor-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        command = [sys.executable, "-c", IMPOSTOR, name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as impostor:
            assert impostor.stdout is not None and impostor.stdout.readline() == "listening\n"
            with pytest.raises(UserError, match="belongs to user 65534, you are 0"):
                SocketTransport(folder).ask("read", {"name": "accounts", "params": {}, "sees_test": False}, {})
            assert impostor.stdout.readline() == "b''\n"
