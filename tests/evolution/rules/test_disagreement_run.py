"""Mining from disagreement: train pairs only, every proposal a row with its reason, garbage no end of the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from evolution.calls.asking import Served
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.prices import Price
from evolution.rules.disagreement_run import DisagreementPlan, DisagreementReport, fault_kind, mine_disagreements
from evolution.rules.disagreements import cluster_disagreements
from evolution.rules.gate import held_out_queries
from evolution.rules.report import print_disagreements
from storage.clock import now
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import KEY, SCALE, ChatServer, completion, fill

COLOUR_ONLY = "list_contains(conflicting_fields, 'colour') and list_contains(matched_fields, 'kind')"


def rule_text(**changed: Any) -> str:
    said = {"text": "The right thing in another colour is partly right.", "condition": COLOUR_ONLY, "grade": 1}
    return json.dumps({**said, **changed})


def disagree(store: Store) -> None:
    """A machine says 2 wherever only the colour conflicts; the settled grade there is 1, of train and dev pairs."""
    at = now()
    pairs = store.frame("all_features").filter(pl.col("conflicting_fields") == ["colour"])["pair_id"]
    stamp = {"steps": "[]", "rule_ids": [], "confidence": 0.9, "proposer": "x", "run_id": "run_0", "created_at": at}
    store.append({"candidates": [{"candidate_id": f"c_{one}", "pair_id": one, "grade": 2, **stamp} for one in pairs]})


def run(store: Store, served: Served | None = None, *, is_dry: bool = False) -> DisagreementReport:
    plan = DisagreementPlan(SCALE, max_clusters=5, judgments="all", served=served)
    return mine_disagreements(store, plan, account=None, is_dry=is_dry)


def served(config: LlmConfig, folder: Path, limits: Limits | None = None) -> Served:
    llm, prices = OpenAILLM(config, {"LOCAL_KEY": KEY}), {"m": Price(prompt=1.0, completion=10.0)}
    parameters = {"max_completion_tokens": 100}
    return Served(llm, "m", parameters, folder / "spool", concurrency=1, limits=limits or Limits(), prices=prices)


def test_the_model_free_proposer_finds_what_settles_the_disagreement(store: Store) -> None:
    fill(store)
    disagree(store)
    report = run(store)
    assert set(report.sources) == {"human-machine"}
    (kept,) = report.kept
    assert kept.rule is not None and kept.count is not None
    assert (kept.rule.grade, kept.count.n_votes, kept.count.n_right) == (1, 20, 20)
    assert report.n_new_votes == 24  # dev pairs too: a vote reads features only
    (row,) = store.frame("rule_book").to_dicts()
    assert (row["status"], row["rule_id"]) == ("proposed", kept.rule.rule_id)
    assert run(store).finished_before is not None


def test_only_train_pairs_of_queries_that_are_not_held_out_are_shown(store: Store) -> None:
    fill(store)
    disagree(store)
    report = run(store, is_dry=True)
    shown = {root for cluster in report.clustered.clusters for root in cluster.pairs["root_query_id"]}  # type: ignore[union-attr]
    train = set(store.frame("train_pairs", judgments="all")["root_query_id"])
    assert shown and shown <= train - held_out_queries(train)
    assert store.frame("rule_book").is_empty()


def test_a_servers_rule_is_counted_and_kept_with_its_evidence(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store)
    disagree(store)
    server.default = lambda _: (200, completion(rule_text()))
    report = run(store, served(config, tmp_path))
    (kept,) = report.kept
    row = _proposals(store)[0]
    assert (row["is_kept"], row["n_votes"], row["n_right"], row["n_judged"]) == (True, 20, 20, 80)
    assert row["n_held_out"] == row["n_held_out_right"] == kept.held_out.n_votes  # type: ignore[union-attr]
    assert row["source"] == "human-machine" and row["proposer"] == "openai:m" and row["llm_call_id"]
    assert len(row["example_pair_ids"]) == 6 and len(row["counter_pair_ids"]) == 6


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no idea", "not JSON"),
        (rule_text(condition="1 = 1; drop table rules"), "no predicate"),
        (rule_text(grade=9), "off the scale"),
        (rule_text(condition="list_contains(doc_attributes, 'kind=spoon')"), "covers 0 judged"),
        (rule_text(condition="n_query_terms >= 1"), "right on 20 of 80"),
        (rule_text(condition=None), "no rule seen"),
    ],
)
def test_what_is_turned_away_is_a_row_with_its_reason(
    text: str, why: str, store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store)
    disagree(store)
    server.default = lambda _: (200, completion(text))
    report = run(store, served(config, tmp_path))
    assert not report.kept and sum(report.faults.values()) == len(report.proposals) > 0
    rows = _proposals(store)
    assert rows and all(not row["is_kept"] and row["rule_id"] is None and why in row["reason"] for row in rows)
    assert store.frame("rule_book").is_empty()


def test_a_server_that_answers_html_leaves_rows_and_the_run_ends(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig
) -> None:
    fill(store)
    disagree(store)
    server.default = lambda _: (200, "<html>sign in</html>")
    report = run(store, served(config, tmp_path))
    assert report.proposals and not report.kept
    assert "not a chat completion" in _proposals(store)[0]["reason"]


def disagree_twice(store: Store) -> None:
    """As `disagree`, and a machine says 0 wherever the right thing is offered: two clusters."""
    disagree(store)
    at = now()
    pairs = store.frame("all_features").filter(pl.col("matched_fields").list.len() == 2)["pair_id"]
    stamp = {"steps": "[]", "rule_ids": [], "confidence": 0.9, "proposer": "x", "run_id": "run_0", "created_at": at}
    store.append({"candidates": [{"candidate_id": f"c_{one}", "pair_id": one, "grade": 0, **stamp} for one in pairs]})


def test_a_dry_run_estimates_what_the_clusters_would_take_and_asks_nothing(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store)
    disagree_twice(store)
    report = run(store, served(config, tmp_path), is_dry=True)
    assert report.clustered is not None and report.estimate is not None and report.estimate.cost is not None
    assert report.estimate.n_calls == len(report.clustered.clusters) >= 2
    assert (server.requests, report.estimate.n_learned) == ([], 0)
    print_disagreements(report, "openai:m", again="afrel mine", is_dry=True, as_json=False)
    assert re.search(r"estimate: .* requests.*\ncost: ", capsys.readouterr().out)


def test_a_budget_ends_the_asking_and_no_rule_is_judged_before_all_are_answered(
    store: Store, tmp_path: Path, server: ChatServer, config: LlmConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store)
    disagree_twice(store)
    server.default = lambda _: (200, completion(rule_text()))
    first = run(store, served(config, tmp_path, Limits(n_requests=1)))
    assert first.asked.stopped is not None and "--max-requests 1" in first.asked.stopped
    assert (len(server.requests), first.proposals, store.frame("rule_book").is_empty()) == (1, [], True)
    print_disagreements(first, "openai:m", again="afrel mine", is_dry=False, as_json=False)
    assert "run the command again to go on with the rest: afrel mine. No rule is judged" in capsys.readouterr().out
    second = run(store, served(config, tmp_path))
    assert second.finished_before is None and second.kept
    assert second.asked.n_held == 1 and len(server.requests) == len(second.proposals) >= 2
    assert run(store, served(config, tmp_path)).finished_before is not None


def test_people_who_disagree_are_read_with_or_without_a_settled_grade(store: Store) -> None:
    fill(store)
    pairs = store.frame("train_pairs", judgments="all")["pair_id"].to_list()[:2]
    at = now()
    stamp = {"act": "submitted", "is_replayed": False, "session": "s", "sequence": 1, "created_at": at}
    store.append(
        {
            "responses": [
                {"response_id": f"a_{n}{who}", "candidate_id": f"c_{n}", "pair_id": pair, "account": who,
                 "grade": grade, **stamp}
                for n, pair in enumerate(pairs)
                for who, grade in (("ana", 2), ("bo", 0 if n == 0 else 2))
            ]
        }
    )  # fmt: skip
    (row,) = store.frame("train_disagreements").to_dicts()
    assert (row["source"], row["pair_id"], row["said_grades"]) == ("human-human", pairs[0], [0, 2])
    assert row["settled_grade"] in SCALE.values


def test_nobody_disagreeing_is_nothing_to_do(store: Store) -> None:
    fill(store)
    report = run(store)
    assert not report.sources and not report.proposals


def test_one_grade_is_nothing_to_learn_from(store: Store) -> None:
    fill(store)
    at = now()
    judged = store.frame("train_pairs", judgments="all")["pair_id"]
    stamp = {"origin": "adjudicated", "response_ids": [], "is_replayed": False, "run_id": "r", "created_at": at}
    store.append({"judgments": [{"judgment_id": f"j_{one}", "pair_id": one, "grade": 1, **stamp} for one in judged]})
    with pytest.raises(UserError, match="all 80 judged train pairs have grade 1"):
        run(store)


def test_clusters_are_the_same_each_time_and_small_ones_are_counted(store: Store) -> None:
    fill(store)
    disagree(store)
    found = store.frame("train_disagreements")
    first, second = (cluster_disagreements(found, max_clusters=3) for _ in range(2))
    assert [one.pair_ids for one in first.clusters] == [one.pair_ids for one in second.clusters]
    assert cluster_disagreements(found.head(2), max_clusters=3).n_left == 2
    assert cluster_disagreements(found.head(0), max_clusters=3).clusters == ()


def test_reasons_are_counted_without_their_figures() -> None:
    assert fault_kind("right on 3 of 10 judged train pairs, under 60%") == "right on"
    assert fault_kind("says no more than r_3fa9") == "says no more than"
    assert fault_kind("fails on held-out queries: right on 0 of 4") == "fails on held-out queries"


def _proposals(store: Store) -> list[dict[str, Any]]:
    """Return the proposals as the published copy has them."""
    with duckdb.connect(str(store.publish()), read_only=True) as copy:
        return copy.sql("from rule_proposals order by rule_proposal_id").pl().to_dicts()
