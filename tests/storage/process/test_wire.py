"""A frame arrives as it was sent, or not at all; nothing that is not sound in every byte comes out of one."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.process import wire
from storage.process.wire import WireError, receive, send
from tests.storage.process.running_store import frame, stream


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def exchanged(head: dict[str, Any], tables: dict[str, pa.Table]) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sending = threading.Thread(target=send, args=(ours, head, tables))
        sending.start()
        received = receive(theirs)
        sending.join()
    return received


TABLES = {
    "every kind": pa.table(
        {
            "text": ["rote Schuhe für Männer", None, "红色 \u2028\t\x00"],
            "list": [["r_1", "r_2"], [], None],
            "number": pa.array([1, None, -(2**63)]),
            "share": pa.array([0.5, float("nan"), float("inf")]),
            "when": [datetime(2031, 5, 4, 9, 30, 0, 1), None, datetime(1, 1, 1)],
            "flag": [True, None, False],
            "nothing": pa.nulls(3),
            "bytes": [b"\x00\xff", None, b""],
        }
    ),
    "a view, codes and large texts": pl.DataFrame({"a": ["x", "y", "x"], "b": [["u"], [], None]})
    .with_columns(pl.col("a").cast(pl.Categorical).alias("c"))
    .to_arrow(),
    "no rows": pa.table({"a": pa.array([], pa.string())}),
    "no columns": pa.table({}),
    "several chunks, one cut out of a longer one": pa.concat_tables([pa.table({"a": range(9)}).slice(3, 2)] * 3),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_arrives_as_it_was_sent(table: pa.Table) -> None:
    _, received = exchanged({}, {"t": table})
    assert received["t"].schema == table.schema
    assert repr(received["t"].to_pylist()) == repr(table.to_pylist())  # repr: nan is not equal to itself


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda v: st.lists(v) | st.dictionaries(texts, v)
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts.filter(lambda name: name != "tables"), values), st.lists(texts, unique=True, max_size=4))
def test_a_head_arrives_as_it_was_sent_whatever_is_in_it(head: dict[str, Any], names: list[str]) -> None:
    tables = {name: pa.table({"n": [number]}) for number, name in enumerate(names)}
    assert exchanged(head, tables) == (head, tables)


def test_frames_arrive_one_by_one_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    for number in range(5):
        send(ours, {"n": number}, {"t": pa.table({"n": [number]})})
    received = [receive(theirs) for _ in range(5)]
    assert [(head["n"], tables["t"]["n"].to_pylist()) for head, tables in received] == [(n, [n]) for n in range(5)]


def test_a_number_that_json_does_not_have_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        send(pair[0], {"x": float("nan")})


def test_a_peer_that_says_nothing_is_waited_for_and_one_that_stops_in_a_frame_is_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    threading.Timer(0.6, send, (ours, {"n": 1})).start()
    assert receive(theirs, seconds=0.2)[0] == {"n": 1}
    ours.sendall(frame({"tables": []})[:-1])
    started = time.monotonic()
    with pytest.raises(WireError, match=r"timed out|not finished"):
        receive(theirs, seconds=0.2)
    assert 0.15 < time.monotonic() - started < 5


def test_a_peer_that_does_not_take_its_frame_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        send(pair[0], {"x": "y" * 5_000_000}, seconds=0.2)
    assert 0.15 < time.monotonic() - started < 5


def test_a_peer_that_is_gone_is_told_of(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(frame({"tables": []})[:-1])
    ours.close()
    for _ in range(2):
        with pytest.raises(WireError, match="closed"):
            receive(theirs)


def test_a_length_alone_reserves_no_memory(pair: tuple[socket.socket, socket.socket]) -> None:
    import tracemalloc

    ours, theirs = pair
    ours.sendall(struct.pack(">IQ", 2, wire.MAX_BODY_BYTES) + b"{}" + b"x" * 1000)
    ours.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    with pytest.raises(WireError, match="closed"):
        receive(theirs)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("head", "body"), [(wire.MAX_HEAD_BYTES + 1, 0), (0, wire.MAX_BODY_BYTES + 1)])
def test_a_frame_that_is_too_large_is_refused_before_it_is_read(
    pair: tuple[socket.socket, socket.socket], head: int, body: int
) -> None:
    pair[0].sendall(struct.pack(">IQ", head, body))
    with pytest.raises(WireError, match="larger than allowed"):
        receive(pair[1], seconds=5)


def test_a_pickle_in_an_extension_type_is_not_run(pair: tuple[socket.socket, socket.socket]) -> None:
    """Old Arrow versions unpickled what a stream named `arrow.py_extension_type`."""
    harm = b"cbuiltins\nexec\n(Vraise SystemExit('unpickled')\ntR."
    metadata = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": harm}
    body = stream(pa.table([pa.array(["x"])], pa.schema([pa.field("a", pa.string(), metadata=metadata)])))
    pair[0].sendall(frame({"tables": [["t", len(body)]]}, body))
    assert receive(pair[1])[1]["t"].to_pylist() == [{"a": "x"}]


def test_a_stream_with_flipped_bytes_is_a_sound_table_or_an_error() -> None:
    table = pa.table(
        {"a": ["x" * 40, None, "z"], "b": [[1, 2], None, []], "c": pa.array(["u", "v", "u"]).dictionary_encode()}
    )
    sound = stream(table)
    chance = random.Random(3)
    n_refused = 0
    for _ in range(1500):
        altered = bytearray(sound)
        for _ in range(chance.choice([1, 1, 3])):
            altered[chance.randrange(len(sound))] = chance.randrange(256)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(frame({"tables": [["t", len(sound)]]}, bytes(altered)))
            try:
                _, tables = receive(theirs, seconds=5)
            except WireError:
                n_refused += 1
            else:
                tables["t"].validate(full=True)
                tables["t"].to_pylist()
    assert 300 < n_refused < 1500
