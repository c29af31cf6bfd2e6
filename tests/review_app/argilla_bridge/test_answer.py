"""A response as an act: named by itself and its last change, at its own time; what is wrong with it is said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from review_app.argilla_bridge.answer import check_text, find_person, hear, is_sent_along, moment, read_given
from review_app.argilla_bridge.record import carried_mark, fields_of
from review_app.decisions import Response, ResponseAct
from storage.errors import UserError
from storage.ids import action_id
from storage.people.accounts import Pin, Role
from tests.review_app.argilla_bridge.rows_of_bridge import SCALE, STEPS, candidate, response

CLOCK = datetime(2026, 6, 1)
SUGGESTED = "intent: a sofa\nverdict: substantially"


def act(told: dict[str, Any], **row: Any) -> Response:
    return hear(read_given(told), candidate(**row), "ana", SCALE, CLOCK).response


def test_a_grade_is_an_act_at_its_own_time_named_by_response_and_change() -> None:
    made = act(response(grade="1"))
    assert (made.act, made.grade, made.steps) == (ResponseAct.SUBMITTED, 1, None)
    assert made.turn.acted_at == datetime(2026, 5, 20, 10, 0, 0, 1)
    # 2026-05-20T10:00:00 is 20,593 days and 10 hours after 1970
    micros = (20_593 * 86_400 + 36_000) * 1_000_000 + 1
    assert made.response_id == action_id("ana", "argilla:11111111-aaaa", micros)
    assert made.to_row("run_1").session == "argilla:11111111-aaaa"


def test_the_same_answer_has_the_same_id_and_an_edited_one_is_later_in_its_session() -> None:
    first, again, edited = (
        act(response(at=at, grade="1")) for at in ("2026-05-20T10:00:00",) * 2 + ("2026-05-20T10:00:01",)
    )
    assert first.response_id == again.response_id != edited.response_id
    assert first.turn.session == edited.turn.session and first.turn.sequence < edited.turn.sequence


def test_nobody_acts_in_the_future() -> None:
    made = act(response(at="2027-01-01T00:00:00", grade="1"))
    assert made.turn.acted_at == CLOCK
    assert made.response_id == act(response(at="2027-01-01T00:00:00", grade="1")).response_id


@pytest.mark.parametrize(
    ("grade", "rationale", "steps"),
    [
        ("2", SUGGESTED, STEPS),  # taken as it is
        ("1", SUGGESTED, None),  # a rationale never travels with another grade
        ("1", None, None),
        ("2", "", None),  # the words were deleted
        ("1", "intent: a chair\nverdict: partly", '[["intent", "a chair"], ["verdict", "partly"]]'),
        ("1", "just no", '[["attributes", "just no"]]'),
        ("1", "\u0644\u0627 \U0001f6cb", '[["attributes", "\u0644\u0627 \U0001f6cb"]]'),
    ],
)
def test_a_rationale_is_the_suggestions_or_the_persons_own(
    grade: str, rationale: str | None, steps: str | None
) -> None:
    values = {"grade": grade} if rationale is None else {"grade": grade, "rationale": rationale}
    assert act(response(**values)).steps == steps


def test_a_first_wrong_step_is_counted_in_the_suggestion() -> None:
    heard = hear(read_given(response(grade="1", first_wrong_step="verdict")), candidate(), "ana", SCALE, CLOCK)
    assert (heard.response.first_wrong_step, heard.left_out) == (2, None)
    absent = hear(read_given(response(grade="1", first_wrong_step="rules")), candidate(), "ana", SCALE, CLOCK)
    assert absent.response.first_wrong_step is None and "no step 'rules'" in str(absent.left_out)


def test_a_discarded_one_is_its_own_act_with_the_comment_as_reason() -> None:
    for values, reason in (({}, "discarded in Argilla"), ({"grade": "1", "comment": " a test page "}, "a test page")):
        made = act(response("discarded", **values))
        assert (made.act, made.grade, made.reason) == (ResponseAct.DISCARDED, None, reason)


def test_cannot_tell_is_no_grade() -> None:
    made = act(response(grade="cannot_tell", rationale="unclear"))
    assert (made.act, made.grade, made.steps) == (ResponseAct.CANNOT_TELL, None, None)


def test_a_comment_stays_one_comment_while_the_answer_is_edited() -> None:
    first, edited, other = (
        hear(read_given(response(at=at, grade="1", comment=word)), candidate(), "ana", SCALE, CLOCK).comment
        for at, word in (("2026-05-20T10:00:00", "hm"), ("2026-05-20T11:00:00", "hm"), ("2026-05-20T11:00:00", "oh"))
    )
    assert first and edited and other
    assert first.comment_id == edited.comment_id != other.comment_id


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"grade": "7"}, "off the scale"),
        ({"grade": "01"}, "off the scale"),
        ({"grade": 2}, "off the scale"),  # a number is no choice of ours
        ({"rationale": "x"}, "off the scale"),
        ({"grade": "1", "rationale": "x" * 1_000_000}, "1,000,000 characters"),
        ({"grade": "1", "comment": "x" * 4001}, "4,001 characters"),
    ],
)
def test_an_answer_that_cannot_be_one_says_why(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        act(response(**values))


@pytest.mark.parametrize(
    "broken", [{"values": [1]}, {"updated_at": "soon"}, {"id": None, "values": {"grade": "1"}}, {}]
)
def test_a_response_of_another_shape_is_refused_in_words(broken: dict[str, Any]) -> None:
    told = {**response(grade="1"), **broken} if broken else {}
    with pytest.raises(UserError, match="another shape"):
        read_given(told)


def test_times_are_utc_with_or_without_zone() -> None:
    assert moment("2026-05-20T10:00:00+02:00") == moment("2026-05-20T08:00:00") == moment("2026-05-20T08:00:00Z")


PINS = {
    "ana": Pin("ana", Role.REVIEWER, "k", "p"),
    "eli": Pin("eli", Role.ENGINEER, "k2", "p2"),
    "bo": Pin("bo", Role.REVIEWER, "k3", "p3", retired_at="2026-05-20T00:00:00"),
}


@pytest.mark.parametrize(
    ("username", "account", "told"),
    [
        ("Una", "Una", r'no account here.*"Una" = "NAME" under \[argilla.accounts\]'),
        ("eli", "eli", "is engineer, which may not review"),
        ("bo", "bo", "was retired on 2026-05-20"),
        (None, "", "not in Argilla's workspace"),
    ],
)
def test_whose_answer_it_is_must_be_known(username: str | None, account: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_person(username, account, PINS, datetime(2026, 5, 20, 1))


def test_an_answer_from_before_retirement_counts() -> None:
    assert find_person("bo", "bo", PINS, datetime(2026, 5, 19)).account == "bo"


def test_a_record_whose_text_was_changed_is_refused_and_the_field_named() -> None:
    row = candidate()
    check_text({"fields": fields_of(row)}, row)
    check_text({"fields": {**fields_of(row), "body": None, "attributes": ""}}, row)
    for fields, named in (
        ({"query": "sofa", "title": "Blue sofa"}, "title"),
        ({"title": "Red sofa"}, "query"),
        ({}, "query"),
    ):
        with pytest.raises(UserError, match=f"its .*{named}.* was changed"):
            check_text({"fields": fields}, row)
    with pytest.raises(UserError, match="its body was changed"):
        check_text({"fields": {**fields_of(row), "body": "new"}}, row)


def test_what_push_sent_along_is_no_answer_until_it_is_edited() -> None:
    told = {**response(grade="3"), "inserted_at": "2026-05-20T09:59:59"}
    given = read_given(told)
    record = {"metadata": {"carried": [carried_mark("u-ana", "submitted", {"grade": {"value": "3"}})]}}
    assert is_sent_along(given, record)
    assert not is_sent_along(given, {"metadata": None})
    assert not is_sent_along(read_given({**told, "values": {"grade": {"value": "2"}}}), record)
    assert not is_sent_along(read_given({**told, "user_id": "u-bo"}), record)
    late = (given.inserted_at + timedelta(hours=1)).isoformat()
    assert not is_sent_along(read_given({**told, "updated_at": late}), record)
