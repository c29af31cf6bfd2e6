"""A screening over a real store: what it reads, keeps and writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from curation.screening_config import ScreeningConfig
from curation.screening_run import Screening, screen_store, screening_rows
from curation.screening_story import explain
from curation.sketch_files import read_kept
from storage.errors import UserError
from storage.store import Store

AT = datetime(2026, 3, 1, 9, 30)
STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": AT}
TITLE = "Warm red desk lamp of brushed steel with a clamp"


def pair(n: int, query: str, title: str, *, split: str = "train", grade: int = 3, minute: int = 0) -> dict[str, Any]:
    """Rows of a pair with its texts and a candidate; query and doc are named by their text."""
    at = STAMP | {"created_at": AT + timedelta(minutes=minute)}
    query_id, doc_id = f"q_{query}", f"d_{title}"
    return {
        "queries": [
            {"query_id": query_id, "text": query, "root_query_id": query_id, "split": split, "source": "s", **STAMP}
        ],
        "docs": [{"doc_id": doc_id, "title": title, "body": "", "fields": "{}", "source": "s", **STAMP}],
        "pairs": [
            {"pair_id": f"p_{n}", "query_id": query_id, "doc_id": doc_id, "split": split, "origin": "import",
             "source": "s", **STAMP}
        ],
        "candidates": [
            {"candidate_id": f"c_{n}", "pair_id": f"p_{n}", "grade": grade, "steps": "[]", "rule_ids": [],
             "confidence": 0.5, "proposer": "lexical", **at}
        ],
    }  # fmt: skip


def judgment(n: int, grade: int) -> dict[str, Any]:
    return {"judgment_id": f"j_{n}", "pair_id": f"p_{n}", "grade": grade, "origin": "import:s", "response_ids": [],
            "is_replayed": False, **STAMP}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """A store as the verb opens it: reads that show test grades are refused."""
    folder = tmp_path / "store"
    shutil.copytree(empty_store, folder)
    grades = [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": AT} for n, name in enumerate("abcd")]
    with Store.embedded(folder) as store:
        store.append({"grades": grades})
        yield store


def screened(store: Store, folder: Path | None = None) -> Screening:
    """Screen and write, as the verb does."""
    screening = screen_store(store, ScreeningConfig(), sketch_folder=folder)
    assert screening is not None
    store.append({"screenings": screening_rows(screening, "run_2")})
    return screening


def failed(screening: Screening) -> list[tuple[str, str, str | None]]:
    return screening.found.failures.select("candidate_id", "screen", "matched_id").rows()


def test_an_empty_store_has_nothing_to_screen(shop: Store) -> None:
    assert screen_store(shop, ScreeningConfig(), sketch_folder=None) is None


def test_a_second_screening_holds_new_candidates_against_old_ones(shop: Store, tmp_path: Path) -> None:
    folder = tmp_path / "sketches"
    shop.append(pair(1, "red desk lamp clamp", TITLE))
    assert failed(screened(shop, folder)) == []
    assert screen_store(shop, ScreeningConfig(), sketch_folder=folder) is None
    shop.append(pair(2, "red desk lamp clamp steel", TITLE + " new", minute=1))
    kept = set((folder / "doc").iterdir())
    second = screened(shop, folder)
    assert failed(second) == [("c_2", "near_duplicate", "c_1")]
    assert kept < set((folder / "doc").iterdir())  # what was sketched stays as it was
    assert sorted(read_kept(folder / "doc").ids) == [f"d_{TITLE}", f"d_{TITLE} new"]
    said = explain(shop, "c_2")
    assert said[0].row["screen"] == "near_duplicate"
    assert said[0].matched == ("c_1, grade 3:", f"p_1: red desk lamp clamp | {TITLE}")
    status = {row["candidate_id"]: row["screen"] for row in shop.read("why_screenings", id="c_1").to_pylist()}
    assert status == {"c_1": "all"}


def test_without_or_with_damaged_sketches_the_outcome_is_the_same(shop: Store, tmp_path: Path) -> None:
    shop.append(pair(1, "red desk lamp clamp", TITLE))
    screened(shop, tmp_path)
    shop.append(pair(2, "red desk lamp clamp steel", TITLE + " new", minute=1))
    expected = [("c_2", "near_duplicate", "c_1")]
    for part in (tmp_path / "query").iterdir():
        part.write_bytes(part.read_bytes()[:50])
    for folder in (None, tmp_path):
        found = screen_store(shop, ScreeningConfig(), sketch_folder=folder)
        assert found is not None and failed(found) == expected


def test_a_settled_pair_holds_its_place_against_a_near_duplicate(shop: Store) -> None:
    settled = pair(1, "red desk lamp clamp", TITLE)
    del settled["candidates"]
    shop.append(settled | {"judgments": [judgment(1, 3)]})
    shop.append(pair(2, "red desk lamp clamp", TITLE + " new"))
    shop.append(pair(3, "red desk lamp clamp", TITLE + " newer", grade=1, minute=1))
    screening = screened(shop)
    assert failed(screening) == [("c_2", "near_duplicate", "p_1")]
    assert screening.found.failures["reason"][0].endswith("same grade as pair p_1, which is settled")


def test_a_settled_grade_of_the_test_split_sets_nothing_aside(shop: Store) -> None:
    settled = pair(1, "red desk lamp clamp", TITLE, split="test")
    del settled["candidates"]
    shop.append(settled | {"judgments": [judgment(1, 3)]})
    shop.append(pair(2, "red desk lamp clamp", TITLE + " new", split="test"))
    assert failed(screened(shop)) == []


def test_a_leak_is_named_and_a_shared_doc_counted(shop: Store) -> None:
    shop.append(pair(1, "red desk lamp clamp", TITLE, split="test"))
    shop.append(pair(2, "red desk lamp with clamp", "Another doc", minute=1))
    shop.append(pair(3, "green rug", TITLE, minute=2))
    screening = screened(shop)
    assert failed(screening) == [("c_2", "leak", "q_red desk lamp clamp")]
    assert screening.n_shared_docs == 1
    (said,) = explain(shop, "c_2")
    assert said.row["score"] == 0.8 and said.matched == ("q_red desk lamp clamp: red desk lamp clamp",)


def test_a_match_in_a_snapshot_names_it(shop: Store) -> None:
    shop.append(pair(1, "red desk lamp clamp", TITLE))
    screened(shop)
    shop.append(
        {
            "snapshots": [
                {"snapshot_id": "snap_1", "manifest_digest": "x", "account": "cleo", "n_rows": 1, **STAMP}
            ],
            "tier_members": [
                {"tier_member_id": "tm_1", "snapshot_id": "snap_1", "tier": 1, "pair_id": "p_1", "judgment_id": "j_1",
                 "row_hash": "0"}
            ],
        }
    )  # fmt: skip
    shop.append(pair(2, "red desk lamp clamp", TITLE + " new", minute=1))
    (reason,) = screened(shop).found.failures["reason"]
    assert reason.endswith("of pair p_1 and in snap_1")


def test_a_flag_leaves_a_candidate_passed(shop: Store) -> None:
    shop.append(pair(1, "red lamp", "Lamp, ask bob@example.org"))
    screened(shop)
    rows = shop.read("why_screenings", id="c_1").to_pylist()
    assert [(row["screen"], row["is_passed"], row["reason"]) for row in rows] == [
        ("all", True, "no screen objects"),
        ("personal", True, "1 email in the title"),
    ]
    assert shop.read("standing_pairs")["standing_id"].to_pylist() == ["c_1"]


def said(rows: dict[str, Any], words: str, **other: Any) -> dict[str, Any]:
    """Rows of a pair whose candidate says these words."""
    (candidate,) = rows["candidates"]
    return rows | {"candidates": [candidate | {"steps": json.dumps([["intent", words]])} | other]}


def flags(screening: Screening) -> list[tuple[str, str, str, str]]:
    return screening.found.flags.select("candidate_id", "screen", "matched_id", "reason").rows()


def test_a_rationale_nearly_told_of_another_pair_is_flagged_whatever_grade_or_split(
    shop: Store, tmp_path: Path
) -> None:
    ten = "one two three four five six seven eight nine ten"
    shop.append(said(pair(1, "red lamp", TITLE), ten))
    assert flags(screened(shop, tmp_path)) == []
    # nine words of eleven
    shop.append(said(pair(2, "oak chair", "A chair", split="dev", grade=0, minute=1), ten.replace("ten", "more")))
    assert flags(screened(shop, tmp_path)) == [
        ("c_2", "near_rationale", "c_1", "0.82 alike with that of c_1, of pair p_1")
    ]
    assert sorted(read_kept(tmp_path / "rationale").ids) == ["c_1", "c_2"]


def test_a_pair_may_be_told_the_same_of_twice(shop: Store) -> None:
    rows = pair(1, "red lamp", TITLE)
    shop.append(said(rows, "one two three four"))
    screened(shop)
    shop.append(said(rows, "one two three four", candidate_id="c_2"))
    assert flags(screened(shop)) == []


def test_a_rule_is_cited_rightly_where_it_votes(shop: Store) -> None:
    rule = {"rule_id": "r_aaaa", "text": "a lamp", "condition": "true", "grade": 3, "origin": "mined", **STAMP}
    approval = {"approval_id": "v_1", "kind": "rule", "content_id": "r_aaaa", "decision": "approve", "account": "dora",
                "sequence": 1, "created_at": AT}  # fmt: skip
    vote = {"rule_vote_id": "rv_1", "rule_id": "r_aaaa", "pair_id": "p_1", "grade": 3, **STAMP}
    shop.append({"rules": [rule], "approvals": [approval], "rule_votes": [vote]})
    for n, title in ((1, "A lamp"), (2, "Something quite other")):
        rows = pair(n, f"query {n}", title)
        rows["candidates"][0]["steps"] = json.dumps([["rules", "[r_aaaa]"]])
        shop.append(rows)
    assert failed(screened(shop)) == [("c_2", "inapplicable_rule", "r_aaaa")]
    assert explain(shop, "c_2")[0].matched == ("r_aaaa, approved: a lamp",)


def test_erased_texts_are_like_nothing(shop: Store) -> None:
    shop.append(pair(1, "[erased]", "[erased]"))
    shop.append(pair(2, "erased", "[Erased]", minute=1))
    assert failed(screened(shop)) == []


def test_explaining_what_no_screen_has_seen_says_what_to_do(shop: Store) -> None:
    with pytest.raises(UserError, match="Screen what is new: afrel screen"):
        explain(shop, "c_nowhere")
