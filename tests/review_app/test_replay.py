"""Recorded answers are replayed where the queue asks for them, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from review_app.decisions import Turn, save, submit
from review_app.replay import asked_for, read_recording
from storage.errors import UserError
from storage.grades import parse_scale
from storage.store import Store
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of

SCALE = parse_scale("0-3")


def recording(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "recorded.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_replay_gives_only_the_answers_that_are_asked_for(store: Store, tmp_path: Path) -> None:
    add_pair(store, 1)
    add_pair(store, 2, confidence=0.1, n_required=2)
    said = [
        {"query_id": "q", "doc_id": f"d{n}", "reviewer": who, "grade": 2, "seconds": 5.0}
        for n in (1, 2)
        for who in ("ana", "bo", "chen")
    ]
    read = read_recording(recording(tmp_path, *said), SCALE, needs_reviewer=True)
    used: set[int] = set()
    given = asked_for(read, store.read("open_by_external_id").to_pylist(), used_lines=used)
    assert sorted((r.turn.candidate_id, r.turn.account) for r in given) == [
        ("c_1", "ana"),
        ("c_2", "ana"),
        ("c_2", "bo"),
    ]
    assert used == {1, 4, 5}
    assert {r.turn.is_replayed for r in given} == {True}


def test_a_recorded_answer_never_takes_the_place_of_one_that_stands(store: Store, tmp_path: Path) -> None:
    add_pair(store, 2, confidence=0.1, n_required=2)
    save(store, [submit(Turn("c_2", pair_id_of(2), "ana", "tab", 1), 0)], proposals={"c_2": (2, STEPS)})
    said = [{"query_id": "q", "doc_id": "d2", "reviewer": who, "grade": 3} for who in ("ana", "bo")]
    read = read_recording(recording(tmp_path, *said), SCALE, needs_reviewer=True)
    given = asked_for(read, store.read("open_by_external_id").to_pylist(), used_lines=set())
    assert [(r.turn.account, r.grade) for r in given] == [("bo", 3)]


def test_of_two_recorded_answers_of_one_person_on_a_pair_the_first_is_given(store: Store, tmp_path: Path) -> None:
    add_pair(store, 2, confidence=0.1, n_required=2)
    said = [{"query_id": "q", "doc_id": "d2", "reviewer": "ana", "grade": grade} for grade in (1, 3)]
    read = read_recording(recording(tmp_path, *said), SCALE, needs_reviewer=True)
    given = asked_for(read, store.read("open_by_external_id").to_pylist(), used_lines=set())
    assert [(r.turn.account, r.grade) for r in given] == [("ana", 1)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"query_id": "q", "doc_id": "d", "grade": 1}, "no reviewer"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "grade": 9}, "off the scale"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "act": "shrugged"}, "shrugged"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "act": "discarded"}, "needs a reason"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "act": "withdrawn"}, "leave out what was withdrawn"),
    ],
)
def test_a_bad_recording_is_told_by_line_and_replays_nothing(tmp_path: Path, record: dict[str, Any], said: str) -> None:
    good = {"query_id": "q", "doc_id": "d", "reviewer": "ana", "grade": 1}
    with pytest.raises(UserError, match=f"line 2: .*{said}"):
        read_recording(recording(tmp_path, good, record), SCALE, needs_reviewer=True)
