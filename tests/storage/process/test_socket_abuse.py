"""Whatever comes over the socket, the store answers or hangs up, writes nothing, and works on for everybody else."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.storage.process.running_store import RunningStore, append_frame, frame, query_row, running_store, stream

GIB = 1 << 30
# Refused without harm, but as `error` with a traceback in the log, where the peer's mistake is a `user_error`.


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("abuse") / "w") as running:
        yield running


@pytest.fixture(autouse=True)
def _unharmed(store: RunningStore) -> Iterator[None]:
    yield
    store.assert_unharmed()


def queries(n: int = 1, **columns: pa.Array) -> pa.Table:
    """Return rows that `queries` would take, but for the columns given."""
    table = pa.Table.from_pylist([query_row(f"new{i}") for i in range(n)])
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


NO_FRAMES = {
    "random bytes": random.Random(1).randbytes(4096),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a giant head": struct.pack(">IQ", 2**32 - 1, 0),
    "a giant body": struct.pack(">IQ", 2, 2**64 - 1),
    "a body one byte too large": struct.pack(">IQ", 2, GIB + 1),
    "no head": frame(b""),
    "no JSON": frame(b"verb: read"),
    "invalid UTF-8": frame(b'{"verb": "\xff\xfe", "tables": []}'),
    "deep lists": frame(b"[" * 500_000),
    "deep objects": frame(b'{"a":' * 200_000),
    "a number of 5000 digits": frame(b'{"verb": ' + b"9" * 5000 + b', "tables": []}'),
    "NaN": frame(b'{"verb": "read", "params": {"x": NaN}, "tables": []}'),
    "Infinity": frame(b'{"verb": "read", "params": {"x": -Infinity}, "tables": []}'),
    "a list as head": frame(b'["read"]'),
    "a text as head": frame(b'"read"'),
    "null as head": frame(b"null"),
    "no tables": frame({"verb": "publish"}),
    "tables null": frame({"verb": "publish", "tables": None}),
    "tables an object": frame({"verb": "publish", "tables": {"queries": 0}}),
    "tables a text": frame({"verb": "publish", "tables": "queries"}),
    "a table that is no pair": frame({"verb": "append", "tables": [["queries"]]}),
    "a table that is a number": frame({"verb": "append", "tables": [7]}),
    "a table without a name": frame({"verb": "append", "tables": [[None, 0]]}),
    "a length that is a text": frame({"verb": "append", "tables": [["queries", "0"]]}),
    "a length that is a fraction": frame({"verb": "append", "tables": [["queries", 0.5]]}, b"x"),
    "a length that is true": frame({"verb": "append", "tables": [["queries", True]]}, b"x"),
    "a negative length": frame({"verb": "append", "tables": [["queries", -1]]}, b"xx"),
    "a length beyond the body": frame({"verb": "append", "tables": [["queries", 10**9]]}, b"xx"),
    "an empty table": append_frame(b""),
    "a body of no table": frame({"verb": "publish", "tables": []}, b"left over"),
}


@pytest.mark.parametrize("sent", NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame_is_cut_off(store: RunningStore, sent: bytes) -> None:
    assert store.is_cut_off(sent)


def test_a_table_named_twice_is_cut_off(store: RunningStore) -> None:
    one = stream(queries())
    head = {"verb": "append", "params": {}, "tables": [["queries", len(one)], ["queries", len(one)]]}
    assert store.is_cut_off(frame(head, one + one))


def _patched(body: bytes, found: bytes, put: bytes) -> bytes:
    assert body.count(found) == 1 and len(found) == len(put)
    return body.replace(found, put)


def _lying_streams() -> dict[str, bytes]:
    """Return streams that are well-formed as messages and lie about what is in them."""
    texts = pa.array(["x" * 1111, "y" * 2222])
    sound = stream(queries(2, text=texts))
    offsets = struct.pack("<iii", 0, 1111, 3333)
    lists = stream(pa.table({"a": pa.array([[1] * 1111, [2] * 2222])}))
    bad_utf8 = pa.StringArray.from_buffers(
        2, pa.py_buffer(struct.pack("<iii", 0, 2, 4)), pa.py_buffer(b"\xff\xfe\xc3(")
    )
    codes = pa.array([0, 77], pa.int32())
    return {
        "an offset beyond its buffer": _patched(sound, offsets, struct.pack("<iii", 0, 2**31 - 1, 3333)),
        "a negative offset": _patched(sound, offsets, struct.pack("<iii", 0, -5, 3333)),
        "offsets that go back": _patched(sound, offsets, struct.pack("<iii", 3333, 1111, 0)),
        "a list's offset beyond its values": _patched(lists, offsets, struct.pack("<iii", 0, 10**9, 3333)),
        "invalid UTF-8": stream(queries(2, text=bad_utf8)),
        "a code beyond its dictionary": stream(
            queries(2, text=pa.DictionaryArray.from_arrays(codes, pa.array(["x"]), safe=False))
        ),
        "half a stream": sound[: len(sound) // 2],
        "a stream without its schema": sound[len(stream(queries(2, text=texts).slice(0, 0))) - 8 :],
        "zeros": bytes(10_000),
        "a Parquet file's mark": b"PAR1" + bytes(100),
    }


@pytest.mark.parametrize("body", _lying_streams().values(), ids=_lying_streams())
def test_an_arrow_stream_that_lies_is_cut_off(store: RunningStore, body: bytes) -> None:
    assert store.is_cut_off(append_frame(body))


@pytest.mark.slow
def test_a_thousand_streams_with_flipped_bytes_do_no_harm(store: RunningStore) -> None:
    """To an unknown table, so that a flip which changes nothing that matters writes nothing either."""
    sound = stream(queries(3, text=pa.array(["a", None, "ccc"])))
    chance = random.Random(7)
    for _ in range(1000):
        altered = bytearray(sound)
        for _ in range(chance.choice([1, 1, 2, 8])):
            altered[chance.randrange(len(sound))] = chance.randrange(256)
        with store.connect() as peer:
            peer.sendall(append_frame(bytes(altered), table="nothing"))
            assert peer.recv(1 << 16) is not None


def refusal(store: RunningStore, verb: Any, params: Any, tables: dict[str, pa.Table] | None = None) -> str:
    """Return what the store says to a request it must refuse."""
    head, _ = store.ask({"verb": verb, "params": params}, tables)
    assert set(head) <= {"user_error", "error"}, head
    return str(head["user_error"])


@pytest.mark.parametrize("verb", [None, 5, True, ["append"], {"append": 1}, "nothing", "close", "__init__", "\x00", ""])
def test_an_unknown_verb_and_one_that_is_no_text_are_refused(store: RunningStore, verb: Any) -> None:
    assert "verb" in refusal(store, verb, {})


def test_a_verb_too_long_to_repeat_gets_an_answer_that_fits(store: RunningStore) -> None:
    assert "verb" in refusal(store, "x" * 1_000_000, {})


@pytest.mark.parametrize("verb", ["append", "read", "claim", "update_run", "update_job", "publish", "rebuild"])
@pytest.mark.parametrize("params", [None, 5, "x", [1], [["name", "scale"]]])
def test_parameters_that_are_no_object_are_refused(store: RunningStore, verb: str, params: Any) -> None:
    assert refusal(store, verb, params)


READ = {"name": "run", "params": {"run_id": "x"}, "sees_test": False}
WRONG_READS: dict[str, dict[str, Any]] = {
    "unknown": {**READ, "name": "nothing"},
    "SQL": {**READ, "name": "select * from accounts"},
    "a list as name": {**READ, "name": ["run"]},
    "null as name": {**READ, "name": None},
    "no name": {"params": {}, "sees_test": False},
    "no parameters": {"name": "run", "sees_test": False},
    "parameters null": {**READ, "params": None},
    "parameters a list": {**READ, "params": [1]},
    "a text for what it may see": {**READ, "sees_test": "no"},
    "the test grades": {"name": "tier_relation", "params": {}, "sees_test": False},
}


@pytest.mark.parametrize("params", WRONG_READS.values(), ids=WRONG_READS)
def test_a_read_asked_for_wrongly_is_refused(store: RunningStore, params: dict[str, Any]) -> None:
    assert refusal(store, "read", params)


WRONG_READ_PARAMETERS: dict[str, dict[str, Any]] = {
    "a missing one": {**READ, "params": {}},
    "one too many": {**READ, "params": {"run_id": "x", "also": 1}},
    "one where none is taken": {"name": "query_splits", "params": {"x": 1}, "sees_test": False},
    "half a character": {**READ, "params": {"run_id": "\ud800"}},
}


@pytest.mark.parametrize("params", WRONG_READ_PARAMETERS.values(), ids=WRONG_READ_PARAMETERS)
def test_a_read_with_parameters_it_does_not_take_is_refused(store: RunningStore, params: dict[str, Any]) -> None:
    assert refusal(store, "read", params)


@pytest.mark.parametrize(
    "value", [{"a": [1]}, [1, 2], 10**30, 1e308, True, None, "'; drop table runs; --", "x" * 10**5]
)
def test_a_read_parameter_of_any_kind_does_no_harm(store: RunningStore, value: Any) -> None:
    head, _ = store.ask({"verb": "read", "params": {**READ, "params": {"run_id": value}}})
    assert set(head) <= {"ok", "user_error", "error"} and len(head) == 1


CLAIM = {"account": "ana", "n": 1, "session": "s", "sequence": 1}


@pytest.mark.parametrize("n", [-1, 10**9, 10**30, "x", None, 1.5, True, [1]])
def test_a_claim_of_an_impossible_number_is_refused(store: RunningStore, n: Any) -> None:
    assert refusal(store, "claim", {**CLAIM, "n": n})


@pytest.mark.parametrize("changed", [{"account": None}, {"account": ["ana"]}, {"session": 5}, {"sequence": "1"}])
def test_a_claim_by_nobody_is_refused(store: RunningStore, changed: dict[str, Any]) -> None:
    assert refusal(store, "claim", {**CLAIM, **changed})


VALUES: list[Any] = [
    None,
    [],
    "status",
    {"run_id": "x", "job_id": "x"},
    {"nothing": 1},
    {"status = 'x', verb": "y"},
]


@pytest.mark.parametrize("values", VALUES)
def test_a_run_is_updated_in_known_columns_only(store: RunningStore, values: Any) -> None:
    assert refusal(store, "update_run", {"run_id": "run_1", "values": values})


@pytest.mark.parametrize("values", [*VALUES, {"job_id": "x", "status": "x"}, {"verb": "sign"}])
def test_a_job_is_updated_in_known_columns_only(store: RunningStore, values: Any) -> None:
    assert refusal(store, "update_job", {"job_id": "job_1", "values": values})


FILES: list[Any] = [[], "x", {"queries": 5}, {"queries": None}, {"queries": ["x.parquet"]}]
FILE_NAMES = ["../../etc/passwd", "/etc/passwd", "nothing.parquet", "*.parquet", "a\x00b", "x' or '1'='1", ""]
FILES += [pytest.param({"queries": name}, id=name) for name in FILE_NAMES]


@pytest.mark.parametrize("files", FILES)
def test_only_files_of_the_hand_over_folder_are_taken_by_name(store: RunningStore, files: Any) -> None:
    assert refusal(store, "append", {"files": files})


LEFT = ("no", "link")


def test_a_handed_over_file_that_is_no_parquet_or_leads_elsewhere_is_refused(store: RunningStore) -> None:
    folder = store.root / "handover"
    (folder / "no.parquet").write_bytes(b"PAR1" + os.urandom(500))
    (folder / "link.parquet").symlink_to("/etc/passwd")
    answers = [store.ask({"verb": "append", "params": {"files": {"queries": f"{name}.parquet"}}})[0] for name in LEFT]
    for name in LEFT:
        (folder / f"{name}.parquet").unlink()
    assert [set(answer) for answer in answers] == [{"user_error"}, {"user_error"}]


def _columns_that_do_not_fit() -> dict[str, pa.Table]:
    union = pa.UnionArray.from_dense(
        pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array(["x"]), pa.array([1])]
    )
    wide = {f"column{i}": [1] for i in range(10_000)}
    two = queries().append_column("text", pa.array(["again"]))
    return {
        "a union": queries(text=union),
        "a record": queries(text=pa.array([{"a": 1}])),
        "a map": queries(text=pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))),
        "a list": queries(text=pa.array([["a"]])),
        "bytes that are no text": queries(text=pa.array([b"\xff\xfe"])),
        "null where a text must be": queries(text=pa.nulls(1)),
        "a time that is none": queries(created_at=pa.array(["yesterday"])),
        "a column twice": two,
        "an unknown column": queries().append_column('x"; drop table queries; --', pa.array([1])),
        "no columns": pa.table({}),
        "10,000 columns": pa.table(wide),
        "half a name": queries().rename_columns([*queries().column_names[:-1], "created_at\ufffd"]),
    }


@pytest.mark.parametrize("table", _columns_that_do_not_fit().values(), ids=_columns_that_do_not_fit())
def test_rows_that_do_not_fit_their_table_are_refused(store: RunningStore, table: pa.Table) -> None:
    assert refusal(store, "append", {}, {"queries": table})


def test_rows_of_ten_thousand_columns_with_long_names_get_an_answer_that_fits(store: RunningStore) -> None:
    wide = pa.table({f"column{i}" * 20: [1] for i in range(10_000)})
    assert refusal(store, "append", {}, {"queries": wide})


@pytest.mark.parametrize("name", ["nothing", "queries; drop table runs", "queue", "migrations", "", "x" * 100_000])
def test_rows_for_a_table_that_takes_none_are_refused(store: RunningStore, name: str) -> None:
    assert refusal(store, "append", {}, {name: queries()})


def test_one_table_that_is_refused_keeps_the_others_of_its_request_out(store: RunningStore) -> None:
    assert refusal(store, "append", {}, {"queries": queries(), "runs": pa.table({"run_id": ["run_x"]})})


def test_no_rows_at_all_are_no_rows_written(store: RunningStore) -> None:
    for tables in ({}, {"queries": queries().slice(0, 0)}):
        head, _ = store.ask({"verb": "append", "params": {}}, tables)
        assert not sum(head["ok"].values())


def test_codes_views_and_extension_types_are_taken_as_the_texts_they_hold(tmp_path: Path) -> None:
    """A Polars category is a dictionary; the values count, not how they came."""
    kinds = {
        "codes": pa.array(["red sofa"]).dictionary_encode(),
        "a view": pa.array(["red sofa"], pa.string_view()),
        "large": pa.array(["red sofa"], pa.large_string()),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["red sofa"])),
    }
    with running_store(tmp_path / "w") as store:
        for n, column in enumerate(kinds.values()):
            row = queries(query_id=pa.array([f"q_{n}"]), root_query_id=pa.array([f"q_{n}"]), text=column)
            assert store.ask({"verb": "append", "params": {}}, {"queries": row})[0] == {"ok": {"queries": 1}}, n


def test_a_peers_mistakes_leave_no_traceback_in_the_log(store: RunningStore) -> None:
    store.ask({"verb": "read", "params": {**READ, "params": {}}})
    assert "Traceback" not in store.log()
