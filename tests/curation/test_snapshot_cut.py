"""What a cut refuses, each time with the rows in the way and how to see them; and what it says of what it freezes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation.evidence_checks import with_evidence
from curation.snapshot_cut import freeze, member_ids, require_no_leak, rows_to_cut
from curation.tier_choice import choose
from curation.tier_counts import count_tiers
from curation.tier_reading import read_tier_rows
from curation.tiers import parse_tiers
from storage.clock import now
from storage.errors import UserError
from storage.ids import content_id
from storage.people.accounts import Pin
from storage.people.keys import SigningKey, unlock
from storage.snapshots.deep import verify_deeply
from storage.snapshots.manifest import read_manifest
from storage.snapshots.verify import verify_snapshot
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app import tier_shop


@dataclass(frozen=True)
class Shop:
    """The shop of twenty settled pairs, opened in this process; `cleo` cuts."""

    workspace: Workspace
    store: Store
    pins: dict[str, Pin]
    cleo: SigningKey

    def cut(self, **config: Any) -> dict[str, Any]:
        workspace = replace(self.workspace, config=config)
        to_cut = rows_to_cut(workspace, self.store)
        return freeze(workspace, self.store, to_cut, cutter=self.cleo, pins=self.pins)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Pin]]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, tier_shop.build(folder)


@pytest.fixture
def shop(built: tuple[Path, dict[str, Pin]], tmp_path: Path) -> Iterator[Shop]:
    folder, pins = built
    tier_shop.copy(folder, tmp_path)
    with Store.embedded(tmp_path / "shop", sees_test=True) as store:
        key = unlock(tmp_path / "home", "cleo", tier_shop.PASSWORD)
        yield Shop(Workspace.open(tmp_path / "shop"), store, pins, key)


def stamp() -> dict[str, Any]:
    return {"run_id": "run_1", "created_at": now()}


def refusal(shop: Shop, **config: Any) -> str:
    with pytest.raises(UserError) as raised:
        shop.cut(**config)
    assert not shop.workspace.snapshots_dir.exists() or not list(shop.workspace.snapshots_dir.iterdir())
    return str(raised.value)


def test_candidates_that_no_screen_saw_are_refused_with_the_query_that_shows_them(shop: Shop) -> None:
    new = {"candidate_id": "c_new", "pair_id": "p_1", "grade": 1, "steps": "[]", "rule_ids": [], "proposer": "x"}
    shop.store.append({"candidates": [new | stamp()]})
    said = refusal(shop)
    assert said.startswith("1 candidates of settled pairs are unscreened. Screen them first: afrel screen.")
    assert 'See them: afrel sql "select candidate_id, pair_id from candidate_status' in said


def respond(shop: Shop, account: str, number: int, grade: int) -> None:
    """Let an account answer on pair p_<number>, which gets a screened candidate where it has none."""
    answer = {
        "response_id": f"r_late_{account}",
        "candidate_id": f"c_{number}",
        "pair_id": f"p_{number}",
        "account": account,
        "act": "submitted",
        "grade": grade,
        "is_replayed": False,
        "session": "late",
        "sequence": 1,
    }
    shop.store.append({"responses": [answer | stamp()]})


def test_answers_against_an_older_judgment_are_refused_until_somebody_decides(shop: Shop) -> None:
    """Pair 1 was imported with grade 1; ana and bo say 0 and 2."""
    candidate = {"candidate_id": "c_1", "pair_id": "p_1", "grade": 1, "steps": "[]", "rule_ids": [], "proposer": "x"}
    passed = {"screening_id": "s_1", "candidate_id": "c_1", "screen": "all", "is_passed": True, "reason": "none"}
    shop.store.append({"candidates": [candidate | stamp()], "screenings": [passed | stamp()]})
    respond(shop, "ana", 1, 0)
    respond(shop, "bo", 1, 2)
    said = refusal(shop)
    assert said.startswith("1 pairs that would enter have answers that speak against their judgment")
    assert "p_1." in said and "adjudicate CANDIDATE --grade N" in said and 'afrel sql "select' in said
    kept = shop.cut(tiers=[{"tier": 1, "name": "rest", "where": "pair_id <> 'p_1'"}])
    assert kept["n_rows"] == 19  # a dispute that enters no tier is in nobody's way
    decided = {"judgment_id": "j_late", "pair_id": "p_1", "grade": 2, "origin": "adjudicated", "response_ids": []}
    shop.store.append({"judgments": [decided | {"is_replayed": False, "account": "dora"} | stamp()]})
    assert shop.cut()["n_rows"] == 20


def test_train_queries_near_a_test_query_are_set_aside_and_members_that_are_refused(shop: Shop) -> None:
    """All twelve train pairs ask `red sofa`, the four test pairs now ask for nearly that."""
    members = rows_to_cut(shop.workspace, shop.store).choice.members
    shop.store.append(
        {
            "queries": [
                {"query_id": "q_near", "text": "sofa  RED", "root_query_id": "q_near", "split": "test", "source": "s"}
                | stamp()
            ]
        }
    )
    cut = shop.cut()
    assert cut["left_out"]["train query is nearly a dev or test query"] == 12
    assert [tier["n_rows"]["train"] for tier in cut["tiers"]] == [0, 0, 0]
    require_no_leak(members)
    is_test = pl.col("split") == "test"
    leaking = members.with_columns(pl.when(is_test).then(pl.lit("red sofa")).otherwise("query").alias("query"))
    with pytest.raises(UserError) as raised:
        require_no_leak(leaking)
    said = str(raised.value)
    assert said.startswith("12 train rows are of queries that are nearly dev or test queries, so nothing is frozen:\n")
    assert said.count("is nearly 'red sofa' of q_test (similarity 1.00)") == 10
    assert "where p.pair_id in ('p_" in said


def test_a_doc_that_train_and_test_share_is_counted_and_no_leak(shop: Shop) -> None:
    choice = rows_to_cut(shop.workspace, shop.store).choice
    shared = choice.assigned.with_columns(
        pl.when(pl.col("pair_id").is_in(["p_1", "p_2", "p_17"])).then(pl.lit("d_1")).otherwise("doc_id").alias("doc_id")
    )
    assert (choice.n_shared_docs, replace(choice, assigned=shared).n_shared_docs) == (0, 2)


LEVEL = {"tier": 1, "name": "all", "where": "true", "balance": "grade"}


def test_a_balanced_cut_counts_what_it_leaves_out_and_says_so_in_the_manifest(shop: Shop) -> None:
    """Train pairs 1-12 have grade n % 3, four each; the cap of three a source leaves nine of them out."""
    level, plain = shop.cut(tiers=[LEVEL | {"max_per_source": 3}]), shop.cut(tiers=[LEVEL])
    assert level["tiers"][0]["n_rows"] == {"train": level["tiers"][0]["n_rows"]["train"], "dev": 4, "test": 4}
    assert level["left_out"]["tier 1, beyond their source's cap"] == 9
    manifest = read_manifest(shop.workspace.snapshots_dir / level["snapshot_id"])
    assert manifest.tiers[0].balance == {"balance": "grade", "max_per_source": 3}
    assert plain["n_rows"] == 20 and plain["snapshot_id"] != level["snapshot_id"]
    for cut in (level, plain):
        assert verify_snapshot(shop.workspace.snapshots_dir / cut["snapshot_id"], shop.pins).problems == ()


def test_the_balance_is_part_of_the_id_and_none_leaves_it_as_it_was(shop: Shop) -> None:
    """Grades are level already, so both cuts hold the same twenty rows."""
    level = shop.cut(tiers=[LEVEL])
    unasked = shop.cut(tiers=[{key: value for key, value in LEVEL.items() if key != "balance"}])
    assert level["n_rows"] == unasked["n_rows"] == 20 and level["snapshot_id"] != unasked["snapshot_id"]
    text = (shop.workspace.snapshots_dir / unasked["snapshot_id"] / "manifest.json").read_text()
    assert "balance" not in json.loads(text)["tiers"][0]


def test_a_tier_short_of_what_it_asks_for_is_refused_with_figures(shop: Shop) -> None:
    """Only pairs 11 and 12 of the twelve train rows are adjudicated: grades 2 and 0, one each."""
    table = {"tier": 1, "name": "all", "where": "true", "slices": {"cites": "n_cited_rules > 0"}, "min_share": 0.5}
    said = refusal(shop, tiers=[table])
    assert "tier 1 (all): slice cites is 0.0% of its 12 train rows (0), its min_share is 50.0%" in said
    assert said.endswith("What each tier holds: afrel tier")
    uneven = {"tier": 1, "name": "low", "where": "grade = 0 or pair_id = 'p_1'", "max_cv": 0.5}
    assert "tier 1 (low): the coefficient of variation of its train grades is 0.600" in refusal(shop, tiers=[uneven])


def test_a_predicate_that_selects_nothing_is_refused_and_one_that_selects_all_takes_all(shop: Shop) -> None:
    assert "no settled pair meets a tier" in refusal(shop, tiers=[{"tier": 1, "name": "none", "where": "false"}])
    assert "[[tiers]] 1: where:" in refusal(shop, tiers=[{"tier": 1, "name": "odd", "where": "grade ="}])
    assert shop.cut(tiers=[{"tier": 1, "name": "all", "where": "true"}])["n_rows"] == 20


def test_counts_of_a_tier_tell_the_variation_before_and_after(shop: Shop) -> None:
    """Train rows of grades 0 and 1 where grade 0 counts half: 4 of grade 1, 2 of grade 0 (pairs 3 and 6)."""
    where = "grade = 1 or (grade = 0 and pair_id in ('p_3', 'p_6'))"
    tables = [{"tier": 1, "name": "some", "where": where, "balance": "grade"}]
    (count,) = count_tiers(choose(read_tier_rows(shop.store), parse_tiers(tables)))
    assert dict(count.train_grades) == {0: 2, 1: 2}
    assert (count.cv_before, count.cv) == (pytest.approx(1 / 3), 0)


def test_a_cut_stopped_before_it_is_registered_is_completed_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Store.append

    def full(store: Store, tables: Any) -> dict[str, int]:
        if "snapshots" in tables:
            raise UserError("the disk is full")
        return append(store, tables)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", full)
        with pytest.raises(UserError, match="disk is full"):
            shop.cut()
    (directory,) = shop.workspace.snapshots_dir.iterdir()
    assert verify_snapshot(directory, shop.pins).problems == ()
    assert shop.store.read("snapshots").num_rows == 0
    cut = shop.cut()
    assert (cut["snapshot_id"], cut["is_new"]) == (directory.name, True)
    assert shop.store.read("snapshots").num_rows == 1


def test_a_member_is_named_as_any_content_is() -> None:
    hashes = ["0" * 64, "f3" * 32]
    assert member_ids("snap_1", hashes) == [content_id("tm", "snap_1", one) for one in hashes]


def test_evidence_is_derived_anew_from_the_features_in_the_store(shop: Shop) -> None:
    """Of the second snapshot one row's evidence is invented; its own hashes are over what it holds, so it is whole."""
    to_cut = rows_to_cut(shop.workspace, shop.store)
    told = pl.when(pl.col("pair_id") == "p_3").then(pl.lit("gram 9 · run 9")).otherwise("evidence").alias("evidence")
    invented = replace(to_cut, choice=replace(to_cut.choice, assigned=to_cut.choice.assigned.with_columns(told)))
    found = []
    for one in (to_cut, invented):
        cut = freeze(shop.workspace, shop.store, one, cutter=shop.cleo, pins=shop.pins)
        directory = shop.workspace.snapshots_dir / cut["snapshot_id"]
        found.append(with_evidence(verify_deeply(directory, shop.pins, shop.store), directory, shop.store))
    assert found[0].verification.problems == () and len(found[0].not_looked_at) == 1
    (problem,) = found[1].verification.problems
    assert problem.what == "1 rows have other evidence than their features give, such as pair p_3"


def test_what_rules_said_is_left_aside_once_the_rule_book_is_another(shop: Shop) -> None:
    rule = {"rule_id": "r_new", "text": "t", "condition": "term_overlap > 0", "grade": 1, "origin": "x"}
    vote = {"rule_vote_id": "v_1", "rule_id": "r_new", "pair_id": "p_1", "grade": 1}
    approval = {"approval_id": "a_new", "kind": "rule", "content_id": "r_new", "decision": "approve", "account": "dora"}
    directory = shop.workspace.snapshots_dir / shop.cut()["snapshot_id"]
    shop.store.append({"rules": [rule | stamp()], "rule_votes": [vote | stamp()]})
    shop.store.append({"approvals": [approval | {"sequence": 1, "created_at": now()}]})
    found = with_evidence(verify_deeply(directory, shop.pins, shop.store), directory, shop.store)
    assert found.verification.problems == ()
    assert found.not_looked_at[-1].startswith("what rules said in the evidence")
