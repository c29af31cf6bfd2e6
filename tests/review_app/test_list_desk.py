"""The list of a query's docs: whose order, who is asked what, what is shown to whom, and never an answer too many."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from review_app.decisions import Response, Turn, cannot_tell, discard, put_off, save, submit
from review_app.list_desk import Queries, hold_docs, next_list, open_list, place_of, search_queries, waiting_queries
from review_app.review_desk import claim_cards
from review_app.settling import read_answered, settle_by_consensus
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Pin, Role
from storage.process.client import SocketTransport
from storage.rows import SendBackRow
from storage.store import Store
from tests.conftest import stop_store_process
from tests.review_app.review_rows import STAMP, STEPS, add_pair, pair_id_of

ANA, BO, CHEN = (Pin(name, Role.REVIEWER, "0" * 64, f"person_{name}") for name in ("ana", "bo", "chen"))


@pytest.fixture
def desk(store: Store) -> Store:
    for n in range(1, 7):
        add_pair(store, n)
    return store


def turn(n: int, person: Pin, sequence: int = 1) -> Turn:
    return Turn(f"c_{n}", pair_id_of(n), person.account, f"tab-{person.account}", 100 * n + sequence)


def send(store: Store, *responses: Response) -> None:
    save(store, responses, proposals={response.turn.candidate_id: (2, STEPS) for response in responses})


def docs(person: Pin, store: Store, **more: Any) -> dict[int, dict[str, Any]]:
    """Return the rows of the one query's list by the number of their candidate."""
    return {int(row["candidate_id"][2:]): row for row in open_list(person, store, "q_1", **more)["rows"]}


def states(person: Pin, store: Store) -> dict[int, str]:
    return {n: row["state"] for n, row in sorted(docs(person, store).items())}


def settle(store: Store) -> None:
    store.append({"judgments": settle_by_consensus(read_answered(store), run_id="run_2")})


def test_the_order_is_a_persons_own_and_always_the_same(desk: Store) -> None:
    own = {person.account: list(docs(person, desk)) for person in (ANA, BO, CHEN)}
    assert all(sorted(order) == [1, 2, 3, 4, 5, 6] for order in own.values())
    assert len({tuple(order) for order in own.values()}) > 1
    assert list(docs(ANA, desk)) == own["ana"]
    assert own["ana"] == sorted(own["ana"], key=lambda n: place_of("ana", pair_id_of(n)))


def test_pages_follow_each_other_without_a_gap(desk: Store) -> None:
    whole = list(docs(ANA, desk))
    found, after = [], ""
    for n_expected in (4, 2):
        page = open_list(ANA, desk, "q_1", after=after, n=4)
        assert len(page["rows"]) == n_expected
        found += [int(row["candidate_id"][2:]) for row in page["rows"]]
        after = page["next"]
    assert (found, after) == (whole, None)


