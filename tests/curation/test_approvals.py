"""Decisions as acts: one for each thing decided, the same id for whoever saw the same before, another one later."""

from __future__ import annotations

import polars as pl
import pytest

from curation.approvals import Decision, approval_rows, decide, last_decisions, undecided
from storage.clock import now
from storage.errors import UserError
from storage.store import Store

APPROVE = Decision("rule", "approve", "dora")
BOOK = pl.DataFrame({"rule_id": ["r_1", "r_2", "r_3"], "status": ["proposed", "approved", "rejected"]})


def add_rules(store: Store) -> None:
    stamp = {"condition": "true", "grade": 1, "origin": "mined", "run_id": "run_1", "created_at": now()}
    store.append({"rules": [{"rule_id": f"r_{n}", "text": f"rule {n}", **stamp} for n in (1, 2)]})


def test_only_what_changes_is_decided_and_unknown_ids_are_named() -> None:
    assert undecided(BOOK, ["r_1", "r_2", "r_3", "r_1"], APPROVE) == ["r_1", "r_3"]
    with pytest.raises(UserError, match=r"no rule r_9.*--list"):
        undecided(BOOK, ["r_1", "r_9"], APPROVE)


def test_the_same_decision_on_the_same_ground_is_the_same_act() -> None:
    (first,) = approval_rows(["r_1"], APPROVE, before={}, run_id="run_1")
    (again,) = approval_rows(["r_1"], APPROVE, before={}, run_id="run_2")
    assert first["approval_id"] == again["approval_id"]


@pytest.mark.parametrize(
    ("decision", "before", "content"),
    [
        (APPROVE, {"r_1": "a_1"}, "r_1"),
        (Decision("rule", "reject", "dora"), {}, "r_1"),
        (Decision("rule", "approve", "cleo"), {}, "r_1"),
        (Decision("instruction", "approve", "dora"), {}, "r_1"),
        (APPROVE, {}, "r_2"),
    ],
)
def test_another_decision_person_thing_or_ground_is_another_act(
    decision: Decision, before: dict[str, str], content: str
) -> None:
    (plain,) = approval_rows(["r_1"], APPROVE, before={}, run_id="run_1")
    (other,) = approval_rows([content], decision, before=before, run_id="run_1")
    assert plain["approval_id"] != other["approval_id"]


def test_decisions_are_appended_and_the_last_one_stands(store: Store) -> None:
    add_rules(store)
    assert decide(store, ["r_1", "r_2"], APPROVE) == 2
    first = last_decisions(store, "rule")
    assert set(first) == {"r_1", "r_2"}
    assert decide(store, ["r_1"], Decision("rule", "reject", "cleo", "wrong")) == 1
    after = last_decisions(store, "rule")
    assert after["r_1"] != first["r_1"] and after["r_2"] == first["r_2"]
    assert last_decisions(store, "instruction") == {}
    status = dict(store.frame("rules").select("rule_id", "status").iter_rows())
    assert status == {"r_1": "rejected", "r_2": "approved"}
