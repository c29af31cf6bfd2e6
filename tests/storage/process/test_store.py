"""The store: facts once, status derived, test grades kept back, nothing lost to a kill."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from storage.clock import now
from storage.errors import UserError
from storage.store import Store

AT = now()
STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": AT}


def query(name: str, split: str = "train", root: str | None = None) -> dict[str, Any]:
    return {
        "query_id": f"q_{name}",
        "text": f"query {name}",
        "root_query_id": f"q_{root or name}",
        "split": split,
        "source": "s",
        **STAMP,
    }


def pair(number: int, query_name: str = "a", split: str = "train") -> dict[str, Any]:
    return {
        "pair_id": f"p_{number:016x}",
        "query_id": f"q_{query_name}",
        "doc_id": "d_1",
        "split": split,
        "origin": "import",
        "source": "s",
        **STAMP,
    }


def candidate(name: str, number: int, grade: int = 1, confidence: float = 0.8) -> dict[str, Any]:
    return {
        "candidate_id": f"c_{name}",
        "pair_id": f"p_{number:016x}",
        "grade": grade,
        "steps": "[]",
        "rule_ids": [],
        "confidence": confidence,
        "proposer": "lexical",
        **STAMP,
    }


def passed(name: str) -> dict[str, Any]:
    return {
        "screening_id": f"s_{name}",
        "candidate_id": f"c_{name}",
        "screen": "all",
        "is_passed": True,
        "reason": "no screen objects",
        **STAMP,
    }


def response(
    name: str, number: int, account: str, grade: int | None, act: str = "submitted", **more: Any
) -> dict[str, Any]:
    return {
        "response_id": f"a_{name}",
        "candidate_id": f"c_{number}",
        "pair_id": f"p_{number:016x}",
        "account": account,
        "act": act,
        "grade": grade,
        "is_replayed": False,
        "session": "s",
        "sequence": 1,
        "created_at": AT,
        **more,
    }


def statuses(store: Store) -> dict[str, str]:
    return {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "candidates"}


@pytest.fixture
def reviewed(store: Store) -> Store:
    """One train pair with one screened candidate, `c_1`, that needs one answer."""
    store.append(
        {
            "queries": [query("a")],
            "pairs": [pair(1)],
            "candidates": [candidate("1", 1)],
            "screenings": [passed("1")],
        }
    )
    return store


def test_a_row_is_held_once_however_often_it_is_sent(store: Store) -> None:
    assert store.append({"queries": [query("a"), query("a")]}) == {"queries": 1}
    assert store.append({"queries": [query("a"), query("b")]}) == {"queries": 1}
    assert store.read("query_splits").num_rows == 2


def test_a_request_with_one_bad_row_writes_nothing(store: Store) -> None:
    with pytest.raises(UserError, match="given split 'test'"):
        store.append({"queries": [query("a")], "pairs": [pair(1, split="test")]})
    assert store.read("query_splits").num_rows == 0


def test_a_mutated_query_keeps_the_split_of_its_root(store: Store) -> None:
    store.append({"queries": [query("a", split="test")]})
    with pytest.raises(UserError, match="its query has 'test'"):
        store.append({"queries": [query("b", split="train", root="a")]})


@pytest.mark.parametrize("table", ["nothing", "queue", "candidate_status", "migrations"])
def test_only_facts_can_be_appended(store: Store, table: str) -> None:
    with pytest.raises(UserError, match="no table"):
        store.append({table: [{"x": 1}]})


def test_unknown_and_missing_columns_are_named(store: Store) -> None:
    row = {k: v for k, v in query("a").items() if k not in ("text", "created_at")}
    with pytest.raises(UserError, match=r"unknown columns \['colour'\] and lack \['created_at', 'text'\]"):
        store.append({"queries": [{**row, "colour": "red"}]})


def test_test_grades_reach_only_a_store_that_may_see_them(tmp_path: Path) -> None:
    with Store.embedded(tmp_path) as blind, pytest.raises(UserError, match="shows test grades"):
        blind.read("tier_relation")


def test_a_candidate_goes_from_proposed_to_review_to_settled(store: Store) -> None:
    store.append({"queries": [query("a")], "pairs": [pair(1)], "candidates": [candidate("1", 1)]})
    assert statuses(store) == {"proposed": 1}
    store.append({"screenings": [passed("1")]})
    assert statuses(store) == {"awaiting_review": 1}
    store.append({"responses": [response("1", 1, "ana", 1)]})
    assert statuses(store) == {"answered": 1}
    judgment = {
        "judgment_id": "j_1",
        "pair_id": f"p_{1:016x}",
        "grade": 1,
        "origin": "consensus",
        "candidate_id": "c_1",
        "response_ids": ["a_1"],
        "is_replayed": False,
        **STAMP,
    }
    store.append({"judgments": [judgment]})
    assert statuses(store) == {"settled": 1}


def test_an_undone_answer_unsettles_the_pair(reviewed: Store) -> None:
    test_judgment = {
        "judgment_id": "j_1",
        "pair_id": f"p_{1:016x}",
        "grade": 1,
        "origin": "consensus",
        "response_ids": ["a_1"],
        "is_replayed": False,
        **STAMP,
    }
    reviewed.append({"responses": [response("1", 1, "ana", 1)], "judgments": [test_judgment]})
    assert statuses(reviewed) == {"settled": 1}
    reviewed.append({"responses": [response("2", 1, "ana", None, act="withdrawn", target_id="a_1")]})
    assert statuses(reviewed) == {"awaiting_review": 1}


def test_an_undo_that_arrives_before_its_answer_still_undoes_it(reviewed: Store) -> None:
    reviewed.append({"responses": [response("2", 1, "ana", None, act="withdrawn", target_id="a_1")]})
    reviewed.append({"responses": [response("1", 1, "ana", 1)]})
    assert statuses(reviewed) == {"awaiting_review": 1}


def test_different_answers_are_a_dispute(reviewed: Store) -> None:
    reviewed.append({"responses": [response("1", 1, "ana", 0), response("2", 1, "bo", 2)]})
    assert statuses(reviewed) == {"disputed": 1}


def test_a_cause_asks_for_a_second_answer_and_is_named(store: Store) -> None:
    cause = {
        "review_cause_id": "rc_1",
        "cause": "low_confidence",
        "predicate": "confidence < 0.5",
        "n_required": 2,
        "created_at": AT,
    }
    store.append(
        {
            "review_causes": [cause],
            "queries": [query("a")],
            "pairs": [pair(1)],
            "candidates": [candidate("1", 1, confidence=0.4)],
            "screenings": [passed("1")],
        }
    )
    store.append({"responses": [response("1", 1, "ana", 1)]})
    assert statuses(store) == {"awaiting_review": 1}
    assert [r["which"] for r in store.read("counts").to_pylist() if r["what"] == "queue"] == ["low_confidence"]


def test_rebuilt_tables_equal_the_maintained_ones(reviewed: Store) -> None:
    reviewed.append({"pairs": [pair(2)], "candidates": [candidate("2", 2, 0, 0.1)], "screenings": [passed("2")]})
    reviewed.append({"responses": [response("1", 1, "ana", 0), response("2", 1, "bo", 2)]})
    assert reviewed.rebuild() == {"candidate_status": 0}


def test_a_claim_never_gives_a_candidate_to_more_people_than_it_needs(reviewed: Store) -> None:
    assert reviewed.claim("ana", 5).column("candidate_id").to_pylist() == ["c_1"]
    assert reviewed.claim("bo", 5).column("candidate_id").to_pylist() == []
    assert reviewed.claim("ana", 5).column("candidate_id").to_pylist() == ["c_1"]  # her own lease is no bar


def test_the_published_copy_hides_test_grades_and_names(tmp_path: Path) -> None:
    with Store.embedded(tmp_path, sees_test=True) as store:
        account = {
            "account_event_id": "a_0",
            "account": "ana",
            "role": "reviewer",
            "public_key": "k",
            "pseudonym": "person_1",
            "created_at": AT,
        }
        judgments = [
            {
                "judgment_id": f"j_{n}",
                "pair_id": f"p_{n:016x}",
                "grade": 2,
                "origin": "import:s",
                "response_ids": [],
                "is_replayed": False,
                **STAMP,
            }
            for n in (1, 2)
        ]
        store.append(
            {
                "accounts": [account],
                "queries": [query("a"), query("b", split="test")],
                "pairs": [pair(1), pair(2, "b", split="test")],
                "judgments": judgments,
                "responses": [response("1", 2, "ana", 3)],
            }
        )
        copy = store.publish()
    with duckdb.connect(str(copy), read_only=True) as reader:
        assert reader.execute("select grade from judgments order by judgment_id").fetchall() == [(2,), (None,)]
        assert reader.execute("select grade from current_judgments order by judgment_id").fetchall() == [(2,), (None,)]
        assert reader.execute("select account, grade from responses").fetchall() == [("person_1", None)]
        tables = {name for (name,) in reader.execute("select table_name from duckdb_tables()").fetchall()}
        assert "accounts" not in tables


def test_the_latest_act_of_a_person_stands_whatever_order_acts_arrive_in(reviewed: Store) -> None:
    first = response("1", 1, "ana", 0, sequence=1)
    second = response("2", 1, "ana", 3, sequence=2, created_at=AT + timedelta(seconds=1))
    reviewed.append({"responses": [second]})
    reviewed.append({"responses": [first]})
    assert [row["grade"] for row in reviewed.read("graded_answers").to_pylist()] == [3]


def test_looking_twice_does_not_take_a_second_persons_place(store: Store) -> None:
    cause = {
        "review_cause_id": "rc",
        "cause": "all",
        "predicate": "confidence > 0",
        "n_required": 2,
        "created_at": AT,
    }
    store.append(
        {
            "review_causes": [cause],
            "queries": [query("a")],
            "pairs": [pair(1)],
            "candidates": [candidate("1", 1)],
            "screenings": [passed("1")],
        }
    )
    store.claim("ana", 1)
    store.claim("ana", 1)
    assert store.claim("bo", 1).column("candidate_id").to_pylist() == ["c_1"]
    assert store.claim("chen", 1).column("candidate_id").to_pylist() == []


def test_a_publish_that_fails_leaves_the_store_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.publishing import published

    with Store.embedded(tmp_path) as store:
        store.append({"queries": [query("a")]})
        with monkeypatch.context() as patch:
            patch.setattr(published, "_put_in_place", lambda *_: (tmp_path / "no folder" / "copy").touch())
            with pytest.raises(FileNotFoundError):
                store.publish()
        assert store.append({"queries": [query("b")]}) == {"queries": 1}
        assert store.publish().exists()


def test_no_id_in_the_published_copy_tells_a_test_grade() -> None:
    """The ids of imported judgments are hashes; whoever knows their parts must not be able to try each grade."""
    import polars as pl

    from curation.ingest import Known, ingest_rows, parse_map
    from curation.ingest_files import LINE
    from storage.grades import parse_scale

    def read(grade: int) -> set[str]:
        frame = pl.DataFrame({LINE: [2], "q": ["sofa"], "t": ["Sofa"], "g": [str(grade)], "s": ["test"]})
        columns = parse_map("query=q,title=t,grade=g,split=s", frame.columns)
        result = ingest_rows(frame, columns, scale=parse_scale("0-3"), grade_map={}, source="x", known=Known())
        return {*result.judgments, *result.pairs, *result.queries, *result.docs}

    assert read(0) == read(3)
