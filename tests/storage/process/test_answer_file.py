"""An answer larger than a frame comes as a file: whole, of one moment, and nothing stays behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import UserError
from storage.process.answer_file import FRAME_BYTES, gather, receive_file, send_file
from storage.process.wire import WireError
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process

LARGE = FRAME_BYTES // 1000 + 500
SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])


def answer(n: int) -> pa.RecordBatchReader:
    """Return an answer of n rows of a thousand bytes each, a hundred at a time."""
    parts = (range(at, min(at + 100, n)) for at in range(0, n, 100))
    batches = (pa.record_batch([list(part), [f"{i:0992d}" for i in part]], SCHEMA) for part in parts)
    return pa.RecordBatchReader.from_batches(SCHEMA, batches)


def test_a_small_answer_is_a_table_and_a_large_one_a_file_without_a_name(tmp_path: Path) -> None:
    small = gather(answer(250), tmp_path)
    assert isinstance(small, pa.Table) and small["n"].to_pylist() == list(range(250))
    large = gather(answer(LARGE), tmp_path)
    assert not isinstance(large, pa.Table)
    assert list(tmp_path.iterdir()) == []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_file(ours, large)
        assert large.closed
        received = receive_file(theirs)
    assert received.schema == SCHEMA and received.equals(answer(LARGE).read_all())


def test_an_answer_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    found = gather(answer(0), tmp_path)
    assert isinstance(found, pa.Table) and found.schema == SCHEMA and found.num_rows == 0


def test_a_file_that_does_not_come_is_a_break_and_leaks_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for said in (b"", b"f", b"x"):
        ours, theirs = socket.socketpair()
        with theirs:
            with ours:
                ours.sendall(said)
            with pytest.raises(WireError, match="did not come"):
                receive_file(theirs)
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull) as one, open(os.devnull) as two:
        socket.send_fds(ours, [b"x"], [one.fileno()])
        with pytest.raises(WireError, match="did not come"):
            receive_file(theirs)
        socket.send_fds(ours, [b"f"], [one.fileno(), two.fileno()])
        with pytest.raises(WireError, match="did not come"):
            receive_file(theirs)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists() or os.getuid() != 0:
        pytest.skip("no small disk can be made here")
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null"):
        pytest.skip("no small disk can be made here")
    try:
        with pytest.raises(UserError, match="has no room for the answer"):
            gather(answer(LARGE), disk)
    finally:
        os.system(f"umount {disk}")


def test_a_read_of_a_large_table_answers_whole_through_the_store_process(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "afrel.toml").write_text("")
    texts = [f"{n:01000d}" for n in range(LARGE)]
    rows = pa.table({"query_id": [f"q_{n:016x}" for n in range(LARGE)], "text": texts})
    stamps = {"split": "dev", "source": "s", "run_id": "run_1"}
    for name, value in stamps.items():
        rows = rows.append_column(name, pa.repeat(value, LARGE))
    rows = rows.append_column("root_query_id", rows["query_id"])
    rows = rows.append_column("created_at", pa.repeat(pa.scalar(0, pa.timestamp("us")), LARGE))
    try:
        with Store.connect(Workspace.open(root)) as store:
            store.append({"queries": rows})
            first, second = (store.read("held_back_queries") for _ in range(2))
            assert first.sort_by("query")["query"].to_pylist() == texts
            assert second.num_rows == store.read("query_splits").num_rows == LARGE
            assert list((root / "handover").iterdir()) == []
    finally:
        stop_store_process(root)
