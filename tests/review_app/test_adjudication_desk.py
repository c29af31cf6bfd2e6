"""Adjudication: what is shown of a disputed pair, deciding it, sending it back, and two who decide at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from review_app.adjudication_desk import decide, dossier, settle_agreed, undecided
from review_app.decisions import (
    Response,
    ResponseAct,
    Turn,
    cannot_tell,
    discard,
    put_off,
    read_history,
    save,
    submit,
    undo,
)
from review_app.settling import read_answered, read_answered_on, settle_by_consensus
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Pin, Role, retired
from storage.process.client import SocketTransport
from storage.rows import CommentRow, GradeRow
from storage.store import Store
from tests.conftest import stop_store_process
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of

DORA, ELSA = (Pin(name, Role.ADJUDICATOR, "0" * 64, f"person_{name}") for name in ("dora", "elsa"))
OWN_STEPS = '[["verdict", "width is too large"]]'
SESSION = "ab" * 8
WITHDRAWN = ResponseAct.WITHDRAWN


def set_up(store: Store, n_pairs: int = 1) -> None:
    """Pairs that need two answers, with a scale of 0 to 3; ana is here, bo was retired."""
    names = ("irrelevant", "partly", "substantially", "fully")
    grades = [GradeRow(grade_id=f"g_{g}", grade=g, name=name, created_at=now()) for g, name in enumerate(names)]
    people = [("ana", Role.REVIEWER.value), ("bo", retired(Role.REVIEWER)), ("dora", Role.ADJUDICATOR.value)]
    accounts = [
        {
            "account_event_id": f"e_{name}",
            "account": name,
            "role": role,
            "public_key": "0" * 64,
            "pseudonym": f"person_{name}",
            "created_at": now(),
        }
        for name, role in people
    ]
    store.append({"grades": grades, "accounts": accounts})
    for n in range(1, n_pairs + 1):
        add_pair(store, n, confidence=0.1, n_required=2)


@pytest.fixture
def desk(store: Store) -> Store:
    set_up(store)
    return store


def answer(
    store: Store, account: str, said: int | str, *, n: int = 1, sequence: int = 1, steps: str | None = None
) -> Response:
    turn = Turn(f"c_{n}", pair_id_of(n), account, f"tab-{account}-{n}", sequence)
    acts = {"cannot_tell": cannot_tell(turn), "discarded": discard(turn, "broken"), "later": put_off(turn)}
    given = acts[said] if isinstance(said, str) else submit(turn, said, steps=steps)
    save(store, [given], proposals={f"c_{n}": (2, STEPS)})
    return given


def dispute(store: Store, *, n: int = 1) -> tuple[Response, Response]:
    return answer(store, "ana", 0, n=n, steps=OWN_STEPS), answer(store, "bo", 2, n=n)


def sent(store: Store, *, n: int = 1, sequence: int = 1, seen: list[str] | None = None, **more: Any) -> dict[str, Any]:
    known = dossier(DORA, store, f"c_{n}")["seen"] if seen is None else seen
    return {"session": SESSION, "sequence": sequence, "candidate_id": f"c_{n}", "seen": known, "act": "settle", **more}


def status(store: Store, n: int = 1) -> str:
    return str(store.read("candidate", candidate_id=f"c_{n}").to_pylist()[0]["status"])


def current(store: Store, n: int = 1) -> dict[str, Any] | None:
    rows = store.read("judgments_on_pair", pair_id=pair_id_of(n)).to_pylist()
    return next((row for row in rows if row["is_current"]), None)


# What is shown


def test_disputed_pairs_are_counted_and_come_in_pages_with_who_said_what(store: Store) -> None:
    set_up(store, 5)
    for n in (1, 2, 3):
        dispute(store, n=n)
    answer(store, "ana", "discarded", n=4), answer(store, "bo", "discarded", n=4)
    answer(store, "ana", 2, n=5), answer(store, "bo", 2, n=5)
    first = undecided(DORA, store, n=2)
    assert first["counts"] == {"disputed": 3, "discarded": 1, "answered": 1}
    assert [pair["candidate_id"] for pair in first["pairs"]] == ["c_1", "c_2"]
    said = [(answer["account"], answer["act"], answer["grade"]) for answer in first["pairs"][0]["answers"]]
    assert said == [("ana", "submitted", 0), ("bo", "submitted", 2)]
    rest = undecided(DORA, store, after=first["pairs"][-1]["place"], n=2)
    assert ([pair["candidate_id"] for pair in rest["pairs"]], rest["n_before"]) == (["c_3"], 2)
    (thrown,) = undecided(DORA, store, "discarded")["pairs"]
    assert [answer["act"] for answer in thrown["answers"]] == ["discarded", "discarded"]


def test_a_dossier_holds_every_act_also_what_was_undone_the_comments_and_the_suggestion(desk: Store) -> None:
    first, _ = dispute(desk)
    history = read_history(desk, pair_id_of(1), "ana")
    assert history.standing is not None
    undone = undo(Turn("c_1", pair_id_of(1), "ana", "tab-ana-1", 2), history.standing)
    save(desk, [undone], proposals={})
    answer(desk, "ana", 1, sequence=3)
    desk.append(
        {"comments": [CommentRow(comment_id="k_1", candidate_id="c_1", account="bo", text="228 cm", created_at=now())]}
    )
    told = dossier(DORA, desk, "c_1")
    assert told["card"]["query"] == "sofa" and told["card"]["suggestion"]["grade"] == 2
    assert [(act["account"], act["grade"]) for act in told["answers"]] == [("bo", 2), ("ana", 1)]
    withdrawn = [(act["response_id"], act["is_withdrawn"]) for act in told["history"] if act["is_withdrawn"]]
    assert withdrawn == [(first.response_id, True)]
    assert [said["text"] for said in told["comments"]] == ["228 cm"]
    assert told["history"][0]["steps"] == [["verdict", "width is too large"]]


def test_a_rationale_is_offered_for_the_grade_it_argues_for_only_and_the_default_is_the_command_lines(
    desk: Store,
) -> None:
    by_ana, _ = dispute(desk)
    travels = dossier(DORA, desk, "c_1")["travels"]
    assert travels[0] == {"default": by_ana.response_id, "choices": [by_ana.response_id]}
    assert travels[2] == {"default": "suggestion", "choices": ["suggestion"]}
    assert travels[1] == travels[3] == {"default": "none", "choices": []}
    (pair,) = read_answered_on(desk, ["c_1"])
    assert [pair.steps_for(grade) for grade in range(4)] == [OWN_STEPS, None, STEPS, None]


def test_the_suggestions_steps_sent_back_unchanged_do_not_travel_with_another_grade(desk: Store) -> None:
    answer(desk, "ana", 0, steps=STEPS), answer(desk, "bo", 2)
    assert dossier(DORA, desk, "c_1")["travels"][0] == {"default": "none", "choices": []}


# Settling


def test_a_decision_is_the_judgment_the_command_line_makes(desk: Store) -> None:
    by_ana, _ = dispute(desk)
    assert decide(DORA, desk, sent(desk, grade=0, rationale=by_ana.response_id, reason="228 cm")) == {
        "saved": True,
        "news": [],
    }
    judgment = current(desk)
    assert judgment is not None
    told = [judgment[name] for name in ("grade", "origin", "account", "steps", "reason")]
    assert told == [0, "adjudicated", "dora", OWN_STEPS, "228 cm"]
    (row,) = desk.read("why_judgments", id=pair_id_of(1)).to_pylist()
    (run,) = desk.read("run", run_id=row["run_id"]).to_pylist()
    assert (run["verb"], run["status"], run["account"]) == ("adjudicate", "finished", "dora")
    assert status(desk) == "settled"


@pytest.mark.parametrize(
    ("rationale", "more", "stored"),
    [
        ("none", {}, None),
        ("suggestion", {}, STEPS),
        ("own", {"steps": [["verdict", "  fits\n in "]]}, '[["verdict", "fits in"]]'),
        ("own", {"steps": [["verdict", " "]]}, None),
    ],
)
def test_the_chosen_rationale_travels(desk: Store, rationale: str, more: dict[str, Any], stored: str | None) -> None:
    dispute(desk)
    decide(DORA, desk, sent(desk, grade=2, rationale=rationale, **more))
    judgment = current(desk)
    assert judgment is not None and judgment["steps"] == stored


def test_a_rationale_of_another_grade_is_refused(desk: Store) -> None:
    by_ana, _ = dispute(desk)
    for rationale in (by_ana.response_id, "a_unknown"):
        with pytest.raises(UserError, match="was not written for grade 2"):
            decide(DORA, desk, sent(desk, grade=2, rationale=rationale))
    assert current(desk) is None


@pytest.mark.parametrize("grade", [None, 4, -1])
def test_a_grade_off_the_scale_is_refused(desk: Store, grade: int | None) -> None:
    dispute(desk)
    with pytest.raises(UserError, match="off the scale"):
        decide(DORA, desk, sent(desk, grade=grade))


def test_a_decision_sent_again_counts_once(desk: Store) -> None:
    dispute(desk)
    decision = sent(desk, grade=2)
    assert [decide(DORA, desk, decision)["saved"] for _ in range(3)] == [True, True, True]
    assert desk.read("judgments_on_pair", pair_id=pair_id_of(1)).num_rows == 1


def test_who_decides_second_is_told_what_was_decided_and_may_decide_anew(desk: Store) -> None:
    dispute(desk)
    seen = dossier(ELSA, desk, "c_1")["seen"]
    decide(DORA, desk, sent(desk, grade=2, reason="it fits"))
    second = sent(desk, grade=0, seen=seen, session="cd" * 8)
    told = decide(ELSA, desk, second)
    assert told["saved"] is False
    (news,) = told["news"]
    assert [news[name] for name in ("kind", "account", "grade", "reason")] == ["settled", "dora", 2, "it fits"]
    assert decide(ELSA, desk, {**second, "seen": dossier(ELSA, desk, "c_1")["seen"]})["saved"]
    judgment = current(desk)
    assert judgment is not None and (judgment["account"], judgment["grade"]) == ("elsa", 0)


def test_an_answer_changed_meanwhile_is_told_before_anything_is_decided(desk: Store) -> None:
    dispute(desk)
    decision = sent(desk, grade=2)
    answer(desk, "ana", 2, sequence=2)
    told = decide(DORA, desk, decision)
    assert [(news["kind"], news["account"], news["grade"]) for news in told["news"]] == [("answered", "ana", 2)]
    assert current(desk) is None


def test_an_answer_taken_back_meanwhile_is_told(desk: Store) -> None:
    dispute(desk)
    decision = sent(desk, grade=2)
    standing = read_history(desk, pair_id_of(1), "bo").standing
    assert standing is not None
    save(desk, [undo(Turn("c_1", pair_id_of(1), "bo", "tab-bo-1", 2), standing)], proposals={})
    assert [(news["kind"], news["account"]) for news in decide(DORA, desk, decision)["news"]] == [("withdrawn", "bo")]


def test_two_who_decide_at_the_same_moment_make_one_decision(tmp_path: Path) -> None:
    outcomes: list[dict[str, Any]] = []
    try:
        with Store(SocketTransport(tmp_path), sees_test=True) as store:
            set_up(store)
            dispute(store)
            decision = sent(store, grade=2)
        ready = threading.Barrier(8)

        def work(place: int) -> None:
            with Store(SocketTransport(tmp_path), sees_test=True) as store:
                ready.wait()
                outcomes.append(decide(DORA, store, {**decision, "session": f"{place:08x}", "grade": place % 4}))

        people = [threading.Thread(target=work, args=(place,)) for place in range(8)]
        for thread in people:
            thread.start()
        for thread in people:
            thread.join()
        assert sorted(outcome["saved"] for outcome in outcomes) == [False] * 7 + [True]
        with Store(SocketTransport(tmp_path), sees_test=True) as store:
            assert store.read("judgments_on_pair", pair_id=pair_id_of(1)).num_rows == 1
    finally:
        stop_store_process(tmp_path)


# Sending back


def test_a_pair_sent_back_is_asked_again_first_of_those_who_answered_who_are_told_why(store: Store) -> None:
    set_up(store, 2)
    dispute(store)
    assert store.claim("ana", 9).num_rows == 1  # only pair 2 waits
    assert decide(DORA, store, sent(store, act="send_back", reason="read the width"))["saved"]
    (row,) = store.read("candidate", candidate_id="c_1").to_pylist()
    assert (row["status"], row["n_answers"], row["n_required"]) == ("awaiting_review", 0, 2)
    assert store.claim("ana", 1)["candidate_id"].to_pylist() == ["c_1"]
    told = {
        name: store.read("sent_back_to", candidate_ids=["c_1", "c_2"], account=name).to_pylist()
        for name in ("ana", "bo", "chen")
    }
    note = [{"candidate_id": "c_1", "reason": "read the width"}]
    assert told == {"ana": note, "bo": note, "chen": []}
    answer(store, "ana", 2, sequence=2)
    assert store.read("sent_back_to", candidate_ids=["c_1"], account="ana").num_rows == 0
    assert store.rebuild() == {"candidate_status": 0}


def test_others_are_asked_when_who_answered_is_retired_or_a_day_has_passed(
    desk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two answers are wanted again; ana holds one for a day, bo's place is free at once."""
    dispute(desk)
    decide(DORA, desk, sent(desk, act="send_back", reason="read the width"))
    assert [desk.claim(name, 1).num_rows for name in ("chen", "dana")] == [1, 0]
    monkeypatch.setattr("storage.process.owner.now", lambda: now() + timedelta(days=1, minutes=1))
    assert desk.claim("dana", 1).num_rows == 1


