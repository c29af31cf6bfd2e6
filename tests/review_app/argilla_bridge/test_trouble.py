"""What goes wrong on a real server: its index is lost or damaged, it is killed, a dataset is edited under a push."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.push import look, push
from storage.errors import UserError
from storage.store import Store
from tests.review_app.argilla_bridge.bridging import KEY_VARIABLE, Bridge, put_grades, quiet
from tests.review_app.argilla_bridge.running import PYTHON, argilla_server
from tests.review_app.review_rows import add_pair

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.skipif(PYTHON is None, reason="AFREL_ARGILLA_PYTHON names no Argilla environment"),
]
N = 6


def removed(index: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        index.with_name(index.name + ending).unlink(missing_ok=True)


def cut_short(index: Path) -> None:
    os.truncate(index, 0)


def halved(index: Path) -> None:
    os.truncate(index, index.stat().st_size // 2)


def overwritten(index: Path) -> None:
    with index.open("r+b") as file:
        file.write(os.urandom(index.stat().st_size))
    os.truncate(index.with_name(index.name + "-wal"), 0)


@pytest.mark.parametrize("harm", [removed, cut_short, halved, overwritten])
def test_an_index_that_is_harmed_while_the_server_runs_is_whole_again(
    bridge: Bridge, harm: Callable[[Path], None]
) -> None:
    for n in range(N):
        add_pair(bridge.store, n)
    bridge.push()
    server, dataset_id, expected = bridge.server, bridge.only_dataset, [f"c_{n}" for n in range(N)]
    assert server.found("ana", dataset_id) == expected
    harm(server.folder / "search.sqlite")
    assert server.found("ana", dataset_id, "sofa") == expected
    assert server.found("ana", dataset_id) == expected
    harm(server.folder / "search.sqlite")
    server.answer("ana", server.record(bridge.name, "c_0")["id"], grade="1")  # the first to touch it is a write
    add_pair(bridge.store, N)
    assert bridge.push().n_sent == 1
    assert server.found("ana", dataset_id) == [*expected, f"c_{N}"]
    progress = server.ask("ana", "GET", f"me/datasets/{dataset_id}/metrics")["responses"]
    assert (progress["submitted"], progress["pending"]) == (1, N)


def test_a_server_killed_in_a_push_loses_and_doubles_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, ("root" * 80)[:80])
    put_grades(store)
    for n in range(250):
        add_pair(store, n)
    with argilla_server(tmp_path) as server:
        bridge = Bridge(store, server, "killed")
        sent = threading.Event()

        def told(words: str, n_sent: int, _: int) -> None:
            if words == "sending records" and n_sent >= 100:
                sent.set()

        def kill() -> None:
            sent.wait(120)
            os.kill(server.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        with ArgillaApi(bridge.target, waits=(0.0,)) as api, pytest.raises(UserError, match="no Argilla answers at"):
            push(store, api, bridge.target, look(store, api, bridge.target, quiet), told)
        killer.join()
    with argilla_server(tmp_path) as server:
        bridge = Bridge(store, server, "killed")
        assert 0 < bridge.push().n_sent <= 150
        assert bridge.push().is_idle
        expected = sorted(f"c_{n}" for n in range(250))
        assert server.found("ana", bridge.only_dataset) == expected
        (records,) = server.records("killed").values()
        assert sorted(one["external_id"] for one in records) == expected


def test_a_dataset_deleted_under_a_push_is_told_and_the_push_can_be_run_again(bridge: Bridge) -> None:
    add_pair(bridge.store, 0)
    bridge.push()
    add_pair(bridge.store, 1)
    with ArgillaApi(bridge.target) as api:
        stand = look(bridge.store, api, bridge.target, quiet)
        bridge.server.ask("root", "DELETE", f"datasets/{bridge.only_dataset}")
        with pytest.raises(UserError, match=r"somebody deleted it meanwhile.*afrel argilla push"):
            push(bridge.store, api, bridge.target, stand, quiet)
    assert bridge.push().n_sent == 2


def test_what_argilla_lets_a_hand_edit_is_told_or_of_no_harm(bridge: Bridge) -> None:
    for n in range(3):
        add_pair(bridge.store, n)
    bridge.push()
    server, dataset_id = bridge.server, bridge.only_dataset
    record = server.record(bridge.name, "c_0")
    # the guideline, the property and a suggestion are for people to read; a record that went is sent again
    server.ask("root", "PATCH", f"datasets/{dataset_id}", {"guidelines": "Other words.", "name": f"{bridge.name}-own"})
    for one in server.ask("root", "GET", f"me/datasets/{dataset_id}/metadata-properties")["items"]:
        server.ask("root", "DELETE", f"metadata-properties/{one['id']}")
    suggestions = ",".join(one["id"] for one in record["suggestions"])
    server.ask("root", "DELETE", f"records/{record['id']}/suggestions?ids={suggestions}")
    server.ask("root", "DELETE", f"records/{server.record(bridge.name, 'c_1')['id']}")
    assert bridge.push().n_sent == 1
    server.answer("ana", record["id"], grade="1")
    assert bridge.pull().n_new == 1
    # a record by hand is no candidate: its answer is refused by name, and the others are taken
    made = {"items": [{"fields": {"query": "by hand"}, "external_id": "mine"}]}
    (by_hand,) = server.ask("root", "POST", f"datasets/{dataset_id}/records/bulk", made)["items"]
    server.answer("ana", by_hand["id"], grade="1")
    server.answer("ana", server.record(bridge.name, "c_2")["id"], grade="2")
    pulled = bridge.pull()
    (refused,) = pulled.refused
    assert (pulled.n_new, refused.candidate_id) == (1, "mine") and "no candidate of this workspace" in refused.reason
    assert bridge.push().n_withdrawn == 0  # what is somebody else's is left alone
