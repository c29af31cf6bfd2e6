"""What a push has to do: one place for each candidate, nobody asked twice, nothing begun is taken away."""

from __future__ import annotations

from typing import Any

from review_app.argilla_bridge.conflicts import find_conflicts
from review_app.argilla_bridge.datasets import Dataset, current_version, dataset_name, own_datasets
from review_app.argilla_bridge.plan import Lying, Plan, Waiting, make_plan, waiting_of
from review_app.argilla_bridge.settings import settings_of
from review_app.decisions import Turn, submit
from storage.clock import now
from tests.review_app.argilla_bridge.rows_of_bridge import SCALE, candidate


def dataset(version: int = 1, overlap: int = 1) -> Dataset:
    name = dataset_name("afrel", version, overlap)
    return Dataset(f"id-{name}", name, version, overlap, "digest", True)


def lying(candidate_id: str, place: Dataset, *people: str) -> Lying:
    return Lying(candidate_id, f"rec-{candidate_id}-{place.name}", place, frozenset(people))


def sent(plan: Plan) -> dict[int, list[str]]:
    return {overlap: [one.candidate_id for one in ones] for overlap, ones in plan.send.items()}


def test_a_first_push_sends_all_by_how_many_people_they_need() -> None:
    plan = make_plan([Waiting("c_1", 1), Waiting("c_2", 2), Waiting("c_3", 1)], [], version=1)
    assert (sent(plan), plan.n_withdraw) == ({1: ["c_1", "c_3"], 2: ["c_2"]}, 0)


def test_a_second_push_has_nothing_to_do() -> None:
    plan = make_plan([Waiting("c_1", 1)], [lying("c_1", dataset(), "u-ana")], version=1)
    assert (plan.n_send, plan.n_withdraw, plan.n_lying) == (0, 0, 1)


def test_a_push_that_was_killed_sends_what_is_missing() -> None:
    plan = make_plan([Waiting("c_1", 1), Waiting("c_2", 1)], [lying("c_1", dataset())], version=1)
    assert sent(plan) == {1: ["c_2"]}


def test_a_new_version_takes_over_what_nobody_began_and_leaves_what_somebody_did() -> None:
    old, new = dataset(1), dataset(2)
    there = [lying("c_1", old), lying("c_2", old, "u-ana"), lying("c_3", old), lying("c_3", new)]
    plan = make_plan([Waiting("c_1", 1), Waiting("c_2", 1), Waiting("c_3", 1)], there, version=2)
    assert sent(plan) == {1: ["c_1"]}
    assert plan.withdraw == {old.dataset_id: ["rec-c_1-afrel-v1", "rec-c_3-afrel-v1"]}
    assert (plan.n_held, plan.n_lying) == (1, 1)


def test_once_it_is_pulled_a_half_answered_one_moves_on_with_its_answer() -> None:
    old = dataset(1, 1)
    one = Waiting("c_1", 2, answered_by=frozenset({"u-ana"}))
    plan = make_plan([one], [lying("c_1", old, "u-ana")], version=1)
    assert (sent(plan), plan.n_withdraw) == ({2: ["c_1"]}, 0)  # the old record holds an answer and stays


def test_what_waits_no_more_is_taken_away_unless_somebody_began_or_it_is_not_ours() -> None:
    there = [lying("c_1", dataset()), lying("c_2", dataset(), "u-bo"), lying("by-hand", dataset())]
    plan = make_plan([], there, version=1, known=frozenset({"c_1", "c_2"}))
    assert plan.withdraw == {"id-afrel-v1": ["rec-c_1-afrel-v1"]}


def test_a_limit_counts_what_is_sent_and_leaves_the_rest_where_it_is() -> None:
    there = [lying("c_1", dataset()), lying("c_4", dataset(1, 2))]
    waiting = [Waiting(f"c_{n}", 1) for n in range(1, 5)]
    plan = make_plan(waiting, there, version=1, limit=1)
    assert (sent(plan), plan.n_over_limit, plan.n_withdraw) == ({1: ["c_2"]}, 2, 0)


