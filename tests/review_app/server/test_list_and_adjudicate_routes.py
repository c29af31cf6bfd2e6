"""The routes of list and adjudication: JSON in, JSON out; what is missing or of the wrong kind is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from review_app.decisions import Turn, save, submit
from review_app.server.adjudicate_routes import ROUTES as ADJUDICATE_ROUTES
from review_app.server.api import Desk
from review_app.server.list_routes import ROUTES as LIST_ROUTES
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, Role
from storage.rows import GradeRow
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.review_rows import STEPS, add_pair, pair_id_of

ROUTES = {route.path: route for route in (*LIST_ROUTES, *ADJUDICATE_ROUTES)}


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    """Dora's desk, with a disputed pair and one that waits."""
    store.append(
        {"grades": [GradeRow(grade_id=f"g_{g}", grade=g, name=f"grade {g}", created_at=now()) for g in range(4)]}
    )
    add_pair(store, 1, confidence=0.1, n_required=2)
    add_pair(store, 2)
    for account, grade in (("ana", 0), ("bo", 2)):
        turn = Turn("c_1", pair_id_of(1), account, f"tab-{account}", 1)
        save(store, [submit(turn, grade)], proposals={"c_1": (2, STEPS)})
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "afrel.toml").write_text("")
    dora = Pin("dora", Role.ADJUDICATOR, "0" * 64, "person_dora")
    return Desk(dora, store, Workspace.open(tmp_path / "shop"), "en")


def ask(desk: Desk, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer a request as the server does: through JSON on both ways."""
    told = ROUTES[path].answer(desk, json.loads(json.dumps(body)))
    answered: dict[str, Any] = json.loads(json.dumps(told))
    return answered


def test_every_route_takes_the_act_of_its_page() -> None:
    assert {route.act for route in LIST_ROUTES} == {Act.REVIEW}
    assert {route.act for route in ADJUDICATE_ROUTES} == {Act.ADJUDICATE}


def test_a_query_is_found_opened_and_its_docs_held(desk: Desk) -> None:
    (query,) = ask(desk, "/api/list/queries", {})["queries"]
    assert ask(desk, "/api/list/queries", {"text": "SOF", "after": None})["queries"] == [query]
    assert ask(desk, "/api/list/queries", {"text": "sofa", "after": ["sofa", "q_1"]}) == {"queries": [], "next": None}
    assert ask(desk, "/api/list/queries", {"after": [1, query["query_id"]]})["queries"] == []
    listed = ask(desk, "/api/list/docs", {"query_id": query["query_id"]})
    assert {row["candidate_id"]: row["state"] for row in listed["rows"]} == {"c_1": "answered", "c_2": "open"}
    assert ask(desk, "/api/list/next", {})["list"]["query_id"] == query["query_id"]
    assert ask(desk, "/api/list/hold", {"candidate_ids": ["c_1", "c_2"]}) == {"held": ["c_2"]}


def test_a_disputed_pair_is_listed_shown_and_settled(desk: Desk) -> None:
    (pair,) = ask(desk, "/api/adjudicate/pairs", {})["pairs"]
    assert ask(desk, "/api/adjudicate/pairs", {"after": pair["place"]})["pairs"] == []
    shown = ask(desk, "/api/adjudicate/pair", {"candidate_id": pair["candidate_id"]})
    assert shown["travels"]["2"] == {"default": "suggestion", "choices": ["suggestion"]}
    decision = {"session": "ab" * 8, "sequence": 1, "candidate_id": "c_1", "seen": shown["seen"], "act": "settle"}
    assert ask(desk, "/api/adjudicate/decide", {**decision, "grade": 2}) == {"saved": True, "news": []}
    assert ask(desk, "/api/adjudicate/agreed", {"after": None}) == {"n": 0, "next": None}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/list/queries", {"text": 3}, "text"),
        ("/api/list/queries", {"after": "x"}, "after"),
        ("/api/list/queries", {"after": ["many", "q_1"]}, "n"),
        ("/api/list/docs", {}, "query_id"),
        ("/api/list/docs", {"query_id": "q_1", "n": -1}, "n"),
        ("/api/list/docs", {"query_id": "q_1", "n": True}, "n"),
        ("/api/list/docs", {"query_id": "q_1", "after": ["x"]}, "after"),
        ("/api/list/next", {"besides": 1}, "besides"),
        ("/api/list/hold", {"candidate_ids": "c_1"}, "candidate_ids"),
        ("/api/list/hold", {"candidate_ids": [1]}, "candidate_ids"),
        ("/api/list/hold", {"candidate_ids": ["c"] * 1001}, "candidate_ids"),
        ("/api/adjudicate/pairs", {"status": []}, "status"),
        ("/api/adjudicate/pairs", {"after": 1.5}, "after"),
        ("/api/adjudicate/pair", {"candidate_id": None}, "candidate_id"),
        ("/api/adjudicate/decide", {}, "session"),
        ("/api/adjudicate/agreed", {"after": "x"}, "after"),
    ],
)
def test_what_is_wrong_in_a_body_is_named(desk: Desk, path: str, body: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        ask(desk, path, body)


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_texts_with_half_a_character_or_a_quote_are_refused_or_find_nothing(desk: Desk, path: str) -> None:
    for text in ("\ud800", "x' or '1'='1", "\0", "c_" + "9" * 5000):
        body = {"text": text, "query_id": text, "candidate_id": text, "candidate_ids": [text], "besides": text}
        try:
            told = ROUTES[path].answer(desk, body)
        except UserError:
            continue
        assert told.get("held", []) == [] or path != "/api/list/hold"