def test_an_answer_edited_over_before_it_was_sent_back_does_not_come_back_by_undoing_the_edit(desk: Store) -> None:
    answer(desk, "ana", 0)
    edit = answer(desk, "ana", 1, sequence=2)
    answer(desk, "bo", 2)
    decide(DORA, desk, sent(desk, act="send_back", reason="read the width"))
    taken_back = Response(Turn("c_1", pair_id_of(1), "ana", "tab-ana-1", 3), WITHDRAWN, target_id=edit.response_id)
    save(desk, [taken_back], proposals={})
    assert read_history(desk, pair_id_of(1), "ana").standing is None
    assert status(desk) == "awaiting_review"


def test_new_answers_after_sending_back_settle_the_pair_by_themselves(desk: Store) -> None:
    dispute(desk)
    decide(DORA, desk, sent(desk, act="send_back", reason="read the width"))
    answer(desk, "ana", 2, sequence=2), answer(desk, "bo", 2, sequence=2)
    assert status(desk) == "answered"
    assert settle_agreed(DORA, desk) == {"n": 1, "next": None}
    judgment = current(desk)
    assert judgment is not None and (judgment["grade"], judgment["origin"]) == (2, "consensus")


def test_sending_back_needs_a_comment_and_answers_and_counts_once(desk: Store) -> None:
    dispute(desk)
    with pytest.raises(UserError, match="write a comment"):
        decide(DORA, desk, sent(desk, act="send_back", reason="  "))
    decision = sent(desk, act="send_back", reason="read the width")
    assert [decide(DORA, desk, decision)["saved"] for _ in range(2)] == [True, True]
    assert desk.read("send_backs_on_pair", pair_id=pair_id_of(1)).num_rows == 1
    with pytest.raises(UserError, match="no answers that could be sent back"):
        decide(DORA, desk, sent(desk, act="send_back", reason="again", sequence=2))
    with pytest.raises(UserError, match="waits for reviewers again"):
        decide(DORA, desk, sent(desk, grade=1, sequence=3))


