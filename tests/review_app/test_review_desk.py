"""What a reviewer is shown, and what becomes of what a browser sends: each act once, none lost beside a bad one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from review_app.decisions import read_history
from review_app.review_desk import (
    claim_cards,
    comment,
    own_trail,
    read_cards,
    read_guideline,
    rule_brief,
    save_acts,
)
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Pin, Role
from storage.rows import GradeRow, SendBackRow
from storage.store import Store
from tests.review_app.review_rows import STAMP, add_pair, pair_id_of

ANA = Pin("ana", Role.REVIEWER, "0" * 64, "person_1")
SESSION = "ab" * 8


@pytest.fixture
def desk(store: Store) -> Store:
    names = ("irrelevant", "partly", "substantially", "fully")
    store.append(
        {
            "grades": [
                GradeRow(grade_id=f"g_{grade}", grade=grade, name=name, created_at=now())
                for grade, name in enumerate(names)
            ]
        }
    )
    for n in (1, 2, 3):
        add_pair(store, n)
    return store


def sent(sequence: int, n: int = 1, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC).timestamp() * 1000
    return {"session": SESSION, "sequence": sequence, "candidate_id": f"c_{n}", "act": "submitted", "at": at, **more}


def test_a_claim_gives_cards_that_are_not_on_the_screen_yet(desk: Store) -> None:
    first = claim_cards(ANA, desk, 2).cards
    assert [card["suggestion"]["grade"] for card in first] == [2, 2]
    held = [card["candidate_id"] for card in first]
    assert [card["candidate_id"] for card in claim_cards(ANA, desk, 2, held=held).cards] == ["c_3"]
    assert claim_cards(ANA, desk, 2, held=[*held, "c_3"]).cards == []


def test_a_blind_card_holds_nothing_of_the_suggestion_until_a_grade_is_stored(desk: Store) -> None:
    (card,) = claim_cards(ANA, desk, 1, is_blind=True).cards
    assert card["suggestion"] is None and card["votes"] == [] and card["is_blind"]
    (receipt,) = save_acts(ANA, desk, [sent(1, int(card["candidate_id"][2:]), grade=0)])
    assert receipt.suggestion is not None and receipt.suggestion["grade"] == 2


def test_who_is_asked_again_is_told_why_and_nobody_else(desk: Store) -> None:
    save_acts(ANA, desk, [sent(1, grade=0)])
    (act,) = own_trail(ANA, desk)
    sending = SendBackRow(
        send_back_id="b_1",
        candidate_id="c_1",
        pair_id=pair_id_of(1),
        account="dora",
        reason="the size is in the title",
        response_ids=[act["response_id"]],
        n_required=2,
        created_at=now(),
    )
    desk.append({"send_backs": [sending]})
    bo = Pin("bo", Role.REVIEWER, "1" * 64, "person_2")
    told = {person.account: read_cards(person, desk, ["c_1", "c_2"]) for person in (ANA, bo)}
    assert [card["sent_back"] for card in told["ana"]] == ["the size is in the title", None]
    assert [card["sent_back"] for card in told["bo"]] == [None, None]
    assert [(act["act"], act["is_sent_back"]) for act in own_trail(ANA, desk)] == [("submitted", True)]
    save_acts(ANA, desk, [sent(2, grade=1)])
    assert [card["sent_back"] for card in read_cards(ANA, desk, ["c_1"])] == [None]


def test_an_audited_candidate_is_blind_for_everybody_and_says_nothing_of_the_audit(desk: Store) -> None:
    audit = {
        "review_cause_id": "rc_audit",
        "cause": "blind_audit",
        "predicate": "confidence > 0.95",
        "n_required": 2,
        "created_at": STAMP["created_at"],
    }
    desk.append({"review_causes": [audit]})
    add_pair(desk, 4, confidence=0.99)
    (card,) = read_cards(ANA, desk, ["c_4"])
    assert card["is_blind"] and card["suggestion"] is None
    assert card["why"] == [] and "audit" not in str(card)


def test_acts_are_stored_once_however_often_they_are_sent(desk: Store) -> None:
    acts = [sent(1, grade=3), sent(2, act="withdrawn", target=f"{SESSION}:1"), sent(3, grade=1, seconds=2.5)]
    assert [receipt.refused for receipt in save_acts(ANA, desk, acts)] == [None, None, None]
    assert [receipt.refused for receipt in save_acts(ANA, desk, acts)] == [None, None, None]
    history = read_history(desk, pair_id_of(1), "ana")
    assert [act.act.value for act in history.acts] == ["submitted", "withdrawn", "submitted"]
    assert history.standing is not None and history.standing.grade == 1


def test_a_bad_act_is_refused_in_words_and_the_others_are_stored(desk: Store) -> None:
    bad = [
        sent(1, 9, grade=1),
        sent(2, grade=7),
        sent(3, act="graded", grade=1),
        sent(4, grade=1, first_wrong_step=5),
        sent(5, grade=1, steps=[["verdict", "x"], ["intent", "y"]]),
        sent(6, act="discarded"),
        {**sent(7, grade=1), "account": "bo"},
        {**sent(8), "at": "now"},
        sent(9, act="withdrawn", target="no act:x"),
    ]
    refused = save_acts(ANA, desk, [*bad, sent(20, grade=1), "not an act"])
    told = {receipt.sequence: receipt.refused or "" for receipt in refused}
    words = {
        1: "no candidate 'c_9'",
        2: "grade 7 is off the scale",
        3: "none of the acts",
        4: "no step 5",
        5: "in this order",
        6: "needs a reason",
        7: "malformed: account",
        8: "malformed: at",
        9: "names no act",
        20: "",
        0: "malformed",
    }
    assert told.keys() == words.keys()
    for sequence, word in words.items():
        assert word in told[sequence], (sequence, told[sequence])
    standing = read_history(desk, pair_id_of(1), "ana").standing
    assert standing is not None and standing.grade == 1


def test_an_edited_rationale_and_its_first_wrong_step_are_stored_beside_a_preference(desk: Store) -> None:
    steps = [["intent", "a  corner\nsofa"], ["category", ""], ["verdict", "partly"]]
    save_acts(ANA, desk, [sent(1, grade=1, steps=steps, first_wrong_step=2)])
    (act,) = own_trail(ANA, desk)
    assert act["steps"] == [["intent", "a corner sofa"], ["verdict", "partly"]]
    assert act["first_wrong_step"] == 2


def test_nobody_acts_in_the_future(desk: Store) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=900)).timestamp() * 1000
    save_acts(ANA, desk, [{**sent(1, grade=1), "at": ahead}])
    assert own_trail(ANA, desk)[0]["effective_at"] <= datetime.now(UTC).timestamp() * 1000


def test_the_trail_goes_back_step_by_step_and_is_ones_own(desk: Store) -> None:
    for sequence, n in ((1, 1), (2, 2), (3, 3)):
        save_acts(ANA, desk, [sent(sequence, n, grade=1)])
    save_acts(Pin("bo", Role.REVIEWER, "1" * 64, "person_2"), desk, [sent(4, 1, grade=0)])
    trail = own_trail(ANA, desk, n=2)
    assert [act["candidate_id"] for act in trail] == ["c_3", "c_2"]
    before = datetime.fromtimestamp(trail[-1]["effective_at"] / 1000, UTC).replace(tzinfo=None)
    older = own_trail(ANA, desk, before=before - timedelta(microseconds=1))
    assert [act["candidate_id"] for act in older] == ["c_1"]


def test_a_comment_counts_once_and_needs_words_and_a_candidate(desk: Store) -> None:
    first = comment(ANA, desk, "c_1", " wrong picture ", session=SESSION, sequence=1)
    assert comment(ANA, desk, "c_1", "wrong picture", session=SESSION, sequence=1) == first
    with pytest.raises(UserError, match="1 to 4,000 characters"):
        comment(ANA, desk, "c_1", "  ", session=SESSION, sequence=2)
    with pytest.raises(UserError, match="no candidate"):
        comment(ANA, desk, "c_9", "x", session=SESSION, sequence=3)


def test_an_engineer_reviews_nothing(desk: Store) -> None:
    eli = Pin("eli", Role.ENGINEER, "2" * 64, "person_3")
    for use in (
        lambda: claim_cards(eli, desk, 1),
        lambda: read_cards(eli, desk, ["c_1"]),
        lambda: save_acts(eli, desk, [sent(1, grade=1)]),
        lambda: own_trail(eli, desk),
        lambda: rule_brief(eli, desk, "r_1"),
        lambda: read_guideline(eli, desk),
        lambda: comment(eli, desk, "c_1", "x", session=SESSION, sequence=1),
    ):
        with pytest.raises(UserError, match="may not review"):
            use()


def test_a_rule_shows_where_experts_agree_and_where_not_and_nothing_of_test_pairs(desk: Store) -> None:
    rule = {"rule_id": "r_1", "text": "sofas", "condition": "true", "grade": 2, "origin": "mined", **STAMP}
    votes = [
        {"rule_vote_id": f"v_{n}", "rule_id": "r_1", "pair_id": pair_id_of(n), "grade": 2, **STAMP} for n in (1, 2, 3)
    ]
    judgments = [
        {
            "judgment_id": f"j_{n}",
            "pair_id": pair_id_of(n),
            "grade": grade,
            "origin": "adjudicated",
            "response_ids": [],
            "is_replayed": False,
            **STAMP,
        }
        for n, grade in ((1, 2), (2, 0))
    ]
    desk.append({"rules": [rule], "rule_votes": votes, "judgments": judgments})
    brief = rule_brief(ANA, desk, "r_1")
    assert (brief["n_votes"], brief["n_settled"], brief["n_agreeing"]) == (3, 2, 1)
    assert [(one["title"], one["is_agreeing"]) for one in brief["examples"]] == [("Sofa 1", True), ("Sofa 2", False)]
    with pytest.raises(UserError, match="there is no rule"):
        rule_brief(ANA, desk, "r_9")


def test_a_name_used_for_one_candidate_says_nothing_of_another(desk: Store) -> None:
    save_acts(ANA, desk, [sent(1, 1, act="later")])
    (receipt,) = save_acts(ANA, desk, [sent(1, 2, grade=0, is_blind=True)])
    assert "used this number for another candidate" in str(receipt.refused)
    assert receipt.suggestion is None and receipt.votes == ()
    both = save_acts(ANA, desk, [sent(2, 1, grade=1), sent(2, 3, grade=1)])
    assert [receipt.suggestion is None for receipt in both] == [False, True]
    with_preference = desk.read("own_trail", account="ana", before="9999-01-01", n=10).num_rows
    assert with_preference == 2


def test_one_person_cannot_hold_the_whole_queue(desk: Store) -> None:
    for n in range(10, 110):
        add_pair(desk, n)
    made_up = [f"c_none{n}" for n in range(250)]
    claim_cards(ANA, desk, 300, held=made_up)
    left = claim_cards(Pin("bo", Role.REVIEWER, "1" * 64, "person_2"), desk, 20).cards
    assert len(left) == 20


def test_a_step_that_is_too_long_is_refused(desk: Store) -> None:
    (receipt,) = save_acts(ANA, desk, [sent(1, grade=1, steps=[["intent", "x" * 5000]])])
    assert "malformed: steps" in str(receipt.refused)
