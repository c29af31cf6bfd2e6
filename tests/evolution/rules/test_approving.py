"""Which rules may be approved together: train judgments for those that vote often, dev judgments for the rare ones."""

from __future__ import annotations

from dataclasses import replace

from curation.features import FEATURE_SCHEMA
from curation.rule_votes import append_votes, vote_rows
from curation.rules import Rule, make_rule
from evolution.rules.approving import Choice, Evidence, choose, read_evidence
from storage.clock import now
from storage.store import Store
from tests.evolution.conftest import fill

OFTEN = Evidence("often", "proposed", False, 1000, 10, 7, 0, 0, 0, 0.25)
RARE = replace(OFTEN, rule_id="rare", n_judged=9, n_right=9, n_dev=4, n_dev_right=4)


def chosen(*found: Evidence) -> Choice:
    return choose(list(found), min_accuracy=0.7, min_votes=5)


def test_a_rule_that_votes_often_is_chosen_by_its_train_judgments_alone() -> None:
    thin, wrong = replace(OFTEN, rule_id="thin", n_judged=4, n_right=4), replace(OFTEN, rule_id="wrong", n_right=6)
    rejected, unjudged = replace(OFTEN, status="rejected"), replace(OFTEN, n_judged=0, n_right=0)
    assert chosen(OFTEN, thin, wrong, rejected, unjudged) == Choice(("often",), 3, 0)


def test_a_rare_rule_needs_dev_judgments_that_are_surely_above_its_grades_share() -> None:
    """Wilson's lower end of 4 of 4 is 4 / (4 + 1.96²) = .51, of 3 of 4 it is .30, of 3 of 3 it is .44."""
    assert chosen(RARE).rule_ids == ("rare",)
    assert chosen(replace(RARE, base_rate=0.5)).rule_ids == ("rare",)
    assert chosen(replace(RARE, base_rate=0.52)) == Choice((), 0, 1)
    assert chosen(replace(RARE, n_dev_right=3, base_rate=0.31)) == Choice((), 0, 1)
    assert chosen(replace(RARE, n_dev=0, n_dev_right=0)) == Choice((), 0, 1)
    assert chosen(replace(RARE, n_judged=10)).rule_ids == ("rare",)  # a hundredth of 1,000 is not under a hundredth


def test_an_exception_is_held_against_the_head_it_overrides_however_often_it_votes() -> None:
    """Right on 8 of 10 dev pairs: lower end .49. The head is right on the other 2; on 5 of them it would not do."""
    exception = replace(OFTEN, is_exception=True, n_judged=40, n_right=40, n_dev=10, n_dev_right=8, n_without=2)
    assert exception.is_rare and exception.rate_without == 0.2
    assert chosen(exception).rule_ids == ("often",)
    assert chosen(replace(exception, n_without=5)) == Choice((), 0, 1)


def test_evidence_counts_train_and_dev_apart_and_test_not_at_all(store: Store) -> None:
    """80 train and 16 dev pairs, of which 4 are graded 1. A head says 2 wherever the kind agrees; where the colour
    differs that is wrong, and an exception says 1 there."""
    fill(store)
    head = make_rule("The right kind is fully right.", "not list_contains(conflicting_fields, 'kind')", 2)
    colour = "list_contains(conflicting_fields, 'colour') and not list_contains(conflicting_fields, 'kind')"
    exception = make_rule("Another colour is partly right.", colour, 1)
    propose(store, head, None)
    propose(store, exception, head.rule_id)
    before = {one.rule_id: one for one in read_evidence(store)}
    one = before[head.rule_id]
    assert (one.n_train, one.n_judged, one.n_right, one.n_dev, one.n_dev_right) == (80, 40, 20, 8, 4)
    assert (one.is_exception, one.base_rate) == (False, 0.25)
    other = before[exception.rule_id]
    assert (other.is_exception, other.n_dev, other.n_dev_right, other.n_without, other.rate_without) == (
        True,
        4,
        4,
        0,
        0,
    )
    assert choose([one, other], min_accuracy=0.7, min_votes=5) == Choice((exception.rule_id,), 1, 0)
    (alone, *_) = read_evidence(store, judgments="adjudicated")
    assert (alone.n_train, alone.n_judged, alone.n_dev, alone.base_rate) == (0, 0, 0, None)
    assert read_evidence(store, judgments="import") == read_evidence(store)
    train = store.frame("train_features", judgments="all")["pair_id"]
    assert set(store.frame("all_features")["pair_id"]) > set(train)


def propose(store: Store, rule: Rule, parent_id: str | None) -> None:
    stamp = {"origin": "mined", "run_id": "run_0", "created_at": now()}
    row = {"rule_id": rule.rule_id, "text": rule.text, "condition": rule.condition, "grade": rule.grade}
    store.append({"rules": [{**row, "parent_id": parent_id, **stamp}]})
    features = store.frame("all_features").select(list(FEATURE_SCHEMA))
    append_votes(store, list(vote_rows([rule], features)), "run_0")