def test_who_settles_what_was_sent_back_meanwhile_is_told(desk: Store) -> None:
    dispute(desk)
    decision = sent(desk, grade=2, session="cd" * 8)
    decide(DORA, desk, sent(desk, act="send_back", reason="read the width"))
    (news,) = decide(ELSA, desk, decision)["news"]
    assert [news[name] for name in ("kind", "account", "reason")] == ["sent_back", "dora", "read the width"]


def test_what_an_adjudicator_settled_cannot_be_sent_back_and_a_consensus_can(store: Store) -> None:
    set_up(store, 2)
    dispute(store)
    decide(DORA, store, sent(store, grade=2))
    with pytest.raises(UserError, match="settled for good"):
        decide(DORA, store, sent(store, act="send_back", reason="no", sequence=2))
    answer(store, "ana", 2, n=2), answer(store, "bo", 2, n=2)
    store.append({"judgments": settle_by_consensus(read_answered(store), run_id="run_2")})
    assert status(store, 2) == "settled"
    assert decide(DORA, store, sent(store, n=2, act="send_back", reason="both misread", sequence=3))["saved"]
    assert status(store, 2) == "awaiting_review"


# Consensus


def test_what_people_agree_on_is_settled_in_steps_and_disputes_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("review_app.adjudication_desk.MOST_AT_ONCE", 2)
    set_up(store, 4)
    for n in (1, 2, 4):
        answer(store, "ana", 2, n=n), answer(store, "bo", 2, n=n)
    dispute(store, n=3)
    first = settle_agreed(DORA, store)
    assert first["n"] == 2
    second = settle_agreed(DORA, store, after=first["next"])
    assert second["n"] == 1
    assert settle_agreed(DORA, store, after=second["next"]) == {"n": 0, "next": None}
    assert [status(store, n) for n in (1, 2, 3, 4)] == ["settled", "settled", "disputed", "settled"]


