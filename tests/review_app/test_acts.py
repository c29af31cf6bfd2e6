"""The rules of docs/decisions/0008-acts.md, one worked example each; every one in both orders of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

import pytest

from review_app.decisions import Response, ResponseAct, Turn, read_history, save
from storage.rows import JudgmentRow, SendBackRow
from storage.store import Store
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of

START = datetime(2026, 3, 1, 9)
YEAR = 365 * 24 * 3600
SUBMITTED, WITHDRAWN, LATER = ResponseAct.SUBMITTED, ResponseAct.WITHDRAWN, ResponseAct.LATER
CANNOT_TELL, DISCARDED = ResponseAct.CANNOT_TELL, ResponseAct.DISCARDED
pairs = count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.embedded(tmp_path_factory.mktemp("acts"), sees_test=True) as opened:
        yield opened


class Desk:
    """Acts on a fresh pair (and on the one after it); a tab's acts are numbered unless the number is given."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pair = next(pairs)
        next(pairs)
        for n in (self.pair, self.pair + 1):
            add_pair(store, n)

    def act(
        self,
        tab: str,
        sequence: int,
        at: int,
        said: int | ResponseAct,
        *,
        target: Response | None = None,
        account: str = "ana",
        on_other: bool = False,
    ) -> Response:
        """Return an act: number `sequence` of a tab whose clock says `at` seconds."""
        n = self.pair + on_other
        acted_at = START + timedelta(seconds=at)
        turn = Turn(f"c_{n}", pair_id_of(n), account, f"{self.pair}-{tab}", sequence, acted_at=acted_at)
        target_id = None if target is None else target.response_id
        if isinstance(said, ResponseAct):
            reason = "spam" if said is DISCARDED else None
            return Response(turn, said, reason=reason, target_id=target_id)
        return Response(turn, SUBMITTED, grade=said, target_id=target_id)

    def deliver(self, *acts: Response) -> None:
        """Send each act in a request of its own."""
        for act in acts:
            save(self.store, [act], proposals={act.turn.candidate_id: (2, STEPS)})

    def says(self, account: str = "ana") -> int | str | None:
        """Return the grade or act that stands on the pair."""
        standing = read_history(self.store, pair_id_of(self.pair), account).standing
        view = {
            row["response_id"]: row["grade"] if row["act"] == "submitted" else row["act"]
            for row in self.store.read("why_responses", id=pair_id_of(self.pair)).to_pylist()
            if row["is_standing"]
        }
        if standing is None:
            return None
        told = standing.grade if standing.act is SUBMITTED else standing.act.value
        assert view[standing.response_id] == told
        return told

    def status(self) -> str:
        (row,) = self.store.read("candidate", candidate_id=f"c_{self.pair}").to_pylist()
        return str(row["status"])

    def current(self) -> list[str]:
        rows = self.store.read("why_judgments", id=pair_id_of(self.pair)).to_pylist()
        return [row["judgment_id"] for row in rows if row["is_current"]]

    def send_back(self, *acts: Response, n_required: int = 1, on_other: bool = False) -> None:
        n = self.pair + on_other
        row = SendBackRow(
            send_back_id=f"b_{n}_{len(acts)}",
            candidate_id=f"c_{n}",
            pair_id=pair_id_of(n),
            account="dora",
            response_ids=[act.response_id for act in acts],
            n_required=n_required,
            reason="read the width again",
            created_at=START,
        )
        self.store.append({"send_backs": [row]})

    def judge(self, name: str, grade: int, rests_on: Sequence[Response], origin: str = "consensus") -> str:
        row = JudgmentRow(
            judgment_id=f"j_{self.pair}_{name}",
            pair_id=pair_id_of(self.pair),
            grade=grade,
            origin=origin,
            response_ids=[act.response_id for act in rests_on],
            is_replayed=False,
            run_id="run_1",
            created_at=START,
        )
        self.store.append({"judgments": [row]})
        return row.judgment_id


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


both_ways = pytest.mark.parametrize("turned", [False, True], ids=["as they happened", "backwards"])


def arrive(desk: Desk, acts: Sequence[Response], turned: bool) -> None:
    desk.deliver(*(reversed(acts) if turned else acts))


# Rule 1: the order


@both_ways
def test_in_a_tab_the_sequence_decides_though_the_clock_went_back(desk: Desk, turned: bool) -> None:
    arrive(desk, [desk.act("tab1", 1, 60, 1), desk.act("tab1", 2, 0, 2)], turned)
    assert desk.says() == 2