def test_the_overlap_asks_only_for_people_argilla_can_still_ask() -> None:
    rows = [
        {"candidate_id": "c_1", "n_required": 2, "cause": "revised"},
        {"candidate_id": "c_2", "n_required": 2, "cause": "revised"},
        {"candidate_id": "c_3", "n_required": 1, "cause": "sent_back, revised"},
    ]
    given = {"act": "submitted", "grade": 1, "steps": None, "reason": None}
    answers = [{**given, "candidate_id": "c_1", "account": "ana"}, {**given, "candidate_id": "c_2", "account": "cleo"}]
    waiting, n_sent_back = waiting_of(rows, answers, {"ana": "u-ana"})
    # ana's answer goes along and counts there; cleo has no user, so one more person is asked
    assert [(one.candidate_id, one.overlap, [c.user_id for c in one.carried]) for one in waiting] == [
        ("c_1", 2, ["u-ana"]), ("c_2", 1, []),
    ]  # fmt: skip
    assert n_sent_back == 1


def test_a_dataset_is_ours_by_its_metadata_and_not_by_its_name() -> None:
    told = {"dataset": "afrel", "version": 2, "overlap": 3, "settings": "d"}
    row: dict[str, Any] = {"id": "1", "name": "renamed", "status": "ready"}
    found = own_datasets(
        [
            {**row, "metadata": {"afrel": told}}, {**row, "metadata": None}, {**row, "metadata": {"afrel": "x"}},
            {**row, "metadata": {"afrel": {**told, "dataset": "other"}}},
            {**row, "metadata": {"afrel": {**told, "version": "2"}}},
        ],
        "afrel",
    )  # fmt: skip
    assert [(one.version, one.overlap, one.name) for one in found] == [(2, 3, "renamed")]
    assert (dataset_name("afrel", 2, 3), dataset_name("afrel", 2, 1)) == ("afrel-v2-x3", "afrel-v2")


def test_a_changed_guideline_makes_the_next_version() -> None:
    settings = settings_of(SCALE, "one")
    assert current_version([], settings) == 1
    lies = Dataset("i", "afrel-v3", 3, 1, settings.digest, True)
    assert (current_version([lies], settings), current_version([lies], settings, is_new=True)) == (3, 4)
    assert current_version([lies], settings_of(SCALE, "two")) == 4


def test_conflicts_with_what_was_said_here_are_told_and_agreement_is_none() -> None:
    at = now()
    rows = {"c_1": candidate(), "c_2": {**candidate(), "candidate_id": "c_2", "pair_id": "p_2", "status": "settled"}}

    def said(candidate_id: str, pair_id: str, account: str, grade: int) -> Any:
        return submit(Turn(candidate_id, pair_id, account, f"argilla:{account}", 1, acted_at=at), grade)

    standing = [
        {"pair_id": "p_1", "account": "ana", "act": "submitted", "grade": 2, "created_at": at, "is_pulled": False}
    ]
    assert find_conflicts([said("c_1", "p_1", "ana", 2)], rows, standing) == []
    (own,) = find_conflicts([said("c_1", "p_1", "ana", 1)], rows, standing)
    assert "said 2 here and 1 in Argilla" in own.words and "the one given here" in own.words
    (beyond,) = find_conflicts([said("c_1", "p_1", "bo", 1)], rows, standing)
    assert (beyond.account, "one more than the 1" in beyond.words, "beside ana" in beyond.words) == ("bo", True, True)
    (settled,) = find_conflicts([said("c_2", "p_2", "bo", 3)], rows, standing)
    assert "after the pair was settled" in settled.words
    # two people on a pair that asks for one: the second is the one too many
    two = find_conflicts([said("c_1", "p_1", "bo", 1), said("c_1", "p_1", "cy", 1)], rows, [])
    assert [one.account for one in two] == ["cy"]
    edited = [{**standing[0], "is_pulled": True}]
    assert find_conflicts([said("c_1", "p_1", "ana", 1)], rows, edited) == []