# Access and bad input


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.CURATOR, Role.ENGINEER])
def test_who_may_not_adjudicate_sees_and_changes_nothing(desk: Store, role: Role) -> None:
    dispute(desk)
    person = Pin("x", role, "0" * 64, "person_x")
    decision = sent(desk, grade=2)
    asked = [
        lambda: undecided(person, desk),
        lambda: dossier(person, desk, "c_1"),
        lambda: decide(person, desk, decision),
        lambda: settle_agreed(person, desk),
    ]
    for ask in asked:
        with pytest.raises(UserError, match="may not adjudicate"):
            ask()
    assert current(desk) is None


@pytest.mark.parametrize(
    "change",
    [
        {"session": "x"},
        {"act": "delete"},
        {"grade": "2"},
        {"grade": True},
        {"seen": None},
        {"more": 1},
        {"sequence": 0},
    ],
    ids=str,
)
def test_a_malformed_decision_is_refused_by_name(desk: Store, change: dict[str, Any]) -> None:
    dispute(desk)
    with pytest.raises(UserError, match=f"malformed: {next(iter(change))}"):
        decide(DORA, desk, {**sent(desk, grade=2), **change})


def test_an_unknown_candidate_or_status_is_told(desk: Store) -> None:
    with pytest.raises(UserError, match="there is no candidate 'c_9'"):
        dossier(DORA, desk, "c_9")
    with pytest.raises(UserError, match="there is no candidate 'c_9'"):
        decide(DORA, desk, {**sent(desk, seen=[], grade=1), "candidate_id": "c_9"})
    with pytest.raises(UserError, match="'settled' is none of disputed, discarded, answered"):
        undecided(DORA, desk, "settled")
