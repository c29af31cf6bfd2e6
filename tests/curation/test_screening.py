from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from curation.screening import (
    CANDIDATE_COLUMNS,
    FAILURE_SCHEMA,
    SCREENS,
    ScreeningContext,
    query_digest,
    screen_all,
)
from storage.grades import parse_scale

SCHEMA = dict.fromkeys(CANDIDATE_COLUMNS, pl.String) | {"grade": pl.Int32, "rule_ids": pl.List(pl.String)}
SOUND: dict[str, Any] = {
    "candidate_id": "c_1",
    "pair_id": "p_1",
    "query": "red lamp",
    "title": "Red desk lamp",
    "body": "",
    "fields": "{}",
    "split": "train",
    "grade": 3,
    "steps": json.dumps([["rules", "colour agrees [r_aaaa]"], ["verdict", "fully relevant"]]),
    "rule_ids": ["r_aaaa"],
}
CONTEXT = ScreeningContext(
    scale=parse_scale("0-3"),
    known_rule_ids=frozenset({"r_aaaa"}),
    held_back_queries={query_digest("Blue  lamp!"): "q_dev"},
)


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([SOUND | row for row in rows], schema=SCHEMA)


def failures(*rows: dict[str, Any], context: ScreeningContext = CONTEXT) -> list[tuple[str, str, str | None]]:
    found = screen_all(frame(*rows), context)
    return found.select("candidate_id", "screen", "matched_id").rows()


def test_a_sound_candidate_fails_nothing() -> None:
    assert failures({}) == []


def test_an_empty_batch_gives_an_empty_frame_of_failures() -> None:
    found = screen_all(pl.DataFrame(schema=SCHEMA), CONTEXT)
    assert dict(found.schema) == FAILURE_SCHEMA and len(found) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"grade": 7}, "off the scale"),
        ({"steps": "not json"}, "not a list"),
        ({"steps": '{"verdict": "x"}'}, "not a list"),
        ({"steps": '[["verdict"]]'}, "not a list"),
        ({"steps": '[["opinion", "x"]]'}, "unknown"),
        ({"steps": '[["verdict", "two\\nlines"]]'}, "one clean line"),
        ({"steps": '[["rules", "see [r_bbbb]"]]'}, "unknown rules: r_bbbb"),
        ({"rule_ids": ["r_cccc"]}, "unknown rules: r_cccc"),
    ],
)
def test_schema_names_what_cannot_be_read(change: dict[str, Any], reason: str) -> None:
    found = SCREENS["schema"](frame(change), CONTEXT).to_dicts()
    assert [row["candidate_id"] for row in found] == ["c_1"]
    assert reason in found[0]["reason"]


def test_a_grade_only_candidate_is_sound() -> None:
    assert failures({"steps": "[]", "rule_ids": []}) == []


def test_the_earlier_of_two_duplicates_stays() -> None:
    copy = {"candidate_id": "c_2", "pair_id": "p_2", "query": "Red lamp.", "title": "red  desk lamp"}
    assert failures({}, copy) == [("c_2", "exact_duplicate", "c_1")]
    assert failures(copy, {}) == [("c_1", "exact_duplicate", "c_2")]


def test_a_duplicate_of_a_standing_candidate_fails() -> None:
    standing = ScreeningContext(CONTEXT.scale, CONTEXT.known_rule_ids, standing=frame({"candidate_id": "c_0"}))
    assert failures({"pair_id": "p_2"}, context=standing) == [("c_1", "exact_duplicate", "c_0")]


@pytest.mark.parametrize(
    "change",
    [
        {"pair_id": "p_1"},  # the same pair asked twice
        {"grade": 2, "steps": "[]"},
        {"title": "Red lamp"},
        {"body": "with shade"},
        {"fields": '{"colour": "red"}'},
    ],
)
def test_another_text_or_grade_or_the_same_pair_is_no_duplicate(change: dict[str, Any]) -> None:
    assert failures({}, {"candidate_id": "c_2", "pair_id": "p_2"} | change) == []


def test_a_train_query_of_dev_or_test_is_a_leak_that_names_it() -> None:
    assert failures({"query": "ＢＬＵＥ lamp"}) == [("c_1", "leak", "q_dev")]
    assert failures({"query": "blue lamp", "split": "dev"}) == []
    assert failures({"query": "blue lamps"}) == []


def test_a_verdict_that_names_another_grade_fails() -> None:
    change = {"grade": 1}
    assert failures(change) == [("c_1", "implied_grade", None)]
    (reason,) = SCREENS["implied_grade"](frame(change), CONTEXT)["reason"]
    assert reason == "the verdict says 3, the grade is 1"


def test_a_verdict_that_names_no_grade_implies_none() -> None:
    assert failures({"steps": json.dumps([["verdict", "hard to say"]]), "grade": 1}) == []


def test_a_candidate_is_told_every_screen_it_failed() -> None:
    found = failures({"query": "blue lamp", "grade": 2, "rule_ids": ["r_cccc"]})
    assert found == [("c_1", "schema", None), ("c_1", "leak", "q_dev"), ("c_1", "implied_grade", None)]
