"""The rule book for those who answer for it: figures worked by hand, no test grade in any, acts that count once."""

from __future__ import annotations

import pytest

from curation.approvals import Decision, approval_rows, last_decisions
from curation.intervals import wilson
from curation.rules import make_rule, rule_statistics, vote_matrix
from review_app.figures import Figures
from review_app.rule_review import (
    Order,
    RuleBook,
    choose,
    count_statistics,
    decide_instruction,
    decide_rules,
    read_book,
    read_conflicts,
    read_examples,
    read_history,
    read_instructions,
)
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import ROLES_FOR, Act, Role
from storage.store import Store
from tests.review_app.rule_rows import (
    ALSO,
    ANA,
    DORA,
    GRADES,
    HIGH,
    LOW,
    SPLITS,
    add_rules,
    all_features,
    fill,
    pin,
)

RULES = (HIGH, LOW, ALSO)


def book(store: Store) -> RuleBook:
    return read_book(DORA, store, Figures())


def test_counts_are_those_worked_by_hand(store: Store) -> None:
    fill(store)
    found = count_statistics(store)
    high, low, also = (found[rule.rule_id] for rule in RULES)
    # HIGH: pairs 3 to 8 of 8, with LOW on 3 and 4, with ALSO on 7 and 8; settled 2, 3, 3, 0 on 3 to 6
    assert (high.n_pairs, high.n_votes, high.coverage_rate, high.overlap_rate, high.conflict_rate) == (
        8,
        6,
        6 / 8,
        4 / 8,
        2 / 8,
    )
    assert (high.n_judged, high.accuracy, high.accuracy_interval) == (4, 2 / 4, wilson(2, 4))
    assert (low.overlap_rate, low.conflict_rate, low.n_judged, low.accuracy) == (2 / 8, 2 / 8, 4, 1 / 4)
    assert (also.overlap_rate, also.conflict_rate, also.n_judged, also.accuracy) == (2 / 8, 0, 0, None)


def test_the_store_counts_what_the_statistics_of_the_votes_say(store: Store) -> None:
    fill(store)
    shown = [GRADES.get(n) if split != "test" else None for n, split in enumerate(SPLITS, 1)]
    expected = rule_statistics(vote_matrix(RULES, all_features()), shown)
    found = count_statistics(store)
    assert [found[rule.rule_id] for rule in RULES] == expected


def test_grades_of_test_pairs_change_nothing(store: Store) -> None:
    fill(store, grades={**GRADES, 7: 3, 8: 3})
    found = count_statistics(store)
    assert [found[rule.rule_id].n_judged for rule in RULES] == [4, 4, 0]
    assert read_examples(DORA, store, ALSO.rule_id) == []


def test_a_rejected_rule_is_out_of_play_and_still_held_against_those_in_play(store: Store) -> None:
    fill(store)
    decide_rules(DORA, store, [LOW.rule_id], "reject", reason="too wide")
    found = count_statistics(store)
    assert (found[HIGH.rule_id].overlap_rate, found[HIGH.rule_id].conflict_rate) == (2 / 8, 0)
    assert (found[LOW.rule_id].overlap_rate, found[LOW.rule_id].conflict_rate) == (2 / 8, 2 / 8)


def test_a_rule_that_votes_nowhere_is_counted_as_such(store: Store) -> None:
    fill(store, rules=())
    none = make_rule("Nowhere.", "term_overlap > 1", 2)
    add_rules(store, none)
    assert (count_statistics(store)[none.rule_id].n_votes, count_statistics(store)[none.rule_id].accuracy) == (0, None)


def test_the_surest_disagreement_comes_first_and_rules_nobody_can_judge_last(store: Store) -> None:
    fill(store)
    # upper ends of Wilson's interval: 1 of 4 gives .70, 2 of 4 gives .85, none judged gives 1
    assert [line.rule for line in choose(book(store).lines)] == [LOW, HIGH, ALSO]
    assert [line.rule for line in choose(book(store).lines, order=Order.COVERAGE)] == [HIGH, LOW, ALSO]
    assert choose(book(store).lines, order=Order.CONFLICT)[-1].rule == ALSO
    decide_rules(DORA, store, [LOW.rule_id], "reject", reason="too wide")
    assert [line.rule for line in choose(book(store).lines)] == [HIGH, ALSO, LOW]


def test_rules_are_found_by_status_and_by_all_words_of_text_condition_or_id(store: Store) -> None:
    fill(store)
    decide_rules(DORA, store, [HIGH.rule_id], "approve")
    lines = book(store).lines
    assert [line.rule for line in choose(lines, status="approved")] == [HIGH]
    assert [line.rule for line in choose(lines, text="ALL nearly")] == [ALSO]
    assert [line.rule for line in choose(lines, text=f"0.45 {LOW.rule_id}")] == [LOW]
    assert choose(lines, text="nearly few") == []


def test_examples_are_settled_train_and_dev_pairs_the_furthest_apart_first(store: Store) -> None:
    fill(store)
    examples = read_examples(DORA, store, HIGH.rule_id)
    # against: pair 6 (3 voted, 0 settled), then pair 3 (2 settled); for: pairs 4 and 5
    told = [(one.query, one.grade, one.settled_grade, one.split, one.agrees) for one in examples]
    assert told == [
        ("sofa 6", 3, 0, "dev", False),
        ("sofa 3", 3, 2, "train", False),
        ("sofa 4", 3, 3, "train", True),
        ("sofa 5", 3, 3, "dev", True),
    ]


