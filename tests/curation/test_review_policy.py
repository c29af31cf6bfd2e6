from __future__ import annotations

import polars as pl
import pytest

from curation.review_policy import DEFAULT_CAUSES, REVIEW_FACT_COLUMNS, Cause, check_judges, checked_causes
from storage.errors import UserError
from storage.process import maintained
from storage.sql.predicates import check_predicate, matches

FACTS = {
    "confidence": 0.5,
    "n_answers": 1,
    "n_revised": 0,
    "n_distinct_grades": 1,
    "n_vote_grades": 1,
    "audit_draw": 0.5,
    "split": "train",
    "origin": "pool",
    "proposer": "lexical",
}


def test_causes_speak_of_the_facts_the_owner_holds() -> None:
    assert set(REVIEW_FACT_COLUMNS) == set(maintained.REVIEW_FACT_COLUMNS)


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        ({}, set()),
        ({"n_revised": 1, "confidence": 0.7}, {"revised"}),
        ({"n_revised": 1, "confidence": 0.69}, set()),
        ({"n_vote_grades": 2}, {"rule_conflict"}),
        ({"confidence": 0.29}, {"low_confidence"}),
        ({"confidence": None, "n_revised": 1}, set()),
        ({"audit_draw": 0.049}, {"blind_audit"}),
        ({"audit_draw": 0.05}, set()),
    ],
)
def test_a_pair_meets_a_second_person_only_for_cause(changes: dict[str, object], causes: set[str]) -> None:
    facts = pl.DataFrame([FACTS | changes])
    masks = matches(facts, {cause.cause: cause.predicate for cause in DEFAULT_CAUSES})
    assert {name for name, mask in masks.items() if mask[0]} == causes


def test_the_default_causes_are_sound() -> None:
    for cause in DEFAULT_CAUSES:
        check_predicate(cause.predicate, columns=REVIEW_FACT_COLUMNS)
        assert cause.n_required == 2


def test_a_workspace_may_set_its_own_causes() -> None:
    table = {"cause": "dev_pairs", "predicate": "split = 'dev'", "n_required": 3}
    assert checked_causes([table]) == (Cause("dev_pairs", "split = 'dev'", 3),)
    assert checked_causes() == DEFAULT_CAUSES


def test_all_mistakes_are_told_together() -> None:
    tables = [
        {"cause": "a", "predicate": "grade = 1", "n_required": 0, "why": "x"},
        {"cause": "a", "predicate": "n_answers > 1"},
        {"cause": "Not A Name", "predicate": 3, "n_required": True},
    ]
    with pytest.raises(UserError) as raised:
        checked_causes(tables)
    message = str(raised.value)
    for part in (
        "[[review_causes]] 1: unknown key 'why'",
        "[[review_causes]] 1: n_required = 0 is below 1",
        "[[review_causes]] 1: predicate:",
        "[[review_causes]] 2: n_required is missing",
        "cause = 'a' is given twice",
        "[[review_causes]] 3: cause = 'Not A Name' is not a name",
        "[[review_causes]] 3: predicate = 3 is not text",
        "[[review_causes]] 3: n_required = True is not a whole number",
    ):
        assert part in message


ASKS_JUDGES = Cause("weak", "confidence < 0.2 or N_Wrong_Steps > 1", 1)
CARDS = [
    {"judge": "openai:m", "is_passed": False, "failed": ["length_padding", "over_rating"]},
    {"judge": "openai:n", "is_passed": False, "failed": ["order"]},
]


def test_a_cause_that_asks_judges_is_refused_without_a_passing_card() -> None:
    with pytest.raises(UserError, match=r"weak would have judges order the queue .*afrel judge card --model MODEL"):
        check_judges([*DEFAULT_CAUSES, ASKS_JUDGES], [])
    with pytest.raises(UserError, match=r"openai:m failed length_padding, over_rating; openai:n failed order"):
        check_judges([ASKS_JUDGES], CARDS)


def test_one_judge_with_a_passing_card_is_enough_and_other_causes_ask_for_none() -> None:
    check_judges([ASKS_JUDGES], [*CARDS, {"judge": "openai:o", "is_passed": True, "failed": []}])
    check_judges([*DEFAULT_CAUSES, Cause("said", "proposer = 'n_wrong_steps'", 1)], CARDS)
