"""What a dataset asks: made of scale and guideline alone, told apart by a digest, compared with what lies there."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from review_app.argilla_bridge.settings import cut, edited_by_hand, guideline_text, lacks_grade, settings_of
from storage.grades import Scale
from tests.review_app.argilla_bridge.rows_of_bridge import SCALE

MADE = settings_of(SCALE, "Grade it.")


def questions() -> list[Any]:
    return copy.deepcopy([dict(one) for one in MADE.questions])


def test_the_grade_offers_the_scale_by_number_and_name_and_cannot_tell() -> None:
    grade = MADE.questions[0]
    assert (grade["name"], grade["required"]) == ("grade", True)
    assert [(one["value"], one["text"]) for one in grade["settings"]["options"]] == [
        ("0", "0 bad"), ("1", "1 fair"), ("2", "2 good"), ("3", "3 top"), ("cannot_tell", "cannot tell"),
    ]  # fmt: skip
    assert [one["name"] for one in MADE.questions] == ["grade", "rationale", "first_wrong_step", "comment"]
    assert [one["required"] for one in MADE.questions] == [True, False, False, False]


def test_no_field_is_markdown_and_only_the_query_must_be_there() -> None:
    assert all(one["settings"] == {"type": "text", "use_markdown": False} for one in MADE.fields)
    assert [one["name"] for one in MADE.fields if one["required"]] == ["query"]


def test_the_digest_changes_with_scale_and_guideline_and_nothing_else() -> None:
    assert settings_of(SCALE, "Grade it.").digest == MADE.digest
    others = {
        settings_of(SCALE, "Grade it well.").digest,
        settings_of(Scale((0, 1, 2, 3), ("bad", "fair", "good", "best")), "Grade it.").digest,
        settings_of(Scale((0, 1, 2), ("bad", "fair", "good")), "Grade it.").digest,
    }
    assert len(others | {MADE.digest}) == 4


def test_a_long_guideline_is_cut_where_argilla_ends_and_says_so() -> None:
    text = guideline_text("x" * 10_001)
    assert text is not None and len(text) == 10_000 and "afrel instructions show" in text
    assert guideline_text("y" * 10_000) == "y" * 10_000
    assert guideline_text("  \n") is None


def test_texts_are_made_such_that_every_database_takes_them() -> None:
    assert cut("a\x00b\ud800c", 100) == "a\ufffdb?c"
    long = cut("\u0645" * 1_000_000, 20_000)
    assert len(long) == 20_000 and long.endswith("[cut: 1,000,000 characters]")


def test_a_dataset_as_it_was_made_is_not_edited() -> None:
    shown = questions()
    shown[0]["title"] = "Note"  # a title is the reviewers' own affair
    assert edited_by_hand(MADE, MADE.fields, shown) == []


def test_each_edit_by_hand_is_named() -> None:
    shown = questions()
    del shown[1]
    shown[0]["settings"]["options"].pop()
    shown.append({"name": "mood", "required": False, "settings": {"type": "text"}})
    fields = [*MADE.fields[:3]]
    assert edited_by_hand(MADE, fields, shown) == [
        "field 'attributes' is missing", "question 'rationale' is missing", "question 'mood' was added",
        "question 'grade' was changed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda shown: shown.pop(0), "was removed"),
        (lambda shown: shown[0]["settings"].update(type="text"), "no choice"),
        (lambda shown: shown[0]["settings"]["options"].append({"value": "9", "text": "9"}), "offers 9"),
        (lambda shown: shown.pop(1), None),
    ],
)
def test_answers_are_read_while_their_grades_can_be(edit: Any, told: str | None) -> None:
    shown = questions()
    edit(shown)
    said = lacks_grade(SCALE, shown)
    assert said is None if told is None else told in str(said)
