"""`why`: the chain of an id with what it took, and the training rows that read like a predicted pair."""

from __future__ import annotations

import json
from datetime import timedelta
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


def verdict(step: int, word: int, verifier: str, number: int = 1, **more: Any) -> dict[str, Any]:
    named = {"step_verdict_id": f"sv_{verifier}_{step}_{number}", "candidate_id": "c_2", "step": step, "verdict": word}
    return {**named, "verifier": verifier, "reference": "grade", "llm_call_id": f"l_{verifier}", **STAMP, **more}


def card(judge: str, bias: str, *, is_passed: bool) -> dict[str, Any]:
    line = {"judge_card_id": f"jc_{judge}_{bias}", "judge": judge, "bias": bias, "value": 0.0, "n": 100}
    return {**line, "is_passed": is_passed, **STAMP}


def test_step_verdicts_are_told_with_who_said_them_and_whether_their_card_passes(shop: Store) -> None:
    """Large's card passes and its later word on step 2 counts, small's fails, the critic has none."""
    at = STAMP["created_at"]
    steps = json.dumps([["category", "a sofa"], ["attributes", "colour agrees"]])
    proposed = {"candidate_id": "c_2", "pair_id": "p_2", "grade": 2, "steps": steps, "rule_ids": [], "proposer": "x"}
    wrong = {"error_type": "not_in_texts", "explanation": "it is grey"}
    called = {"role": "judge", "operator": "steps", "provider": "openai", "template_digest": "cd" * 32}
    shop.append(
        {
            "candidates": [{**proposed, **STAMP}],
            "llm_calls": [
                {**called, "llm_call_id": f"l_{judge}", "model": judge, "request": "{}", "cost": 0.5, **STAMP}
                for judge in ("large", "small")
            ],
            "judge_cards": [
                card("large", "order", is_passed=True),
                card("small", "order", is_passed=False),
                card("small", "length_padding", is_passed=True),
            ],
            "step_verdicts": [
                verdict(1, 1, "large"),
                verdict(2, 1, "large", created_at=at - timedelta(hours=1)),
                verdict(2, -1, "large", 2, **wrong),
                verdict(2, 1, "small"),
                verdict(1, 1, "critic", reference="audit", llm_call_id=None),
            ],
        }
    )
    assert texts(shop, "c_2", "verdict") == [
        ("sv_critic_1_1", "step 1 category right; by critic against audit, who has no card, run_1"),
        ("sv_large_1_1", "step 1 category right; by large against grade, who has a card that passes, run_1"),
        (
            "sv_large_2_2",
            "step 2 attributes wrong (not_in_texts): it is grey; by large against grade, who has a card that passes, "
            "run_1",
        ),
        ("sv_small_2_1", "step 2 attributes right; by small against grade, who has a card that fails: order, run_1"),
    ]
    assert [call for call, _ in texts(shop, "c_2", "call")] == ["l_large", "l_small"]
    ((_, spent),) = texts(shop, "c_2", "spent")
    assert spent.startswith("2 model calls") and spent.endswith("cost 1")


def test_what_judges_say_of_a_test_pair_is_not_told(shop: Store) -> None:
    proposed = {"candidate_id": "c_2", "pair_id": "p_5", "grade": 2, "steps": "[]", "rule_ids": [], "proposer": "x"}
    shop.append({"candidates": [{**proposed, **STAMP}], "step_verdicts": [verdict(1, -1, "large")]})
    assert texts(shop, "c_2", "verdict") == [] and texts(shop, "c_2", "candidate")


@pytest.mark.parametrize("unknown", ["c_none", "pr_none", "nothing at all", ""])
def test_an_id_nobody_knows_is_refused_with_where_to_find_one(shop: Store, unknown: str) -> None:
    with pytest.raises(UserError, match=r"holds no candidate.*Find one"):
        why(shop, unknown)