@both_ways
def test_between_tabs_the_time_decides_and_not_the_sequence(desk: Desk, turned: bool) -> None:
    arrive(desk, [desk.act("tab1", 9, 0, 1), desk.act("tab2", 1, 5, 2)], turned)
    assert desk.says() == 2


@both_ways
def test_an_act_after_a_clock_went_back_is_as_late_as_the_acts_before_it(desk: Desk, turned: bool) -> None:
    acts = [desk.act("tab1", 1, 60, 1), desk.act("tab2", 1, 30, 2), desk.act("tab1", 2, 0, 3)]
    arrive(desk, acts, turned)
    assert desk.says() == 3  # its effective time is 60, not 0


@both_ways
def test_equal_times_fall_to_the_later_session(desk: Desk, turned: bool) -> None:
    arrive(desk, [desk.act("tab2", 1, 0, 2), desk.act("tab1", 1, 0, 1)], turned)
    assert desk.says() == 2


@both_ways
def test_an_act_on_another_pair_lends_no_time(desk: Desk, turned: bool) -> None:
    acts = [desk.act("tab1", 1, 60, 0, on_other=True), desk.act("tab1", 2, 0, 1), desk.act("tab2", 1, 30, 2)]
    arrive(desk, acts, turned)
    assert desk.says() == 2


@both_ways
def test_another_accounts_tab_of_the_same_name_lends_no_time(desk: Desk, turned: bool) -> None:
    acts = [desk.act("tab1", 1, 60, 0, account="bo"), desk.act("tab1", 2, 0, 1), desk.act("tab2", 1, 30, 2)]
    arrive(desk, acts, turned)
    assert (desk.says(), desk.says("bo")) == (2, 0)


def test_a_late_act_counts_as_if_it_had_come_in_time(desk: Desk) -> None:
    desk.deliver(desk.act("tab1", 2, 0, 1), desk.act("tab2", 1, 30, 2))
    assert desk.says() == 2
    desk.deliver(desk.act("tab1", 1, 60, CANNOT_TELL))  # so tab1's second act was no earlier than 60
    assert desk.says() == 1


def test_an_act_that_arrives_again_changes_nothing(desk: Desk) -> None:
    first, second = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    desk.deliver(first, second, first, first)
    assert desk.says() == 2


# Rule 2: undo


@both_ways
def test_undoing_an_edit_returns_to_the_grade_before_it(desk: Desk, turned: bool) -> None:
    grade, edit = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    arrive(desk, [grade, edit, desk.act("tab1", 3, 2, WITHDRAWN, target=edit)], turned)
    assert (desk.says(), desk.status()) == (1, "answered")


