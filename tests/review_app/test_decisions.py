"""People's decisions: consensus, adjudication, replay; a rationale stays with its grade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from review_app.decisions import (
    Decision,
    Response,
    ResponseAct,
    adjudicated_row,
    check_response,
    preference_row,
    read_answered,
    settle_by_consensus,
    submit,
)
from review_app.replay import asked_for, read_recording
from storage.clock import now
from storage.errors import UserError
from storage.grades import parse_scale
from storage.rows import JudgmentRow
from storage.store import Store

SCALE = parse_scale("0-3")
STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": now()}
STEPS = '[["intent", "a sofa"], ["verdict", "substantially"]]'


def add_pair(store: Store, n: int, *, grade: int = 2, confidence: float = 0.9, n_required: int = 1) -> None:
    """Add pair n of query `q` and doc `d<n>`, with a screened candidate that needs `n_required` answers."""
    pair_id = f"p_{n:016x}"
    query = {"query_id": "q_1", "text": "sofa", "root_query_id": "q_1", "split": "train", "source": "s", **STAMP}
    doc = {"doc_id": f"d_{n}", "title": f"Sofa {n}", "body": "", "fields": "{}", "source": "s", **STAMP}
    names = [("query", "q", "q_1"), ("doc", f"d{n}", f"d_{n}")]
    cause = {
        "review_cause_id": f"rc_{n_required}",
        "cause": f"asks_{n_required}",
        "predicate": "confidence < 0.5",
        "n_required": n_required,
        "created_at": STAMP["created_at"],
    }
    store.append(
        {
            "review_causes": [cause] if n_required > 1 else [],
            "queries": [query],
            "docs": [doc],
            "external_ids": [
                {
                    "external_id_id": f"x_{kind}{name}",
                    "source": "s",
                    "kind": kind,
                    "external_id": name,
                    "content_id": own,
                    **STAMP,
                }
                for kind, name, own in names
            ],
            "pairs": [
                {
                    "pair_id": pair_id,
                    "query_id": "q_1",
                    "doc_id": f"d_{n}",
                    "split": "train",
                    "origin": "import",
                    "source": "s",
                    **STAMP,
                }
            ],
            "candidates": [
                {
                    "candidate_id": f"c_{n}",
                    "pair_id": pair_id,
                    "grade": grade,
                    "steps": STEPS,
                    "rule_ids": [],
                    "confidence": confidence,
                    "proposer": "lexical",
                    **STAMP,
                }
            ],
            "screenings": [
                {
                    "screening_id": f"s_{n}",
                    "candidate_id": f"c_{n}",
                    "screen": "all",
                    "is_passed": True,
                    "reason": "no screen objects",
                    **STAMP,
                }
            ],
        }
    )


def answer(
    store: Store,
    n: int,
    account: str,
    grade: int | None,
    *,
    act: ResponseAct = ResponseAct.SUBMITTED,
    sequence: int = 1,
) -> Response:
    response = Response(
        candidate_id=f"c_{n}",
        pair_id=f"p_{n:016x}",
        account=account,
        act=act,
        session=f"tab-{account}",
        sequence=sequence,
        grade=grade,
    )
    submit(store, [response], proposals={f"c_{n}": (2, STEPS)})
    return response


def settle(store: Store) -> list[JudgmentRow]:
    rows = settle_by_consensus(read_answered(store), run_id="run_2")
    store.append({"judgments": rows})
    return rows


def current(store: Store) -> list[tuple[int, str, str | None]]:
    rows = store.read("judged_pairs").to_pylist()
    return [(row["grade"], row["judgment_origin"], row["settled_steps"]) for row in rows]


def test_one_accepting_answer_settles_with_the_suggested_rationale(store: Store) -> None:
    add_pair(store, 1)
    answer(store, 1, "ana", 2)
    settle(store)
    assert current(store) == [(2, "consensus", STEPS)]


def test_a_changed_grade_settles_without_the_rationale_of_the_other_grade(store: Store) -> None:
    add_pair(store, 1)
    answer(store, 1, "ana", 0)
    settle(store)
    assert current(store) == [(0, "consensus", None)]


def test_a_changed_grade_becomes_a_preference_and_an_accepted_one_does_not() -> None:
    changed = Response("c_1", "p_1", "ana", ResponseAct.SUBMITTED, "s", 1, grade=0)
    row = preference_row(changed, 2, STEPS)
    assert row is not None
    assert json.loads(row.chosen) == {"grade": 0, "steps": None}
    assert json.loads(row.rejected) == {"grade": 2, "steps": json.loads(STEPS)}
    assert preference_row(Response("c_1", "p_1", "ana", ResponseAct.SUBMITTED, "s", 2, grade=2), 2, STEPS) is None


def test_an_undone_answer_takes_its_consensus_with_it(store: Store) -> None:
    add_pair(store, 1)
    given = answer(store, 1, "ana", 2)
    settle(store)
    undo = Response("c_1", "p_" + f"{1:016x}", "ana", ResponseAct.WITHDRAWN, "tab-ana", 2, target_id=given.response_id)
    submit(store, [undo], proposals={"c_1": (2, STEPS)})
    assert current(store) == []


def test_disputed_pairs_wait_for_an_adjudicator_whose_word_is_final(store: Store) -> None:
    add_pair(store, 1, confidence=0.1, n_required=2)
    answer(store, 1, "ana", 0)
    assert read_answered(store) == []  # one of two answers
    answer(store, 1, "bo", 2)
    (pair,) = read_answered(store)
    assert settle(store) == []
    decision = Decision(pair, 2, "dora", "size is right", False, "a_j1")
    store.append({"judgments": [adjudicated_row(decision, run_id="run_3")]})
    assert current(store) == [(2, "adjudicated", STEPS)]
    assert read_answered(store) == []


def test_an_adjudicator_may_overrule_what_is_settled(store: Store) -> None:
    add_pair(store, 1)
    answer(store, 1, "ana", 2)
    settle(store)
    assert read_answered(store) == []
    (pair,) = read_answered(store, candidate_id="c_1")
    for grade, act_id in ((0, "a_j1"), (1, "a_j2")):
        store.append({"judgments": [adjudicated_row(Decision(pair, grade, "dora", None, False, act_id), run_id="r")]})
        assert [(found, origin) for found, origin, _ in current(store)] == [(grade, "adjudicated")]


def test_the_same_answer_sent_twice_counts_once(store: Store) -> None:
    add_pair(store, 1)
    answer(store, 1, "ana", 2)
    answer(store, 1, "ana", 2)
    assert len(read_answered(store)[0].answers) == 1


@pytest.mark.parametrize(
    ("act", "grade", "said"),
    [
        (ResponseAct.SUBMITTED, 4, "off the scale"),
        (ResponseAct.SUBMITTED, None, "off the scale"),
        (ResponseAct.CANNOT_TELL, 1, "carries no grade"),
        (ResponseAct.DISCARDED, None, "needs a reason"),
    ],
)
def test_an_answer_that_says_too_little_or_too_much_is_refused(act: ResponseAct, grade: int | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_response(Response("c", "p", "ana", act, "s", 1, grade=grade), SCALE)


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
    assert sorted((r.candidate_id, r.account) for r in given) == [("c_1", "ana"), ("c_2", "ana"), ("c_2", "bo")]
    assert used == {1, 4, 5}
    assert {r.is_replayed for r in given} == {True}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"query_id": "q", "doc_id": "d", "grade": 1}, "no reviewer"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "grade": 9}, "off the scale"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "act": "shrugged"}, "shrugged"),
        ({"query_id": "q", "doc_id": "d", "reviewer": "ana", "act": "discarded"}, "needs a reason"),
    ],
)
def test_a_bad_recording_is_told_by_line_and_replays_nothing(tmp_path: Path, record: dict[str, Any], said: str) -> None:
    good = {"query_id": "q", "doc_id": "d", "reviewer": "ana", "grade": 1}
    with pytest.raises(UserError, match=f"line 2: .*{said}"):
        read_recording(recording(tmp_path, good, record), SCALE, needs_reviewer=True)