def test_conflicts_say_whom_the_experts_followed(store: Store) -> None:
    fill(store)
    (conflict,) = read_conflicts(DORA, store, HIGH.rule_id)
    # both vote on 3 and 4, settled 2 (neither) and 3 (this one)
    assert (conflict.rule_id, conflict.n_pairs, conflict.n_judged) == (LOW.rule_id, 2, 2)
    assert (conflict.n_for_this, conflict.n_for_other) == (1, 0)
    decide_rules(DORA, store, [LOW.rule_id], "reject", reason="too wide")
    assert read_conflicts(DORA, store, HIGH.rule_id) == []


def test_a_decision_counts_once_and_may_be_taken_back(store: Store) -> None:
    fill(store)
    assert decide_rules(DORA, store, [HIGH.rule_id, LOW.rule_id], "approve") == 2
    assert decide_rules(DORA, store, [HIGH.rule_id], "approve") == 0
    assert decide_rules(DORA, store, [HIGH.rule_id], "reject", reason="too wide") == 1
    assert decide_rules(DORA, store, [HIGH.rule_id], "approve") == 1
    held = book(store)
    line = held.line(HIGH.rule_id)
    assert line is not None
    decided = read_history(DORA, store, held, line).decisions
    assert [(one.decision, one.account, one.reason) for one in decided] == [
        ("approve", "dora", None),
        ("reject", "dora", "too wide"),
        ("approve", "dora", None),
    ]


def test_two_clicks_that_saw_the_same_make_one_act(store: Store) -> None:
    fill(store)
    decision = Decision("rule", "approve", "dora")
    seen = last_decisions(store, "rule")
    clicks = [approval_rows([HIGH.rule_id], decision, before=seen, run_id="run_2") for _ in range(2)]
    assert [store.append({"approvals": rows})["approvals"] for rows in clicks] == [1, 0]


def test_a_rejection_needs_a_reason(store: Store) -> None:
    fill(store)
    with pytest.raises(UserError, match="needs a reason"):
        decide_rules(DORA, store, [HIGH.rule_id], "reject", reason="  ")
    assert book(store).n_of("rejected") == 0


def test_an_unknown_rule_is_refused(store: Store) -> None:
    fill(store)
    with pytest.raises(UserError, match="no rule r_none"):
        decide_rules(DORA, store, ["r_none"], "approve")
    assert book(store).line("r_none") is None


@pytest.mark.parametrize("role", list(Role))
def test_the_rule_book_opens_to_whoever_may_approve_and_to_nobody_else(store: Store, role: Role) -> None:
    fill(store)
    person = pin("someone", role)
    held = book(store)
    acts = [
        lambda: read_book(person, store, Figures()),
        lambda: read_examples(person, store, HIGH.rule_id),
        lambda: read_conflicts(person, store, HIGH.rule_id),
        lambda: read_history(person, store, held, held.lines[0]),
        lambda: decide_rules(person, store, [HIGH.rule_id], "approve"),
        lambda: read_instructions(person, store),
    ]
    for act in acts:
        if role in ROLES_FOR[Act.APPROVE]:
            act()
        else:
            with pytest.raises(UserError, match="may not approve"):
                act()


def test_a_retired_account_may_not_decide(store: Store) -> None:
    fill(store)
    with pytest.raises(UserError, match="retired"):
        decide_rules(pin("dora", Role.ADJUDICATOR, retired_at="2026-01-02"), store, [HIGH.rule_id], "approve")


def test_figures_are_of_the_facts_that_were_there_and_standing_is_of_now(store: Store) -> None:
    fill(store)
    figures = Figures()
    before = read_book(DORA, store, figures)
    assert before.counted is not None and before.counted.is_of_now
    decide_rules(DORA, store, [HIGH.rule_id], "approve")
    after = read_book(DORA, store, figures)
    line = after.line(HIGH.rule_id)
    assert line is not None and (line.status, line.decided_by) == ("approved", "dora")


def test_guidelines_are_decided_like_rules(store: Store) -> None:
    row = {"instruction_id": "i_1", "text": "Grade well.", "operator": "rewrite", "generation": 1, "run_id": "run_1"}
    store.append({"instructions": [{**row, "created_at": now()}]})
    assert decide_instruction(DORA, store, "i_1", "approve") == 1
    assert decide_instruction(DORA, store, "i_1", "approve") == 0
    with pytest.raises(UserError, match="needs a reason"):
        decide_instruction(DORA, store, "i_1", "reject")
    decide_instruction(DORA, store, "i_1", "reject", reason="too long")
    (found,) = read_instructions(DORA, store)
    assert (found["status"], found["account"], found["reason"]) == ("rejected", "dora", "too long")
    with pytest.raises(UserError, match="may not approve"):
        decide_instruction(ANA, store, "i_1", "approve")


def test_two_hundred_rules_on_a_pair_are_counted_and_opened(store: Store) -> None:
    fill(store, rules=())
    many = [make_rule(f"Rule {n}.", f"term_overlap > 0.{n:03d}", n % 4) for n in range(200)]
    add_rules(store, *many)
    found = count_statistics(store)
    assert found[many[0].rule_id].n_votes == 8
    assert len(read_conflicts(DORA, store, many[0].rule_id)) == 6
