"""The next version of a rule: told before it is saved, in force when it is, and saved twice saved once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation.approvals import Decision, decide
from curation.intervals import wilson
from curation.rule_votes import vote_rows
from curation.rules import EDITED, Rule, make_rule
from review_app import rule_versions
from review_app.figures import Figures
from review_app.rule_review import History, RuleBook, count_statistics, decide_rules, read_book, read_history
from review_app.rule_versions import (
    Draft,
    Saved,
    begin_version,
    forget_work,
    preview_version,
    save_version,
    version_work,
)
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Role
from storage.progress import unwatched
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.rule_rows import ANA, DORA, HIGH, LOW, add_rules, all_features, fill, pair_id_of, pin

# Votes on pairs 4 to 8 where HIGH votes on 3 to 8; of 4, 5 and 6, settled 3, 3 and 0, it is right on two of three.
NEXT = Draft("Where half the terms are there, the grade is 3.", "term_overlap >= 0.35", 3)


def book(store: Store) -> RuleBook:
    return read_book(DORA, store, Figures())


def history(store: Store, rule: Rule) -> History:
    held = book(store)
    line = held.line(rule.rule_id)
    assert line is not None
    return read_history(DORA, store, held, line)


def save(store: Store, parent: Rule = HIGH, reason: str = "3 is too few", **changed: Any) -> Saved:
    watch = changed.pop("watch", unwatched)
    return save_version(DORA, store, parent.rule_id, replace(NEXT, **changed), reason=reason, watch=watch)


def votes_of(store: Store, rule_id: str) -> list[str]:
    held = set(store.frame("rule_vote_ids")["rule_vote_id"])
    rule = next(line.rule for line in book(store).lines if line.rule.rule_id == rule_id)
    cast = pl.concat(list(vote_rows([rule], all_features())))
    return cast.filter(pl.col("rule_vote_id").is_in(held))["pair_id"].to_list()


def test_a_preview_sets_the_next_version_beside_the_present_one(store: Store) -> None:
    fill(store)
    found = preview_version(DORA, store, book(store).lines, HIGH.rule_id, NEXT)
    assert (found.before.n_votes, found.before.n_pairs, found.after.n_votes) == (6, 8, 5)
    assert (found.before.n_judged, found.before.accuracy) == (4, 2 / 4)
    assert (found.after.n_judged, found.after.accuracy, found.after.accuracy_interval) == (3, 2 / 3, wilson(2, 3))
    assert (found.n_gained, found.n_lost, found.is_drawn, found.held) == (0, 1, False, None)
    assert book(store).n_of(None) == 3


def test_a_preview_says_what_saving_then_counts(store: Store) -> None:
    fill(store)
    told = preview_version(DORA, store, book(store).lines, HIGH.rule_id, NEXT).after
    saved = save(store)
    counted = count_statistics(store)[saved.rule.rule_id]
    assert (counted.n_votes, counted.n_judged, counted.accuracy) == (told.n_votes, told.n_judged, told.accuracy)


def make_next() -> Rule:
    return make_rule(NEXT.text, NEXT.condition, NEXT.grade)


def test_a_preview_of_many_pairs_is_of_a_fixed_draw(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setattr(rule_versions, "N_DRAWN", 3)
    found = preview_version(DORA, store, book(store).lines, HIGH.rule_id, NEXT)
    # the first three ids: pairs 1 to 3; of them HIGH votes on 3, the next version on none
    assert (found.is_drawn, found.before.n_pairs, found.before.n_votes, found.after.n_votes) == (True, 3, 1, 0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"condition": "term_overlp >= 0.35"}, "term_overlap"),
        ({"condition": "(select 1) = 1"}, "not allowed"),
        ({"condition": "term_overlap + 1"}, "not true or false"),
        ({"condition": ""}, "empty"),
        ({"text": " "}, "no text"),
        ({"text": "x" * 2001}, "at most 2000"),
        ({"grade": 7}, "off the scale"),
        ({"text": HIGH.text, "condition": HIGH.condition}, "nothing is changed"),
    ],
)
def test_what_is_no_next_version_is_refused_in_words(store: Store, changed: dict[str, Any], told: str) -> None:
    fill(store)
    with pytest.raises(UserError, match=told):
        preview_version(DORA, store, book(store).lines, HIGH.rule_id, replace(NEXT, **changed))
    with pytest.raises(UserError, match=told):
        save(store, **changed)
    assert book(store).n_of(None) == 3


def test_a_saved_version_votes_and_is_in_force_and_the_old_one_goes_with_the_reason(store: Store) -> None:
    fill(store)
    decide_rules(DORA, store, [HIGH.rule_id], "approve")
    saved = save(store)
    assert saved == Saved(make_next(), 5)
    assert votes_of(store, saved.rule.rule_id) == [pair_id_of(n) for n in range(4, 9)]
    status = {line.rule.rule_id: line.status for line in book(store).lines}
    assert (status[saved.rule.rule_id], status[HIGH.rule_id]) == ("approved", "rejected")
    opened = history(store, saved.rule)
    told = [(line.rule, line.version_of, line.made_by) for line in opened.versions]
    assert told == [(HIGH, None, None), (saved.rule, HIGH.rule_id, "dora")]
    assert [(one.rule_id, one.decision, one.reason) for one in opened.decisions] == [
        (HIGH.rule_id, "approve", None),
        (saved.rule.rule_id, "approve", "3 is too few"),
        (HIGH.rule_id, "reject", f"superseded by {saved.rule.rule_id}: 3 is too few"),
    ]


def test_saved_twice_it_is_saved_once(store: Store) -> None:
    fill(store)
    first, second = save(store), save(store)
    assert (first.n_votes, second.n_votes) == (5, 0)
    opened = history(store, first.rule)
    assert (len(opened.versions), len(opened.decisions)) == (2, 2)


def test_going_back_to_an_earlier_version_approves_it_again(store: Store) -> None:
    fill(store)
    saved = save(store)
    back = Draft(HIGH.text, HIGH.condition, 3)
    found = preview_version(DORA, store, book(store).lines, saved.rule.rule_id, back)
    assert found.held is not None and found.held.status == "rejected"
    save(store, saved.rule, "the old one was right", text=HIGH.text, condition=HIGH.condition)
    status = {line.rule.rule_id: line.status for line in book(store).lines}
    assert (status[saved.rule.rule_id], status[HIGH.rule_id]) == ("rejected", "approved")


def test_a_save_that_was_cut_short_is_completed_by_saving_again_or_by_approving(store: Store) -> None:
    fill(store)
    # what a save leaves that died before it had voted: the rule, proposed, without votes
    half = make_next()
    row = {"rule_id": half.rule_id, "text": half.text, "condition": half.condition, "grade": 3, "origin": EDITED}
    store.append({"rules": [{**row, "parent_id": HIGH.rule_id, "run_id": "run_9", "created_at": now()}]})
    assert votes_of(store, half.rule_id) == []
    assert decide(store, [half.rule_id], Decision("rule", "approve", "dora")) == 1
    assert votes_of(store, half.rule_id) == [pair_id_of(n) for n in range(4, 9)]
    assert save(store).n_votes == 0


def test_votes_are_cast_on_all_pairs_a_piece_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setattr("curation.rule_votes.PAIRS_AT_ONCE", 3)
    heard: list[tuple[int, int]] = []
    saved = save(store, watch=lambda _, done, total: heard.append((done, total)))
    assert heard == [(0, 8), (3, 8), (6, 8), (8, 8)]
    assert votes_of(store, saved.rule.rule_id) == [pair_id_of(n) for n in range(4, 9)]


def test_a_version_needs_a_reason_a_parent_and_a_right(store: Store) -> None:
    fill(store)
    with pytest.raises(UserError, match="needs a reason"):
        save(store, reason=" ")
    with pytest.raises(UserError, match="no rule 'r_none'"):
        save_version(DORA, store, "r_none", NEXT, reason="why")
    for person in (ANA, pin("eli", Role.ENGINEER)):
        with pytest.raises(UserError, match="may not approve"):
            save_version(person, store, HIGH.rule_id, NEXT, reason="why")
        with pytest.raises(UserError, match="may not approve"):
            preview_version(person, store, book(store).lines, HIGH.rule_id, NEXT)
    assert book(store).n_of(None) == 3


def test_the_parent_of_a_mined_rule_is_its_head_and_no_version_of_it(store: Store) -> None:
    fill(store, rules=(HIGH,))
    add_rules(store, LOW, parent_id=HIGH.rule_id)
    assert [line.rule for line in history(store, LOW).versions] == [LOW]


def test_a_save_goes_on_beside_the_page_and_is_found_by_whoever_began_it(store: Store, tmp_path: Path) -> None:
    fill(store)
    workspace = Workspace(tmp_path, {})
    work = begin_version(DORA, workspace, store, HIGH, NEXT, reason="3 is too few")
    assert work.wait(30)
    assert work.outcome == Saved(make_next(), 5)
    assert version_work(DORA, workspace, HIGH.rule_id) is work
    assert version_work(pin("cleo", Role.CURATOR), workspace, HIGH.rule_id) is None
    forget_work(DORA, workspace, HIGH.rule_id)
    assert version_work(DORA, workspace, HIGH.rule_id) is None
    with pytest.raises(UserError, match="may not approve"):
        begin_version(ANA, workspace, store, HIGH, NEXT, reason="why")
    with pytest.raises(UserError, match="nothing is changed"):
        begin_version(DORA, workspace, store, HIGH, Draft(HIGH.text, HIGH.condition, 3), reason="why")
