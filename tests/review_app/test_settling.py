"""Answers become judgments: consensus, adjudication; a rationale stays with its grade."""

from __future__ import annotations

from review_app.decisions import Response, ResponseAct, Turn, save, submit
from review_app.settling import Decision, adjudicated_row, read_answered, settle_by_consensus
from storage.rows import JudgmentRow
from storage.store import Store
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of


def answer(store: Store, n: int, account: str, grade: int) -> Response:
    response = submit(Turn(f"c_{n}", pair_id_of(n), account, f"tab-{account}", 1), grade)
    save(store, [response], proposals={f"c_{n}": (2, STEPS)})
    return response


def settle(store: Store) -> list[JudgmentRow]:
    rows = settle_by_consensus(read_answered(store), run_id="run_2")
    store.append({"judgments": rows})
    return rows


def current(store: Store) -> list[tuple[int, str, str | None]]:
    rows = sorted(store.read("tier_relation").to_pylist(), key=lambda row: str(row["pair_id"]))
    judged = [row for row in rows if row["part"] == "judged"]
    return [(row["grade"], row["judgment_origin"], row["settled_steps"]) for row in judged]


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


def test_an_undone_answer_takes_its_consensus_with_it(store: Store) -> None:
    add_pair(store, 1)
    given = answer(store, 1, "ana", 2)
    settle(store)
    turn = Turn("c_1", pair_id_of(1), "ana", "tab-ana", 2)
    undo = Response(turn, ResponseAct.WITHDRAWN, target_id=given.response_id)
    save(store, [undo], proposals={})
    assert current(store) == []


def test_disputed_pairs_wait_for_an_adjudicator_whose_word_is_final(store: Store) -> None:
    add_pair(store, 1, confidence=0.1, n_required=2)
    answer(store, 1, "ana", 0)
    assert read_answered(store) == []  # one of two answers
    answer(store, 1, "bo", 2)
    (pair,) = read_answered(store)
    assert settle(store) == []
    decision = Decision(pair, 2, "dora", "size is right", False, "a_j1", pair.steps_for(2))
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
        decision = Decision(pair, grade, "dora", None, False, act_id, pair.steps_for(grade))
        store.append({"judgments": [adjudicated_row(decision, run_id="r")]})
        assert [(found, origin) for found, origin, _ in current(store)] == [(grade, "adjudicated")]


def test_the_same_answer_sent_twice_counts_once(store: Store) -> None:
    add_pair(store, 1)
    answer(store, 1, "ana", 2)
    answer(store, 1, "ana", 2)
    assert len(read_answered(store)[0].answers) == 1
