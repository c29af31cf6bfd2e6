"""A checkpoint and readers: one waits for the other, nobody for ever, and the store checkpoints while people read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from storage.process.gate import Gate
from storage.process.owner import Owner
from storage.store import as_table
from tests.storage.process.store_rows import llm_calls, shop


def test_whoever_closes_waits_for_those_inside_and_nobody_comes_in_meanwhile() -> None:
    gate, seen = Gate(), []
    leave, is_closed, reopen = threading.Event(), threading.Event(), threading.Event()

    def read() -> None:
        with gate.passing():
            seen.append("in")
            leave.wait(10)
            seen.append("out")

    def close() -> None:
        with gate.closed():
            seen.append("closed")
            is_closed.set()
            reopen.wait(10)
            seen.append("open")

    def read_later() -> None:
        with gate.passing():
            seen.append("later")

    reader, closer, late = (threading.Thread(target=act) for act in (read, close, read_later))
    reader.start()
    while not seen:
        time.sleep(0.001)
    closer.start()
    time.sleep(0.05)
    late.start()
    time.sleep(0.05)
    assert seen == ["in"]
    leave.set()
    assert is_closed.wait(10)
    time.sleep(0.05)
    assert seen == ["in", "out", "closed"]
    reopen.set()
    for thread in (reader, closer, late):
        thread.join(10)
    assert seen == ["in", "out", "closed", "open", "later"]


def test_a_gate_closed_for_a_while_lets_others_in_before_the_block_ends() -> None:
    gate, is_in = Gate(), threading.Event()

    def read() -> None:
        with gate.passing():
            is_in.set()

    with gate.closed(for_seconds=0.1):
        reader = threading.Thread(target=read)
        reader.start()
        assert not is_in.wait(0.02)
        assert is_in.wait(5)
    reader.join()
    with gate.closed():
        pass


def test_an_error_inside_leaves_the_gate_as_it_was() -> None:
    gate = Gate()
    with pytest.raises(RuntimeError), gate.passing():
        raise RuntimeError
    with pytest.raises(RuntimeError), gate.closed():
        raise RuntimeError
    with gate.closed():
        pass
    with gate.passing():
        pass


def test_a_store_that_is_read_all_the_time_checkpoints_after_updates_in_place(tmp_path: Path) -> None:
    """DuckDB refuses to where one reader has an older state: with two who never rest, about every other time."""
    owner = Owner(tmp_path)
    owner.fold([owner.admit({table: as_table(rows) for table, rows in shop(300).items()})])
    is_over, errors = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            try:
                with owner.answering("counts", {}, sees_test=True) as reader:
                    reader.read_all()
            except BaseException as error:
                errors.append(error)
                raise

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for n in range(20):
            owner.fold([owner.admit({"llm_calls": as_table(llm_calls(100 * n, 100))})])
            assert owner.checkpoint()
            assert owner.log_bytes() == 0
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
        owner.close()
    assert errors == []
