"""What the trainers' alarm tells the next cycle: the approved rules forgotten on the snapshot last trained from."""

from __future__ import annotations

from curation.approvals import Decision, decide
from curation.rules import make_rule
from evolution.rules.forgotten import forgotten_rules, voted_on
from storage.store import Store
from tests.evolution.conftest import fill, forget
from tests.evolution.instructions.shop import TOWELS, ruled

MUGS = make_rule("The right mug is fully right.", "list_contains(doc_attributes, 'kind=mug')", 2)


def approved(store: Store) -> None:
    fill(store)
    ruled(store, TOWELS, MUGS)
    decide(store, [TOWELS.rule_id, MUGS.rule_id], Decision("rule", "approve", "ada"))


def test_any_run_on_the_snapshot_last_trained_from_tells(store: Store) -> None:
    approved(store)
    assert forgotten_rules(store) == ()
    forget(store, TOWELS.rule_id, snapshot_id="snap_1", run_id="run_1")
    assert forgotten_rules(store) == (TOWELS,)
    forget(store, snapshot_id="snap_1", run_id="run_2")
    assert forgotten_rules(store) == (TOWELS,)  # another run on the same snapshot kept it; the first still tells
    forget(store, MUGS.rule_id, "r_unheard_of", snapshot_id="snap_2", run_id="run_3")
    assert forgotten_rules(store) == (MUGS,)


def test_a_run_that_did_not_finish_and_a_rule_nobody_approved_tell_nothing(store: Store) -> None:
    fill(store)
    ruled(store, TOWELS)
    forget(store, TOWELS.rule_id, run_id="run_1")
    assert forgotten_rules(store) == ()
    decide(store, [TOWELS.rule_id], Decision("rule", "approve", "ada"))
    assert forgotten_rules(store) == (TOWELS,)
    store.update_run("run_1", status="failed")
    assert forgotten_rules(store) == ()


def test_the_pairs_of_rules_are_those_any_of_them_votes_on(store: Store) -> None:
    approved(store)
    features = store.frame("all_features")
    towels = int(voted_on([TOWELS], features).sum())
    mugs = int(voted_on([MUGS], features).sum())
    assert towels and mugs and voted_on([TOWELS, MUGS], features).sum() == towels + mugs
    assert not voted_on([], features).any()
