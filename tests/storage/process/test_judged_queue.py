"""A judge orders the queue only with a passing card, and only where a review cause asks for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from storage.store import Store
from tests.storage.process.store_rows import AT, STAMP, passed, shop

JUDGE, OTHER = "openai:m", "openai:other"
ASKS_JUDGES = {
    "review_cause_id": "v_wrong",
    "cause": "wrong_steps",
    "predicate": "n_wrong_steps >= 1",
    "n_required": 1,
    "created_at": AT,
}


def verdict(number: int, step: int, said: int, *, judge: str = JUDGE, minutes: int = 0) -> dict[str, Any]:
    return {
        "step_verdict_id": f"sv_{number}_{step}_{judge}_{minutes}",
        "candidate_id": f"c_{number:016x}",
        "step": step,
        "verdict": said,
        "verifier": judge,
        **STAMP,
        "created_at": AT + timedelta(minutes=minutes),
    }


def card(*is_passed: bool | None, judge: str = JUDGE, minutes: int = 0) -> list[dict[str, Any]]:
    run_id = f"run_{minutes}"
    return [
        {
            "judge_card_id": f"jc_{judge}_{minutes}_{place}",
            "judge": judge,
            "bias": f"bias_{place}",
            "value": 0.0,
            "n": 100,
            "is_passed": one,
            "run_id": run_id,
            "created_at": AT + timedelta(minutes=minutes),
        }
        for place, one in enumerate(is_passed)
    ]


def first(store: Store, account: str) -> str:
    """Return whose turn is first for somebody who has not claimed yet; it then stays leased to them."""
    (candidate_id,) = store.claim(account, 1).column("candidate_id").to_pylist()
    return str(candidate_id)[-1]


def causes(store: Store) -> dict[str, int]:
    return {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "queue"}


@pytest.fixture
def judged(store: Store) -> Store:
    """Five candidates of which the first is least certain; a judge found a step of the third wrong."""
    store.append(shop(5))
    store.append({"step_verdicts": [verdict(2, 1, 1), verdict(2, 2, -1), verdict(3, 1, 1)]})
    return store


def test_without_a_cause_that_asks_a_passing_card_changes_nothing(judged: Store) -> None:
    judged.append({"judge_cards": card(True, True)})
    assert (first(judged, "ana"), causes(judged)) == ("0", {"first answer": 5})


@pytest.mark.parametrize("lines", [(), (True, False), (None, True)])
def test_without_a_passing_card_a_cause_that_asks_never_holds(judged: Store, lines: tuple[bool | None, ...]) -> None:
    judged.append({"review_causes": [ASKS_JUDGES]})
    judged.append({"judge_cards": [*card(*lines), *card(True, judge=OTHER)]})
    assert (first(judged, "ana"), causes(judged)) == ("0", {"first answer": 5})
    assert judged.rebuild() == {"candidate_status": 0}


def test_with_a_passing_card_the_rationale_found_wrong_comes_first(judged: Store) -> None:
    judged.append({"review_causes": [ASKS_JUDGES]})
    judged.append({"judge_cards": card(True, True)})
    assert (first(judged, "ana"), causes(judged)) == ("2", {"first answer": 4, "wrong_steps": 1})
    assert judged.rebuild() == {"candidate_status": 0}


def test_verdicts_that_come_later_count_at_once_and_the_latest_of_a_step_wins(judged: Store) -> None:
    judged.append({"review_causes": [ASKS_JUDGES], "judge_cards": card(True)})
    judged.append({"step_verdicts": [verdict(4, 1, -1), verdict(2, 2, 1, minutes=1)]})
    assert (first(judged, "ana"), causes(judged)) == ("4", {"first answer": 4, "wrong_steps": 1})
    judged.append({"step_verdicts": [verdict(4, 1, -1, judge=OTHER)]})
    assert judged.rebuild() == {"candidate_status": 0}


def test_a_later_card_that_fails_takes_the_judge_s_word_back(judged: Store) -> None:
    judged.append({"review_causes": [ASKS_JUDGES], "judge_cards": card(True)})
    assert causes(judged)["wrong_steps"] == 1
    judged.append({"judge_cards": card(True, False, minutes=1)})
    assert (first(judged, "ana"), causes(judged)) == ("0", {"first answer": 5})
    judged.append({"judge_cards": card(True, True, minutes=2)})
    assert causes(judged)["wrong_steps"] == 1
    assert judged.rebuild() == {"candidate_status": 0}


def test_verdicts_may_come_before_their_candidate(store: Store) -> None:
    store.append({"review_causes": [ASKS_JUDGES], "judge_cards": card(True)})
    store.append({"step_verdicts": [verdict(1, 1, -1)]})
    store.append({table: rows for table, rows in shop(2).items() if table != "screenings"})
    store.append({"screenings": [passed(0), passed(1)]})
    assert (first(store, "ana"), causes(store)) == ("1", {"first answer": 1, "wrong_steps": 1})