@both_ways
def test_undoing_the_only_answer_leaves_none(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    arrive(desk, [grade, desk.act("tab1", 2, 1, WITHDRAWN, target=grade)], turned)
    assert (desk.says(), desk.status()) == (None, "awaiting_review")


@both_ways
def test_two_tabs_that_undo_the_same_act_take_one_step(desk: Desk, turned: bool) -> None:
    grade, edit = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    undos = [desk.act("tab1", 3, 2, WITHDRAWN, target=edit), desk.act("tab2", 1, 3, WITHDRAWN, target=edit)]
    arrive(desk, [grade, edit, *undos], turned)
    assert desk.says() == 1


@both_ways
def test_an_undo_counts_whatever_its_clock_says(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    arrive(desk, [grade, desk.act("tab2", 1, -YEAR, WITHDRAWN, target=grade)], turned)
    assert desk.says() is None


@both_ways
def test_an_undo_is_never_undone(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    undo = desk.act("tab1", 2, 1, WITHDRAWN, target=grade)
    arrive(desk, [grade, undo, desk.act("tab1", 3, 2, WITHDRAWN, target=undo)], turned)
    assert desk.says() is None


@both_ways
def test_nobody_undoes_somebody_elses_act(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    arrive(desk, [grade, desk.act("tab1", 2, 1, WITHDRAWN, target=grade, account="bo")], turned)
    assert (desk.says(), desk.status()) == (1, "answered")


@both_ways
def test_an_undo_on_another_pair_undoes_nothing_here(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    arrive(desk, [grade, desk.act("tab1", 2, 1, WITHDRAWN, target=grade, on_other=True)], turned)
    assert (desk.says(), desk.status()) == (1, "answered")
    assert set(desk.store.rebuild().values()) == {0}


# Rules 3 and 4: answers, and later


@pytest.mark.parametrize("other", [CANNOT_TELL, DISCARDED])
@both_ways
def test_an_answer_without_a_grade_replaces_a_grade_until_it_is_undone(
    desk: Desk, other: ResponseAct, turned: bool
) -> None:
    grade, without = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, other)
    arrive(desk, [grade, without], turned)
    assert desk.says() == other.value
    desk.deliver(desk.act("tab1", 3, 2, WITHDRAWN, target=without))
    assert desk.says() == 1


@both_ways
def test_later_is_no_answer(desk: Desk, turned: bool) -> None:
    arrive(desk, [desk.act("tab1", 1, 0, LATER)], turned)
    assert (desk.says(), desk.status()) == (None, "awaiting_review")


@both_ways
def test_later_takes_no_answer_back_and_is_what_undo_takes_back_first(desk: Desk, turned: bool) -> None:
    grade, later = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, LATER)
    arrive(desk, [grade, later], turned)
    history = read_history(desk.store, pair_id_of(desk.pair), "ana")
    assert desk.says() == 1
    assert history.to_undo is not None and history.to_undo.response_id == later.response_id
    desk.deliver(desk.act("tab1", 3, 2, WITHDRAWN, target=later))
    history = read_history(desk.store, pair_id_of(desk.pair), "ana")
    assert desk.says() == 1
    assert history.to_undo is not None and history.to_undo.response_id == grade.response_id


# Rule 5: redo


@both_ways
def test_what_is_given_again_stands_though_every_tab_undid_what_it_repeats(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 3)
    undos = [desk.act("tab1", 2, 1, WITHDRAWN, target=grade), desk.act("tab2", 1, 2, WITHDRAWN, target=grade)]
    arrive(desk, [grade, *undos, desk.act("tab2", 2, 3, 3, target=grade)], turned)
    assert desk.says() == 3


def test_a_late_undo_does_not_take_the_redo_away(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 3)
    desk.deliver(grade, desk.act("tab2", 2, 3, 3, target=grade))
    assert desk.says() == 3
    desk.deliver(desk.act("tab1", 2, 1, WITHDRAWN, target=grade))
    assert desk.says() == 3


@both_ways
def test_undoing_a_redo_leaves_what_was_before_it(desk: Desk, turned: bool) -> None:
    grade = desk.act("tab1", 1, 0, 3)
    again = desk.act("tab2", 1, 2, 3, target=grade)
    undos = [desk.act("tab1", 2, 1, WITHDRAWN, target=grade), desk.act("tab1", 3, 3, WITHDRAWN, target=again)]
    arrive(desk, [grade, again, *undos], turned)
    assert desk.says() is None


# Rule 6: the stamp


def test_a_tab_a_year_ahead_wins_unseen_and_loses_to_whoever_has_seen_it(desk: Desk) -> None:
    desk.deliver(desk.act("ahead", 1, YEAR, 0), desk.act("tab1", 1, 60, 1))
    assert desk.says() == 0
    stamp = read_history(desk.store, pair_id_of(desk.pair), "ana").stamp(START + timedelta(seconds=90))
    assert stamp == START + timedelta(seconds=YEAR, microseconds=1)
    seen = Turn(f"c_{desk.pair}", pair_id_of(desk.pair), "ana", f"{desk.pair}-tab1", 2, acted_at=stamp)
    desk.deliver(Response(seen, SUBMITTED, grade=2))
    assert desk.says() == 2


def test_undoing_the_answer_of_a_tab_a_year_ahead_lets_the_others_stand(desk: Desk) -> None:
    ahead = desk.act("ahead", 1, YEAR, 0)
    desk.deliver(ahead, desk.act("tab1", 1, 60, 1), desk.act("tab1", 2, 90, WITHDRAWN, target=ahead))
    assert desk.says() == 1


# Rule 7: consensus


def test_a_consensus_on_an_answer_undone_before_it_arrived_is_not_current(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade, desk.act("tab1", 2, 1, WITHDRAWN, target=grade))
    desk.judge("early", 1, [grade])
    assert (desk.current(), desk.status()) == ([], "awaiting_review")


def test_a_consensus_falls_with_an_edit_and_is_current_again_when_the_edit_is_undone(desk: Desk) -> None:
    grade, edit = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    desk.deliver(grade)
    first = desk.judge("first", 1, [grade])
    assert (desk.current(), desk.status()) == ([first], "settled")
    desk.deliver(edit)
    assert (desk.current(), desk.status()) == ([], "answered")
    second = desk.judge("second", 2, [edit])
    assert desk.current() == [second]
    desk.deliver(desk.act("tab1", 3, 2, WITHDRAWN, target=edit))
    assert (desk.current(), desk.status()) == ([first], "settled")


def test_a_consensus_stays_fallen_when_its_answer_is_only_given_again(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade, desk.act("tab1", 2, 1, WITHDRAWN, target=grade), desk.act("tab1", 3, 2, 1, target=grade))
    desk.judge("early", 1, [grade])
    assert (desk.current(), desk.status()) == ([], "answered")


def test_a_consensus_needs_every_answer_it_names(desk: Desk) -> None:
    by_ana, by_bo = desk.act("tab1", 1, 0, 1), desk.act("tab1", 1, 0, 1, account="bo")
    desk.deliver(by_ana)
    both = desk.judge("both", 1, [by_ana, by_bo])
    assert desk.current() == []
    desk.deliver(by_bo)
    assert desk.current() == [both]


def test_a_consensus_cannot_rest_on_an_answer_on_another_pair(desk: Desk) -> None:
    elsewhere = desk.act("tab1", 1, 0, 1, on_other=True)
    desk.deliver(elsewhere)
    desk.judge("stray", 1, [elsewhere])
    assert desk.current() == []


def test_an_adjudicated_judgment_does_not_fall_with_the_answers_it_looked_at(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade)
    decided = desk.judge("decided", 2, [grade], origin="adjudicated")
    desk.deliver(desk.act("tab1", 2, 1, WITHDRAWN, target=grade))
    assert (desk.current(), desk.status()) == ([decided], "settled")


# Rule 8: sending back


def test_an_answer_that_is_sent_back_stands_no_more_and_the_pair_asks_again(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade)
    assert desk.status() == "answered"
    desk.send_back(grade)
    assert (desk.says(), desk.status()) == (None, "awaiting_review")
    desk.deliver(desk.act("tab1", 2, 1, 1))  # the same again is an answer too
    assert (desk.says(), desk.status()) == (1, "answered")


def test_sent_back_before_it_arrived_an_answer_never_stands(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.send_back(grade)
    desk.deliver(grade)
    assert (desk.says(), desk.status()) == (None, "awaiting_review")
    assert set(desk.store.rebuild().values()) == {0}


def test_a_pair_asks_for_as_many_answers_as_were_sent_back(desk: Desk) -> None:
    by_ana, by_bo = desk.act("tab1", 1, 0, 1), desk.act("tab1", 1, 0, 2, account="bo")
    desk.deliver(by_ana, by_bo)
    desk.send_back(by_ana, by_bo, n_required=2)
    desk.deliver(desk.act("tab2", 1, 5, 2))
    assert desk.status() == "awaiting_review"
    desk.deliver(desk.act("tab2", 1, 5, 2, account="bo"))
    assert desk.status() == "answered"


@both_ways
def test_an_answer_given_meanwhile_stands_though_the_one_before_it_was_sent_back(desk: Desk, turned: bool) -> None:
    grade, edit = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    desk.send_back(grade)
    arrive(desk, [grade, edit], turned)
    assert (desk.says(), desk.status()) == (2, "answered")


def test_undoing_an_edit_that_was_sent_back_with_what_it_edited_lets_neither_stand(desk: Desk) -> None:
    grade, edit = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    desk.deliver(grade, edit)
    desk.send_back(grade, edit)
    desk.deliver(desk.act("tab1", 3, 2, WITHDRAWN, target=edit))
    assert (desk.says(), desk.status()) == (None, "awaiting_review")


def test_what_comes_before_a_sent_back_answer_and_arrives_late_does_not_stand(desk: Desk) -> None:
    late, grade = desk.act("tab1", 1, 0, 1), desk.act("tab1", 2, 1, 2)
    desk.deliver(grade)
    desk.send_back(grade)
    desk.deliver(late)
    assert (desk.says(), desk.status()) == (None, "awaiting_review")


def test_an_answer_named_on_another_pair_is_not_sent_back(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade)
    desk.send_back(grade, on_other=True)
    assert (desk.says(), desk.status()) == (1, "answered")


def test_a_consensus_falls_when_an_answer_it_names_is_sent_back(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade)
    desk.judge("agreed", 1, [grade])
    assert desk.status() == "settled"
    desk.send_back(grade)
    assert (desk.current(), desk.status()) == ([], "awaiting_review")


def test_an_adjudicated_judgment_stays_though_its_answers_are_sent_back(desk: Desk) -> None:
    grade = desk.act("tab1", 1, 0, 1)
    desk.deliver(grade)
    decided = desk.judge("decided", 2, [grade], origin="adjudicated")
    desk.send_back(grade)
    assert (desk.current(), desk.status()) == ([decided], "settled")
