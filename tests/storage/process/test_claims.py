"""The claim desk: the queue's order, the policy's number of people, leases, and acknowledged answers at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from storage.clock import now
from storage.errors import UserError
from storage.process import claims
from storage.process.client import SocketTransport
from storage.store import Store
from tests.conftest import stop_store_process
from tests.storage.process.store_rows import answer, asks_twice, candidate, passed, shop


def claimed(store: Store, account: str, n: int, *, among: Sequence[int] | None = None) -> list[int]:
    names = None if among is None else [f"c_{number:016x}" for number in among]
    return [int(text[2:], 16) for text in store.claim(account, n, among=names).column("candidate_id").to_pylist()]


def test_the_least_certain_come_first_and_a_second_reviewer_gets_the_next(store: Store) -> None:
    store.append(shop(5))
    assert claimed(store, "ana", 2) == [0, 1]
    assert claimed(store, "bo", 2) == [2, 3]
    assert claimed(store, "ana", 2) == [0, 1]  # her own leases are no bar


def test_nothing_is_claimed_from_an_empty_queue(store: Store) -> None:
    assert claimed(store, "ana", 3) == []
    store.append(shop(1))
    assert claimed(store, "ana", 3) == [0]


def test_the_head_reads_on_when_a_reviewer_has_seen_it_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_HEAD", claims._HEAD.replace(f"limit {claims.HEAD}", "limit 3"))
    monkeypatch.setattr(claims, "HEAD", 3)
    store.append(shop(11))
    assert claimed(store, "ana", 4) == [0, 1, 2, 3]
    assert claimed(store, "bo", 100) == [4, 5, 6, 7, 8, 9, 10]
    assert claimed(store, "chen", 1) == []


def test_the_head_follows_what_is_committed_after_it_was_read(store: Store) -> None:
    store.append(shop(3))
    assert claimed(store, "ana", 1) == [0]
    store.append({"responses": [answer(0, "ana"), answer(1, "bo")]})
    assert claimed(store, "chen", 5) == [2]
    more = shop(1, first=9)
    more["candidates"] = [candidate(9, 9, confidence=0.0)]
    store.append(more)
    assert claimed(store, "chen", 5) == [9, 2]
    store.append({"responses": [answer(1, "bo", act="withdrawn", target_id="a_bo_1_submitted", sequence=99)]})
    assert claimed(store, "dana", 5) == [1]


def test_a_pair_that_needs_two_goes_to_two_and_never_back_to_who_answered(store: Store) -> None:
    store.append({**shop(1), "review_causes": [asks_twice()]})
    assert [claimed(store, name, 1) for name in ("ana", "bo", "chen")] == [[0], [0], []]
    store.append({"responses": [answer(0, "ana")]})
    assert [claimed(store, name, 1) for name in ("ana", "bo", "chen")] == [[], [0], []]
    store.append({"responses": [answer(0, "bo")]})
    assert [claimed(store, name, 1) for name in ("ana", "bo", "chen")] == [[], [], []]


def test_a_pair_on_somebodys_screen_comes_not_again_as_a_newer_candidate(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(shop(1))
    assert claimed(store, "ana", 1) == [0]
    store.append({"candidates": [{**candidate(7, 0), "created_at": now()}], "screenings": [passed(7)]})
    # while the older one may lie on ana's screen nobody is asked about the pair, or it would be answered twice
    assert claimed(store, "ana", 1) == claimed(store, "bo", 1) == []
    monkeypatch.setattr("storage.process.owner.now", lambda: now() + claims.LEASE + timedelta(seconds=1))
    assert claimed(store, "ana", 1) == [7]


def test_a_lease_that_has_run_out_frees_its_candidate(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(shop(1))
    assert claimed(store, "ana", 1) == [0]
    assert claimed(store, "bo", 1) == []
    monkeypatch.setattr("storage.process.owner.now", lambda: now() + claims.LEASE + timedelta(seconds=1))
    assert claimed(store, "bo", 1) == [0]


def test_leases_outlive_the_store_process(tmp_path: Path) -> None:
    with Store.embedded(tmp_path) as store:
        store.append(shop(2))
        assert claimed(store, "ana", 1) == [0]
    with Store.embedded(tmp_path) as store:
        assert claimed(store, "bo", 2) == [1]


def test_the_same_claim_sent_twice_is_one_lease(tmp_path: Path) -> None:
    with Store.embedded(tmp_path, sees_test=True) as store:
        store.append(shop(2))
        claimed(store, "ana", 1)
        store._n_claims -= 1  # the answer was lost on its way: the client asks again
        claimed(store, "ana", 1)
    import duckdb

    with duckdb.connect(str(tmp_path / "afrel.duckdb"), read_only=True) as connection:
        assert connection.execute("select account, candidate_id from leases").fetchall() == [("ana", f"c_{0:016x}")]


def test_asking_again_at_once_writes_no_lease_and_later_renews_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.embedded(tmp_path, sees_test=True) as store:
        store.append(shop(3))
        assert claimed(store, "ana", 2) == claimed(store, "ana", 2) == [0, 1]
        assert claimed(store, "ana", 3) == [0, 1, 2]
        monkeypatch.setattr("storage.process.owner.now", lambda: now() + timedelta(minutes=20))
        assert claimed(store, "ana", 1) == [0]
        monkeypatch.setattr("storage.process.owner.now", lambda: now() + timedelta(minutes=40))
        assert claimed(store, "bo", 3) == [1, 2]
    import duckdb

    with duckdb.connect(str(tmp_path / "afrel.duckdb"), read_only=True) as connection:
        leases = connection.execute(
            "select account, candidate_id[-1]::int from leases order by created_at, candidate_id"
        )
        assert leases.fetchall() == [("ana", 0), ("ana", 1), ("ana", 2), ("ana", 0), ("bo", 1), ("bo", 2)]


@pytest.mark.parametrize("n_required", [1, 2])
def test_thirty_reviewers_at_once_are_never_more_on_a_candidate_than_the_policy_allows(
    tmp_path: Path, n_required: int
) -> None:
    """Each claims, answers most of what they got and claims again; every handing out is counted as it happens."""
    counted = threading.Lock()
    given: Counter[int] = Counter()
    failures: list[BaseException] = []
    setting_up = Store(SocketTransport(tmp_path), sees_test=True)
    try:
        setting_up.append({**shop(300), "review_causes": [asks_twice()] if n_required == 2 else []})

        def review(name: str) -> None:
            draws, mine = random.Random(name), set[int]()
            try:
                with Store(SocketTransport(tmp_path), sees_test=True) as store:
                    for _ in range(8):
                        got = claimed(store, name, 3)
                        with counted:
                            given.update(set(got) - mine)
                        mine |= set(got)
                        for number in got:
                            if draws.random() < 0.8:
                                store.append({"responses": [answer(number, name)]})
            except BaseException as error:
                failures.append(error)

        reviewers = [threading.Thread(target=review, args=(f"r{number:02d}",)) for number in range(30)]
        for thread in reviewers:
            thread.start()
        for thread in reviewers:
            thread.join()
        assert not failures
        assert max(given.values()) <= n_required
        assert len(given) > 100
        assert setting_up.rebuild() == {"candidate_status": 0}
    finally:
        setting_up.close()
        stop_store_process(tmp_path)


@pytest.mark.parametrize("n_required", [1, 2])
def test_thirty_over_lists_and_the_queue_never_answer_a_candidate_more_often_than_the_policy_wants(
    tmp_path: Path, n_required: int
) -> None:
    """Half ask the queue, half name candidates; what they are given they answer, or put off and answer once it is
    given to them again. Few candidates, so that everybody is after the same ones.
    """
    counted = threading.Lock()
    answers: Counter[int] = Counter()
    failures: list[BaseException] = []
    setting_up = Store(SocketTransport(tmp_path), sees_test=True)
    try:
        setting_up.append({**shop(60), "review_causes": [asks_twice()] if n_required == 2 else []})

        def review(place: int) -> None:
            name, draws = f"r{place:02d}", random.Random(place)
            try:
                with Store(SocketTransport(tmp_path), sees_test=True) as store:
                    for turn in range(10):
                        if place % 2:
                            got = claimed(store, name, 2)
                        else:
                            named = draws.sample(range(60), 8)
                            got = claimed(store, name, 4, among=named)
                            assert got == [number for number in named if number in got]
                        for number in got:
                            if draws.random() < 0.4:
                                put_off = answer(number, name, act="later", response_id=f"l_{name}_{number}_{turn}")
                                store.append({"responses": [put_off]})
                                if not claimed(store, name, 1, among=[number]):
                                    continue
                            with counted:
                                answers[number] += 1
                            store.append({"responses": [answer(number, name, sequence=1000 + number)]})
            except BaseException as error:
                failures.append(error)

        reviewers = [threading.Thread(target=review, args=(place,)) for place in range(30)]
        for thread in reviewers:
            thread.start()
        for thread in reviewers:
            thread.join()
        assert not failures
        assert max(answers.values()) == n_required and len(answers) > 50
        assert setting_up.rebuild() == {"candidate_status": 0}
    finally:
        setting_up.close()
        stop_store_process(tmp_path)


def test_an_acknowledged_answer_closes_its_pair_before_it_is_committed(tmp_path: Path) -> None:
    """Claims do not wait for the fold: the desk is told of answers as they are acknowledged."""
    store = Store(SocketTransport(tmp_path), sees_test=True)
    try:
        store.append(shop(60))
        for expected in range(30):
            assert claimed(store, "ana", 1) == [expected]
            store.append({"responses": [answer(expected, "ana")]})
    finally:
        store.close()
        stop_store_process(tmp_path)


def test_candidates_acknowledged_and_not_committed_are_found_by_who_would_go_without(tmp_path: Path) -> None:
    store = Store(SocketTransport(tmp_path), sees_test=True)
    try:
        store.append({**shop(2), "candidates": [candidate(0, 0)], "screenings": [passed(0)]})
        assert claimed(store, "ana", 5) == [0]
        store.append({"candidates": [candidate(7, 1)], "screenings": [passed(7)]})
        assert claimed(store, "ana", 5) == [0, 7]
    finally:
        store.close()
        stop_store_process(tmp_path)


def test_what_is_put_off_comes_last_and_is_free_for_others(store: Store) -> None:
    store.append(shop(3))
    assert claimed(store, "ana", 1) == [0]
    store.append({"responses": [answer(0, "ana", act="later")]})
    assert claimed(store, "ana", 1) == [1]
    assert claimed(store, "bo", 1) == [0]
    store.append({"responses": [answer(1, "ana"), answer(2, "ana"), answer(0, "bo", act="later")]})
    assert claimed(store, "ana", 3) == [0]  # nothing else is left
    undo = answer(0, "ana", act="withdrawn", target_id="a_ana_0_later", sequence=9)
    store.append({**shop(1, first=5), "responses": [undo]})
    assert claimed(store, "ana", 1) == [0]  # undone: it has its old turn


def test_what_was_put_off_is_remembered_by_the_store(tmp_path: Path) -> None:
    with Store.embedded(tmp_path) as store:
        store.append({**shop(2), "responses": [answer(0, "ana", act="later")]})
    with Store.embedded(tmp_path) as store:
        assert claimed(store, "ana", 1) == [1]


def test_candidates_that_are_named_are_leased_in_their_order_wherever_the_queue_has_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_HEAD", claims._HEAD.replace(f"limit {claims.HEAD}", "limit 2"))
    monkeypatch.setattr(claims, "HEAD", 2)
    store.append(shop(6))
    assert claimed(store, "ana", 1) == [0]
    assert claimed(store, "bo", 9, among=[5, 0, 3, 5, 77]) == [5, 3]  # ana holds 0, and there is no 77
    assert claimed(store, "chen", 9, among=[3]) == []
    assert claimed(store, "chen", 9) == [1, 2, 4]
    assert claimed(store, "bo", 1, among=[3, 5]) == [3]  # her own leases are no bar
    assert claimed(store, "bo", 9, among=[]) == []


def test_half_a_character_names_no_candidate(store: Store) -> None:
    with pytest.raises(UserError, match="half of a character"):
        store.claim("ana", 1, among=["c_\ud800"])


def test_a_named_candidate_that_has_its_answers_or_was_settled_is_not_given_out(store: Store) -> None:
    store.append(shop(3))
    store.append({"responses": [answer(0, "ana"), answer(1, "bo", act="discarded")]})
    assert claimed(store, "chen", 9, among=[0, 1, 2]) == [2]


def test_a_named_candidate_is_leased_though_an_answer_to_it_is_still_wanted_elsewhere(store: Store) -> None:
    store.append({**shop(1), "review_causes": [asks_twice()]})
    store.append({"responses": [answer(0, "ana")]})
    assert [claimed(store, name, 1, among=[0]) for name in ("ana", "bo", "chen")] == [[], [0], []]


def test_what_was_put_off_and_taken_up_again_is_not_free_for_others(store: Store) -> None:
    store.append(shop(1))
    assert claimed(store, "ana", 1) == [0]
    store.append({"responses": [answer(0, "ana", act="later")]})
    assert claimed(store, "ana", 1) == [0]  # nothing else is left, so it is on her screen again
    assert claimed(store, "bo", 1) == []
    store.append({"responses": [answer(0, "ana", act="later", response_id="a_again", sequence=2)]})
    assert claimed(store, "bo", 1) == [0]


def test_leases_that_come_as_rows_count_at_once(store: Store) -> None:
    store.append(shop(2))
    assert claimed(store, "ana", 1) == [0]  # the desk has read the leases
    until = now() + timedelta(days=1)
    row = {"lease_id": "a_lease", "candidate_id": f"c_{1:016x}", "account": "bo", "until": until, "created_at": now()}
    store.append({"leases": [row]})
    assert claimed(store, "chen", 2) == []
    assert claimed(store, "bo", 2) == [1]


def test_a_pair_that_was_sent_back_goes_to_who_answered_it(store: Store) -> None:
    store.append(shop(2))
    assert claimed(store, "ana", 1) == [0]
    given = answer(0, "ana")
    store.append({"responses": [given]})
    assert claimed(store, "ana", 2) == [1]
    row = {
        "send_back_id": "b_1",
        "candidate_id": f"c_{0:016x}",
        "pair_id": f"p_{0:016x}",
        "account": "dora",
        "response_ids": [given["response_id"]],
        "n_required": 1,
        "reason": "read the width again",
        "created_at": now(),
    }
    store.append({"send_backs": [row]})
    assert claimed(store, "ana", 2) == [0, 1]  # first: it has a cause now
    assert store.rebuild() == {"candidate_status": 0}
