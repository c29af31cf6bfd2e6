"""`why`: the chain of an id with what it took, and the training rows that read like a predicted pair."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curation.lineage import why
from storage.clock import now
from storage.errors import UserError
from storage.store import Store

STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": now()}
TRAINED = "run_trained"
# number: query, title, split, grade, rationale
PAIRS = {
    1: ("red sofa", "Nordli sofa in red", "dev", None, None),
    2: ("red sofa", "Nordli sofa in grey", "train", 1, "colour differs [r_aa11]"),
    3: ("red leather sofa", "Leather sofa", "train", 2, "a sofa"),
    4: ("desk lamp", "Lamp", "train", 3, "a lamp"),
    5: ("red sofa", "Nordli sofa in red", "test", 3, "matches"),
    6: ("red sofa bed", "Sofa bed", "train", 2, "not in the snapshot"),
}
IN_SNAPSHOT = {2: 2, 3: 1, 4: 1}


def query_id(text: str, split: str) -> str:
    return f"q_{text.replace(' ', '_')}_{split}"


@pytest.fixture
def shop(store: Store) -> Store:
    """Pairs of the table above; those of IN_SNAPSHOT are rows of a snapshot that a model was trained on."""
    queries = {
        query_id(text, split): {"query_id": query_id(text, split), "text": text, "split": split}
        for text, _, split, _, _ in PAIRS.values()
    }
    config = json.dumps({"snapshot_id": "snap_1", "tiers": None})
    trained = {"run_id": TRAINED, "verb": "train", "status": "done", "config": config, "code_version": "v1"}
    cited = {"rule_id": "r_aa11", "text": "colours must match", "condition": "true", "grade": 1, "origin": "mined"}
    call = {
        "llm_call_id": "l_1", "role": "labeller", "operator": "label", "provider": "openai", "model": "m",
        "template_digest": "ab" * 32, "request": "{}", "n_prompt_tokens": 900, "n_completion_tokens": 100,
        "seconds": 2.5, "cost": 0.004,
    }  # fmt: skip
    store.append(
        {
            "runs": [{**trained, "started_at": now(), "finished_at": None}],
            "rules": [{**cited, **STAMP}],
            "llm_calls": [{**call, **STAMP}],
            "queries": [{**query, "root_query_id": name, "source": "s", **STAMP} for name, query in queries.items()],
            "docs": [
                {"doc_id": f"d_{n}", "title": title, "body": "", "fields": "{}", "source": "s", **STAMP}
                for n, (_, title, *_) in PAIRS.items()
            ],
            "pairs": [
                {"pair_id": f"p_{n}", "query_id": query_id(text, split), "doc_id": f"d_{n}", "split": split,
                 "origin": "import", "source": "s", **STAMP}
                for n, (text, _, split, _, _) in PAIRS.items()
            ],
            "judgments": [
                {"judgment_id": f"j_{n}", "pair_id": f"p_{n}", "grade": grade, "origin": "import:s",
                 "response_ids": [], "steps": json.dumps([["verdict", step]]), "is_replayed": False, **STAMP}
                for n, (_, _, _, grade, step) in PAIRS.items()
                if grade is not None
            ],
            "tier_members": [
                {"tier_member_id": f"tm_{n}", "snapshot_id": "snap_1", "tier": tier, "pair_id": f"p_{n}",
                 "row_hash": "ab" * 32, "judgment_id": f"j_{n}", "candidate_id": None}
                for n, tier in IN_SNAPSHOT.items()
            ],
            "candidates": [
                {"candidate_id": "c_1", "pair_id": "p_1", "grade": 3, "steps": "[]", "rule_ids": [],
                 "proposer": "openai", "llm_call_id": "l_1", **STAMP}
            ],
            "predictions": [
                {"prediction_id": "pr_1", "pair_id": "p_1", "train_run_id": TRAINED, "grade": 3,
                 "probabilities": [0.1, 0.1, 0.1, 0.7], **STAMP}
            ],
        }
    )  # fmt: skip
    return store


def texts(store: Store, asked: str, kind: str) -> list[tuple[str, str]]:
    return [(link.link_id, link.text) for link in why(store, asked) if link.kind == kind]


def test_a_prediction_is_told_with_the_training_rows_most_like_it_and_their_rules(shop: Store) -> None:
    near = texts(shop, "pr_1", "near")
    # queries equal: 1; titles {nordli, sofa, in, red} and {nordli, sofa, in, grey}: 3/5
    assert near[0] == ("p_2", "0.80 alike: 'red sofa' with 'Nordli sofa in grey', tier 2, grade 1, cites r_aa11")
    # queries 2/3, titles {nordli, sofa, in, red} and {leather, sofa}: 1/5
    assert near[1] == ("p_3", "0.43 alike: 'red leather sofa' with 'Leather sofa', tier 1, grade 2")
    assert [pair_id for pair_id, _ in near] == ["p_2", "p_3"]  # neither another snapshot's, a test pair, nor itself
    assert texts(shop, "pr_1", "rule") == [("r_aa11", "votes 1, proposed: colours must match [true], run_1")]


def test_only_rows_of_the_tiers_that_were_trained_on_are_near(shop: Store) -> None:
    config = json.dumps({"snapshot_id": "snap_1", "tiers": [1]})
    run = {"run_id": "run_2", "verb": "train", "status": "done", "config": config, "code_version": "v1"}
    said = {"prediction_id": "pr_2", "pair_id": "p_1", "train_run_id": "run_2", "grade": 0}
    shop.append({"runs": [{**run, "started_at": now()}], "predictions": [{**said, "probabilities": [1.0], **STAMP}]})
    assert [pair_id for pair_id, _ in texts(shop, "pr_2", "near")] == ["p_3"]
    assert [pair_id for pair_id, _ in texts(shop, "pr_1", "near")] == ["p_2", "p_3"]


def test_calls_and_people_are_told_with_what_they_took(shop: Store) -> None:
    answer = {"response_id": "a_1", "candidate_id": "c_1", "pair_id": "p_1", "account": "ana", "act": "submitted"}
    more = {"grade": 3, "seconds": 8.4, "is_replayed": False, "session": "s", "sequence": 1, "created_at": now()}
    sending = {"send_back_id": "b_1", "candidate_id": "c_1", "pair_id": "p_1", "account": "dora"}
    shop.append(
        {
            "responses": [{**answer, **more}],
            "send_backs": [
                {**sending, "response_ids": ["a_1"], "n_required": 2, "reason": "look again", "created_at": now()}
            ],
        }
    )
    ((_, call),) = texts(shop, "a_1", "call")
    assert call == "openai m (label, prompt abababababab), answered, 2.5 s, 1,000 tokens, cost 0.004"
    ((_, sent),) = texts(shop, "c_1", "send_back")
    assert "sent 1 answer back and asks for 2: look again" in sent
    ((_, spent),) = texts(shop, "p_1", "spent")
    assert spent == "1 model call: 1,000 tokens, 2.5 s, cost 0.004; 1 answer: 8 s of looking"


def test_a_reason_on_a_test_pair_is_not_told(shop: Store) -> None:
    sending = {"send_back_id": "b_5", "candidate_id": "c_5", "pair_id": "p_5", "account": "dora"}
    told = {"response_ids": ["a_5"], "n_required": 1, "reason": "it is a 3", "created_at": now()}
    shop.append({"send_backs": [{**sending, **told}]})
    assert not any("it is a 3" in link.text for link in why(shop, "p_5"))


@pytest.mark.parametrize("unknown", ["c_none", "pr_none", "nothing at all", ""])
def test_an_id_nobody_knows_is_refused_with_where_to_find_one(shop: Store, unknown: str) -> None:
    with pytest.raises(UserError, match=r"holds no candidate.*Find one"):
        why(shop, unknown)
