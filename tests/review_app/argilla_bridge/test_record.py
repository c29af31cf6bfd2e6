"""A candidate as a record: texts, metadata, suggestions; a blind audit tells nothing of what a machine thinks."""

from __future__ import annotations

import json

import pytest

from review_app.argilla_bridge.likeness import likeness_vector
from review_app.argilla_bridge.record import Carried, agent_name, fields_of, record_of, score_of
from review_app.decisions import ResponseAct
from tests.review_app.argilla_bridge.rows_of_bridge import QUESTION_IDS, STEPS, candidate


def test_a_record_shows_the_pair_and_suggests_grade_and_rationale() -> None:
    row = candidate(
        fields='{"brand": "Nordli", "colour": "red"}', cause="low_confidence, revised", operator="drop_brand"
    )
    text = ["sofa", "Red sofa", "brand: Nordli\ncolour: red"]
    assert record_of(row, QUESTION_IDS) == {
        "external_id": "c_1",
        "fields": {"query": "sofa", "title": "Red sofa", "attributes": "brand: Nordli\ncolour: red"},
        # that somebody revised the suggestion is not told: it speaks of another's answer
        "metadata": {"rules": ["r_12ab"], "cause": ["low_confidence"], "operator": "drop_brand", "confidence": 0.75},
        "suggestions": [
            {"question_id": "q-grade", "value": "2", "type": "model", "agent": "lexical", "score": 0.75},
            {
                "question_id": "q-why", "value": "intent: a sofa\nverdict: substantially", "type": "model",
                "agent": "lexical", "score": None,
            },
        ],
        "vectors": {"text": likeness_vector(text)},
    }  # fmt: skip


@pytest.mark.parametrize("cause", ["blind_audit", "low_confidence, blind_audit"])
def test_a_blind_audit_shows_the_pair_and_nothing_else(cause: str) -> None:
    record = record_of(candidate(cause=cause, operator="drop_brand"), QUESTION_IDS)
    assert (record["suggestions"], record["metadata"]) == ([], {})
    assert "2" not in json.dumps(record["fields"]) and "blind" not in json.dumps(record)


def test_what_is_empty_is_left_out_but_for_the_query() -> None:
    assert fields_of(candidate(title="", query="")) == {"query": ""}


def test_a_megabyte_is_cut_and_the_record_stays_small() -> None:
    record = record_of(candidate(body="\u8336" * 1_000_000, steps=STEPS), QUESTION_IDS)
    assert len(record["fields"]["body"]) == 20_000 and "1,000,000" in record["fields"]["body"]


def test_without_a_rationale_only_the_grade_is_suggested() -> None:
    for steps in ("[]", None):
        assert [one["value"] for one in record_of(candidate(steps=steps), QUESTION_IDS)["suggestions"]] == ["2"]


@pytest.mark.parametrize(
    ("confidence", "score"), [(0.5, 0.5), (0, 0.0), (1.2, None), (float("nan"), None), (None, None)]
)
def test_a_confidence_that_is_no_share_is_no_score(confidence: float | None, score: float | None) -> None:
    assert score_of(confidence) == score


@pytest.mark.parametrize(
    ("proposer", "agent"),
    [
        ("openai:gpt-5", "openai:gpt-5"),
        ("m@v1+x", "m_v1_x"),
        ("\u6a21\u578b", None),
        ("", None),
        ("x" * 300, "x" * 200),
    ],
)
def test_an_agent_has_the_signs_argilla_allows(proposer: str, agent: str | None) -> None:
    assert agent_name(proposer) == agent


def test_an_answer_given_here_is_sent_along_so_that_nobody_is_asked_twice() -> None:
    carried = [
        Carried("u-1", ResponseAct.SUBMITTED, grade=3, steps=STEPS),
        Carried("u-2", ResponseAct.CANNOT_TELL),
        Carried("u-3", ResponseAct.DISCARDED, reason="broken"),
    ]
    record = record_of(candidate(), QUESTION_IDS, carried)
    assert record["responses"] == [
        {
            "user_id": "u-1", "status": "submitted",
            "values": {"grade": {"value": "3"}, "rationale": {"value": "intent: a sofa\nverdict: substantially"}},
        },
        {"user_id": "u-2", "status": "submitted", "values": {"grade": {"value": "cannot_tell"}}},
        {"user_id": "u-3", "status": "discarded", "values": {"comment": {"value": "broken"}}},
    ]  # fmt: skip
    assert len(record["metadata"]["carried"]) == 3
