"""What one act may say, what an edit leaves behind, and what a tab shows of the acts it knows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from review_app.decisions import (
    Response,
    ResponseAct,
    Turn,
    cannot_tell,
    check_response,
    discard,
    preference_row,
    put_off,
    read_history,
    redo,
    save,
    submit,
    undo,
)
from storage.errors import UserError
from storage.grades import parse_scale
from storage.store import Store
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of

SCALE = parse_scale("0-3")
AT = datetime(2026, 3, 1, 9)
TURN = Turn("c_1", pair_id_of(1), "ana", "tab", 1, acted_at=AT)


def test_a_changed_grade_becomes_a_preference_and_an_accepted_one_does_not() -> None:
    row = preference_row(submit(TURN, 0), 2, STEPS)
    assert row is not None
    assert json.loads(row.chosen) == {"grade": 0, "steps": None}
    assert json.loads(row.rejected) == {"grade": 2, "steps": json.loads(STEPS)}
    assert preference_row(submit(TURN, 2), 2, STEPS) is None
    assert preference_row(submit(TURN, 2, steps=STEPS), 2, STEPS) is None


def test_a_rewritten_rationale_with_the_same_grade_is_a_preference() -> None:
    own = '[["intent", "a corner sofa"]]'
    row = preference_row(submit(TURN, 2, steps=own), 2, STEPS)
    assert row is not None and json.loads(row.chosen) == {"grade": 2, "steps": json.loads(own)}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (submit(TURN, 4), "off the scale"),
        (submit(TURN, None), "off the scale"),
        (Response(TURN, ResponseAct.CANNOT_TELL, grade=1), "carries no grade"),
        (Response(TURN, ResponseAct.LATER, steps=STEPS), "carries no rationale"),
        (discard(TURN, ""), "needs a reason"),
        (Response(TURN, ResponseAct.WITHDRAWN), "must name the act it takes back"),
    ],
)
def test_an_act_that_says_too_little_or_too_much_is_refused(response: Response, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_response(response, SCALE)


@pytest.mark.parametrize("response", [submit(TURN, 3), discard(TURN, "spam"), cannot_tell(TURN), put_off(TURN)])
def test_a_whole_act_passes(response: Response) -> None:
    check_response(response, SCALE)


def test_a_retried_act_is_held_once_with_one_preference(store: Store) -> None:
    add_pair(store, 1)
    assert [save(store, [submit(TURN, 0)], proposals={"c_1": (2, STEPS)}) for _ in range(2)] == [1, 0]
    (count,) = [r for r in store.read("counts").to_pylist() if r["what"] == "responses"]
    assert (count["which"], count["n"]) == ("submitted", 1)


def test_acts_without_a_grade_are_saved_without_a_proposal(store: Store) -> None:
    add_pair(store, 1)
    assert save(store, [put_off(TURN)], proposals={}) == 1


def test_undo_and_redo_walk_back_and_forth_and_a_new_grade_ends_the_way_forth(store: Store) -> None:
    add_pair(store, 1)
    n_acts = 0

    def do(what: str, grade: int | None = None) -> list[int | None]:
        """Act with a clock that stands still; return the grades that stand, that undo and that redo would take."""
        nonlocal n_acts
        n_acts += 1
        history = read_history(store, TURN.pair_id, "ana")
        turn = Turn("c_1", TURN.pair_id, "ana", f"tab{n_acts % 3}", n_acts, acted_at=history.stamp(AT))
        if what == "undo":
            assert history.to_undo is not None
            response = undo(turn, history.to_undo)
        elif what == "redo":
            assert history.to_redo is not None
            response = redo(turn, history.to_redo)
        else:
            response = submit(turn, grade)
        save(store, [response], proposals={"c_1": (2, STEPS)})
        after = read_history(store, TURN.pair_id, "ana")
        return [None if act is None else act.grade for act in (after.standing, after.to_undo, after.to_redo)]

    assert do("grade", 0) == [0, 0, None]
    assert do("grade", 1) == [1, 1, None]
    assert do("grade", 3) == [3, 3, None]
    assert do("undo") == [1, 1, 3]
    assert do("undo") == [0, 0, 1]
    assert do("redo") == [1, 1, 3]
    assert do("redo") == [3, 3, None]
    assert do("undo") == [1, 1, 3]
    assert do("grade", 2) == [2, 2, None]


def test_a_redone_answer_keeps_its_rationale_and_reason(store: Store) -> None:
    add_pair(store, 1)
    own = '[["intent", "a corner sofa"]]'
    given = submit(TURN, 3, steps=own)
    taken_back = Response(
        Turn("c_1", TURN.pair_id, "ana", "tab", 2), ResponseAct.WITHDRAWN, target_id=given.response_id
    )
    save(store, [given, taken_back], proposals={"c_1": (2, STEPS)})
    act = read_history(store, TURN.pair_id, "ana").to_redo
    assert act is not None
    again = redo(Turn("c_1", TURN.pair_id, "ana", "tab", 3), act)
    assert (again.act, again.grade, again.steps, again.target_id) == ("submitted", 3, own, given.response_id)


def test_a_stamp_is_the_clock_or_just_after_all_that_was_seen(store: Store) -> None:
    add_pair(store, 1)
    assert read_history(store, TURN.pair_id, "ana").stamp(AT) == AT
    save(store, [submit(TURN, 1)], proposals={"c_1": (2, STEPS)})
    history = read_history(store, TURN.pair_id, "ana")
    assert history.stamp(AT - timedelta(hours=1)) == AT + timedelta(microseconds=1)
    assert history.stamp(AT + timedelta(hours=1)) == AT + timedelta(hours=1)
