"""The journal: what was written comes back, a torn end goes, damage and gaps are told."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.errors import UserError
from storage.process.journal import DROPPED, Journal, Request, encode
from storage.process.owner import Owner
from storage.store import Store


def rows(*numbers: int) -> Request:
    return Request({"docs": pa.table({"n": list(numbers), "text": [f"文 {n}" for n in numbers]})})


def replayed(root: Path, after: int = 0) -> list[tuple[int, list[list[int]]]]:
    """Return sequence and row numbers of each record, read by a fresh journal."""
    journal = Journal(root)
    return [
        (sequence, [request.tables["docs"]["n"].to_pylist() for request in requests])
        for sequence, requests in journal.replay(after=after)
    ]


def written(root: Path, *groups: list[Request]) -> Journal:
    journal = Journal(root)
    list(journal.replay(after=0))
    for group in groups:
        journal.write([encode(request) for request in group])
    return journal


def test_requests_come_back_in_order_with_their_rows(tmp_path: Path) -> None:
    written(tmp_path, [rows(1, 2), rows(3)], [rows(4)])
    assert replayed(tmp_path) == [(1, [[1, 2], [3]]), (2, [[4]])]
    assert replayed(tmp_path, after=1) == [(2, [[4]])]


def test_run_updates_and_commits_made_elsewhere_come_back(tmp_path: Path) -> None:
    update = {"run_id": "run_1", "status": "finished"}
    written(tmp_path, [Request(update=update), Request(committed={"pairs": 9, "n_commits": 4})])
    ((_, requests),) = Journal(tmp_path).replay(after=0)
    assert [requests[0].update, requests[1].committed] == [update, {"pairs": 9, "n_commits": 4}]


@pytest.mark.parametrize("n_cut", [1, 10, 60])
def test_a_torn_last_record_is_cut_off_and_the_journal_goes_on(tmp_path: Path, n_cut: int) -> None:
    written(tmp_path, [rows(1)], [rows(2)])
    (segment,) = (tmp_path / "journal").glob("*.log")
    os.truncate(segment, segment.stat().st_size - n_cut)
    assert replayed(tmp_path) == [(1, [[1]])]
    journal = Journal(tmp_path)
    list(journal.replay(after=0))
    assert journal.write([encode(rows(3))]) == 2
    assert replayed(tmp_path) == [(1, [[1]]), (2, [[3]])]


def test_damage_in_the_middle_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    written(tmp_path, [rows(1)], [rows(2)])
    (segment,) = (tmp_path / "journal").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[60] ^= 1
    segment.write_bytes(content)
    with pytest.raises(UserError, match="is damaged at byte 8"):
        replayed(tmp_path)
    assert segment.read_bytes() == content


def test_segments_go_only_when_all_their_records_are_in_the_database(tmp_path: Path) -> None:
    journal = written(tmp_path, [rows(1)], [rows(2)])
    journal.rotate()
    journal.write([encode(rows(3))])
    journal.drop(up_to=1)
    assert [sequence for sequence, _ in replayed(tmp_path)] == [1, 2, 3]
    journal.drop(up_to=2)
    assert [sequence for sequence, _ in replayed(tmp_path, after=2)] == [3]


def test_a_missing_segment_is_told(tmp_path: Path) -> None:
    journal = written(tmp_path, [rows(1)])
    journal.rotate()
    journal.write([encode(rows(2))])
    (tmp_path / "journal" / f"{1:020d}.log").unlink()
    with pytest.raises(UserError, match="jumps from request 0 to 2"):
        replayed(tmp_path)


def test_the_mark_of_what_was_folded_survives_and_a_broken_one_counts_as_none(tmp_path: Path) -> None:
    journal = written(tmp_path, [rows(1)])
    journal.mark_folded(7)
    assert Journal(tmp_path).folded() == 7
    (tmp_path / "journal" / "folded").write_bytes(b"nonsense")
    assert Journal(tmp_path).folded() == 0


def test_a_full_disk_keeps_the_records_before_and_none_of_the_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = written(tmp_path, [rows(1)])

    real, errors = os.fdatasync, iter([OSError(28, "No space left on device")])

    def fail_once(descriptor: int) -> None:
        if error := next(errors, None):
            raise error
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fail_once)
    with pytest.raises(UserError, match="is full: nothing of this request was kept"):
        journal.write([encode(rows(2))])
    assert journal.write([encode(rows(3))]) == 2
    assert replayed(tmp_path) == [(1, [[1]]), (2, [[3]])]


def test_words_of_commits_made_elsewhere_may_go_with_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    owner = Owner(folder)

    def commit(name: str) -> None:
        """Commit what is acknowledged by its commit, as the intake does."""
        (counts,) = owner.fold([owner.admit({"queries": pa.Table.from_pylist([query(name)])})])
        assert counts == {"queries": 1}
        owner.note_committed(counts)  # type: ignore[arg-type]

    commit("first")
    assert owner.checkpoint()
    commit("second")
    killed = tmp_path / "killed"
    shutil.copytree(folder, killed)  # the files as a kill leaves them
    owner.close()
    with Store.embedded(killed) as store:
        assert sorted(store.read("query_splits")["query_id"].to_pylist()) == ["first", "second"]


def query(name: str) -> dict[str, Any]:
    return {"query_id": name, "text": name, "root_query_id": name, "split": "train", "source": "s", "run_id": "run_1",
            "created_at": datetime(2026, 3, 1)}  # fmt: skip


def test_what_a_kill_left_of_a_dropped_segment_goes_at_the_next_start(tmp_path: Path) -> None:
    written(tmp_path, [rows(1)])
    left = tmp_path / "journal" / f"{1:020d}{DROPPED}"
    left.write_bytes(b"rows of somebody")
    Journal(tmp_path)
    assert not left.exists()
    assert [sequence for sequence, _ in replayed(tmp_path)] == [1]