def test_what_is_shown_unanswered_is_nobody_elses_until_the_lease_ends(
    desk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(states(ANA, desk).values()) == {"open"}
    assert set(states(BO, desk).values()) == {"taken"}
    assert claim_cards(BO, desk, 3).cards == []
    assert all(row["suggestion"] is None for row in docs(BO, desk).values())
    monkeypatch.setattr("storage.process.owner.now", lambda: now() + timedelta(minutes=31))
    assert set(states(BO, desk).values()) == {"open"}
    assert hold_docs(ANA, desk, ["c_1", "c_2"]) == []


def test_what_the_queue_has_given_out_is_not_open_on_the_list(desk: Store) -> None:
    (card,) = claim_cards(BO, desk, 1).cards
    taken = int(card["candidate_id"][2:])
    assert {n for n, state in states(ANA, desk).items() if state == "taken"} == {taken}
    assert {n for n, state in states(BO, desk).items() if state == "open"} == {taken}


def test_a_doc_with_all_its_answers_by_others_is_shown_without_them_and_not_asked_again(desk: Store) -> None:
    send(desk, submit(turn(1, BO), 0), discard(turn(2, BO), "broken"))
    rows = docs(ANA, desk)
    assert [rows[n]["state"] for n in (1, 2, 3)] == ["answered", "answered", "open"]
    assert [rows[1][name] for name in ("suggestion", "own", "settled")] == [None, None, None]
    assert hold_docs(ANA, desk, ["c_1", "c_2", "c_3"]) == ["c_3"]


def test_a_settled_grade_is_shown_before_anybody_is_asked_or_after_the_own_answer_and_not_between(store: Store) -> None:
    """Pair 1 settled before ana comes; pair 2 needs two, has bo's answer; pair 3 ana answers and it is settled."""
    add_pair(store, 1)
    add_pair(store, 2, confidence=0.1, n_required=2)
    add_pair(store, 3)
    send(store, submit(turn(1, BO), 3), submit(turn(2, BO), 3))
    settle(store)
    rows = docs(ANA, store)
    assert (rows[1]["state"], rows[1]["settled"]) == ("settled", {"grade": 3, "by": "consensus"})
    assert (rows[2]["state"], rows[2]["settled"]) == ("open", None)
    send(store, submit(turn(3, ANA), 1))
    assert (docs(ANA, store)[3]["state"], docs(ANA, store)[3]["settled"]) == ("own", None)
    settle(store)
    assert docs(ANA, store)[3]["settled"] == {"grade": 1, "by": "consensus"}


def test_own_grades_are_shown_and_may_be_changed_though_the_pair_is_settled(desk: Store) -> None:
    send(desk, submit(turn(1, ANA), 1))
    settle(desk)
    send(desk, submit(turn(1, ANA, 2), 3))
    row = docs(ANA, desk)[1]
    assert (row["state"], row["own"]["grade"], row["settled"]) == ("own", 3, None)  # the consensus fell with the edit


@pytest.mark.parametrize(("act", "grade"), [("cannot_tell", None), ("discarded", None), ("submitted", 2)])
def test_every_kind_of_own_answer_is_told(desk: Store, act: str, grade: int | None) -> None:
    said = {"cannot_tell": cannot_tell(turn(1, ANA)), "discarded": discard(turn(1, ANA), "broken")}
    send(desk, submit(turn(1, ANA, 0), 1), said.get(act) or submit(turn(1, ANA), 2))
    own = docs(ANA, desk)[1]["own"]
    assert (own["act"], own["grade"], own["session"], own["sequence"]) == (act, grade, "tab-ana", 101)


def test_an_audited_doc_shows_no_suggestion_until_its_person_has_answered(store: Store) -> None:
    audit = {"review_cause_id": "rc_a", "cause": "blind_audit", "predicate": "confidence > 0.95", "n_required": 2}
    store.append({"review_causes": [{**audit, "created_at": STAMP["created_at"]}]})
    add_pair(store, 1, confidence=0.99)
    add_pair(store, 2)
    rows = docs(ANA, store)
    assert [(rows[n]["is_blind"], rows[n]["suggestion"] is None) for n in (1, 2)] == [(True, True), (False, False)]
    assert "audit" not in str(rows)
    send(store, submit(turn(1, ANA), 0))
    assert docs(ANA, store)[1]["suggestion"]["grade"] == 2
    assert docs(ANA, store)[1]["suggestion"]["steps"] == [["intent", "a sofa"], ["verdict", "substantially"]]
    assert docs(BO, store)[1]["suggestion"] is None


def test_who_wants_to_be_blind_sees_suggestions_after_their_answer_only(desk: Store) -> None:
    send(desk, submit(turn(1, ANA), 0))
    rows = docs(ANA, desk, is_blind=True)
    assert [rows[n]["suggestion"] is None for n in (1, 2)] == [False, True]


def test_what_is_put_off_stays_on_the_list_and_is_held_again(desk: Store) -> None:
    docs(ANA, desk)
    send(desk, put_off(turn(1, ANA)))
    row = docs(ANA, desk)[1]
    assert (row["state"], row["is_put_off"], row["own"]) == ("open", True, None)
    assert claim_cards(BO, desk, 9).cards == []


def test_an_answer_that_was_sent_back_is_open_again_with_what_was_said(desk: Store) -> None:
    given = submit(turn(1, ANA), 1)
    send(desk, given)
    row = SendBackRow(
        send_back_id="b_1",
        candidate_id="c_1",
        pair_id=pair_id_of(1),
        account="dora",
        response_ids=[given.response_id],
        n_required=1,
        reason="read the width again",
        created_at=now(),
    )
    desk.append({"send_backs": [row]})
    told = docs(ANA, desk)[1]
    assert (told["state"], told["own"]["grade"], told["sent_back"]) == ("open", 1, "read the width again")
    assert docs(BO, desk)[1]["sent_back"] is None
    send(desk, submit(turn(1, ANA, 2), 2))
    assert (docs(ANA, desk)[1]["state"], docs(ANA, desk)[1]["sent_back"]) == ("own", None)


def test_a_pair_with_two_candidates_is_one_row_of_the_latest(desk: Store) -> None:
    newer = {"candidate_id": "c_9", "pair_id": pair_id_of(1), "grade": 0, "steps": "[]", "rule_ids": []}
    stamp = {"run_id": "run_2", "created_at": STAMP["created_at"] + timedelta(seconds=5)}
    screened = {"screening_id": "s_9", "candidate_id": "c_9", "screen": "all", "is_passed": True, "reason": "none"}
    desk.append({"candidates": [{**newer, "proposer": "lexical", **stamp}], "screenings": [{**screened, **stamp}]})
    assert sorted(docs(ANA, desk)) == [2, 3, 4, 5, 6, 9]
    send(desk, Response(Turn("c_9", pair_id_of(1), "bo", "t", 1), submit(turn(1, BO), 1).act, grade=1))
    settle(desk)
    assert sorted(docs(ANA, desk)) == [2, 3, 4, 5, 6, 9]


def test_a_long_body_is_cut_in_its_row(desk: Store) -> None:
    doc = {"doc_id": "d_long", "title": "Long", "body": "x" * 5000, "fields": "{}", "source": "s", **STAMP}
    pair = {"pair_id": pair_id_of(8), "query_id": "q_1", "doc_id": "d_long", "split": "train", "origin": "import"}
    candidate = {"candidate_id": "c_8", "pair_id": pair_id_of(8), "grade": 0, "steps": "[]", "rule_ids": []}
    screened = {"screening_id": "s_8", "candidate_id": "c_8", "screen": "all", "is_passed": True, "reason": "none"}
    desk.append(
        {
            "docs": [doc],
            "pairs": [{**pair, "source": "s", **STAMP}],
            "candidates": [{**candidate, "proposer": "lexical", **STAMP}],
            "screenings": [{**screened, **STAMP}],
        }
    )
    row = docs(ANA, desk)[8]
    assert (len(row["body"]), row["is_cut"]) == (700, True)


def other_queries(store: Store, *texts: str) -> None:
    """Add queries with one waiting doc each."""
    for n, text in enumerate(texts, start=50):
        query = {"query_id": f"q_{text}", "text": text, "root_query_id": f"q_{text}", "split": "train", "source": "s"}
        pair = {"pair_id": pair_id_of(n), "query_id": f"q_{text}", "doc_id": "d_1", "split": "train", "source": "s"}
        candidate = {"candidate_id": f"c_{n}", "pair_id": pair_id_of(n), "grade": 0, "steps": "[]", "rule_ids": []}
        screened = {"screening_id": f"s_{n}", "candidate_id": f"c_{n}", "screen": "all", "is_passed": True}
        store.append(
            {
                "queries": [{**query, **STAMP}],
                "pairs": [{**pair, "origin": "import", **STAMP}],
                "candidates": [{**candidate, "proposer": "lexical", **STAMP}],
                "screenings": [{**screened, "reason": "none", **STAMP}],
            }
        )


def told(found: Queries) -> list[tuple[str, int, int, int]]:
    return [(q["text"], q["n_docs"], q["n_waiting"], q["n_mine"]) for q in found.queries]


def texts(found: Queries) -> list[str]:
    return [query["text"] for query in found.queries]


def test_the_query_with_the_most_waiting_docs_comes_first_and_pages_go_on(desk: Store) -> None:
    other_queries(desk, "armchair", "blue sofa", "Sofa bed")
    send(desk, submit(turn(1, ANA), 1), submit(turn(2, BO), 1))
    found = waiting_queries(ANA, desk)
    # six docs: one by ana, one by bo, four wait; bo's answer is none of hers
    assert told(found)[0] == ("sofa", 6, 4, 1)
    assert sorted(told(found)[1:]) == [("Sofa bed", 1, 1, 0), ("armchair", 1, 1, 0), ("blue sofa", 1, 1, 0)]
    assert found.next is None
    first = waiting_queries(ANA, desk, n=2)
    rest = waiting_queries(ANA, desk, after=first.next, n=9)
    assert (first.queries + rest.queries, rest.next) == (found.queries, None)


def test_queries_are_found_by_a_part_of_their_text_in_their_own_order(desk: Store) -> None:
    other_queries(desk, "armchair", "blue sofa", "Sofa bed", "红色沙发")
    assert texts(search_queries(ANA, desk, "SOFA")) == ["Sofa bed", "blue sofa", "sofa"]
    first = search_queries(ANA, desk, "sofa", n=1)
    assert texts(first) == ["Sofa bed"]
    rest = search_queries(ANA, desk, "sofa", after=first.next)
    assert (texts(rest), rest.next) == (["blue sofa", "sofa"], None)
    assert texts(search_queries(ANA, desk, "沙发")) == ["红色沙发"]
    assert texts(search_queries(ANA, desk, "lamp' or '1'='1")) == []


def test_queries_without_a_doc_to_list_are_passed_over_however_many_there_are(
    desk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("review_app.list_desk.N_SEARCHED", 3)
    stamp = {"root_query_id": "q_1", "split": "train", "source": "s", **STAMP}
    desk.append({"queries": [{"query_id": f"q_e{n}", "text": f"a sofa {n}", **stamp} for n in range(8)]})
    assert texts(search_queries(ANA, desk, "sofa")) == ["sofa"]
    monkeypatch.setattr("review_app.list_desk.MOST_PAGES", 1)
    nothing = search_queries(ANA, desk, "sofa")
    assert (texts(nothing), nothing.next) == ([], ("a sofa 2", "q_e2"))


def test_the_next_list_is_one_with_a_doc_left_to_grade(desk: Store) -> None:
    other_queries(desk, "armchair", "lamp")
    first = next_list(ANA, desk)
    assert first is not None and first["text"] == "sofa"
    second = next_list(BO, desk)  # all sofas are on ana's screen
    assert second is not None and second["text"] in ("armchair", "lamp")
    third = next_list(BO, desk, besides=second["query_id"])
    assert third is not None and {second["text"], third["text"]} == {"armchair", "lamp"}
    assert next_list(CHEN, desk) is None


def test_an_unknown_query_is_told(desk: Store) -> None:
    with pytest.raises(UserError, match="there is no query 'q_9' here"):
        open_list(ANA, desk, "q_9")


def test_an_empty_store_has_no_queries_to_list(store: Store) -> None:
    assert waiting_queries(ANA, store).queries == []


@pytest.mark.parametrize("role", [Role.ENGINEER])
def test_who_may_not_review_sees_no_list(desk: Store, role: Role) -> None:
    eli = Pin("eli", role, "0" * 64, "person_e")
    asked = [
        lambda: waiting_queries(eli, desk),
        lambda: search_queries(eli, desk, "sofa"),
        lambda: open_list(eli, desk, "q_1"),
        lambda: next_list(eli, desk),
        lambda: hold_docs(eli, desk, ["c_1"]),
    ]
    for ask in asked:
        with pytest.raises(UserError, match="may not review"):
            ask()


@pytest.mark.slow
@pytest.mark.parametrize("n_required", [1, 2])
def test_thirty_people_on_lists_and_in_the_queue_never_give_a_doc_more_answers_than_it_wants(
    tmp_path: Path, n_required: int
) -> None:
    """Half open the list and grade what is open there, half take cards; some put a doc off and take it up again."""
    failures: list[BaseException] = []
    counted = threading.Lock()
    answers: Counter[str] = Counter()
    with Store(SocketTransport(tmp_path), sees_test=True) as setting_up:
        for n in range(40):
            add_pair(setting_up, n, confidence=0.1, n_required=n_required)

    def answer(store: Store, person: Pin, candidate_id: str, sequence: int) -> None:
        with counted:
            answers[candidate_id] += 1
        n = int(candidate_id[2:])
        send(store, submit(Turn(candidate_id, pair_id_of(n), person.account, "tab", sequence), 2))

    def work(place: int) -> None:
        person, draws = Pin(f"r{place:02d}", Role.REVIEWER, "0" * 64, "p"), random.Random(place)
        try:
            with Store(SocketTransport(tmp_path), sees_test=True) as store:
                for round_of in range(4):
                    if place % 2:
                        got = [card["candidate_id"] for card in claim_cards(person, store, 3).cards]
                    else:
                        rows = open_list(person, store, "q_1", n=12)["rows"]
                        got = [row["candidate_id"] for row in rows if row["state"] == "open"][:6]
                    for number, candidate_id in enumerate(got):
                        sequence = 1000 * round_of + 10 * number
                        if draws.random() < 0.3:
                            n = int(candidate_id[2:])
                            send(store, put_off(Turn(candidate_id, pair_id_of(n), person.account, "tab", sequence)))
                            if candidate_id not in hold_docs(person, store, [candidate_id]):
                                continue
                        answer(store, person, candidate_id, sequence + 1)
        except BaseException as error:
            failures.append(error)

    try:
        people = [threading.Thread(target=work, args=(place,)) for place in range(30)]
        for thread in people:
            thread.start()
        for thread in people:
            thread.join()
        assert failures == []
        assert max(answers.values()) == n_required
        assert len(answers) > 30
        with Store(SocketTransport(tmp_path), sees_test=True) as store:
            assert store.rebuild() == {"candidate_status": 0}
    finally:
        stop_store_process(tmp_path)
