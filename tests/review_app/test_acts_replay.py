"""Any interleaving, repetition and late arrival of people's acts replays to the one right state, in a real store.

The right state is `acts_model`, written from docs/decisions/0008-acts.md and not from the SQL. One store serves all
examples; each plays on pairs of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from review_app.decisions import History, read_history
from storage.rows import JudgmentRow, ResponseRow, SendBackRow
from storage.store import Store
from tests.review_app.act_histories import (
    ACCOUNTS,
    START,
    Place,
    Sending,
    Settling,
    Step,
    history_of,
    judge,
    play,
    send_back,
    sendings,
    settlings,
    steps,
)
from tests.review_app.acts_model import Proposed, current_judgment, standing_on, status

STAMP: dict[str, Any] = {"run_id": "run_1", "created_at": START}
N_PAIRS = 2
Row = ResponseRow | JudgmentRow | SendBackRow
numbers = count(1)


@dataclass(frozen=True)
class Scene:
    """The candidates an example plays on: the first pair asks for two answers and has an older candidate as well."""

    place: Place
    candidates: tuple[Proposed, ...]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.embedded(tmp_path_factory.mktemp("acts"), sees_test=True) as opened:
        cause = {"cause": "unsure", "predicate": "confidence < 0.5", "n_required": 2, "created_at": START}
        query = {"query_id": "q_1", "text": "sofa", "root_query_id": "q_1", "split": "train", "source": "s", **STAMP}
        opened.append({"review_causes": [{"review_cause_id": "rc_1", **cause}], "queries": [query]})
        opened.append({"external_ids": [external_id("query", "q_1")]})
        yield opened


def external_id(kind: str, content_id: str) -> dict[str, Any]:
    name = {"kind": kind, "external_id": content_id, "content_id": content_id, "source": "s"}
    return {"external_id_id": f"x_{content_id}", **name, **STAMP}


def set_scene(store: Store) -> Scene:
    """Add two fresh pairs with their screened candidates."""
    number = next(numbers)
    pair_ids = [f"p_{number:015x}{n}" for n in range(N_PAIRS)]
    candidates = (
        Proposed(f"c_{number}_0", pair_ids[0], n_required=2, place=1),
        Proposed(f"c_{number}_1", pair_ids[1], n_required=1, place=1),
        Proposed(f"c_{number}_2", pair_ids[0], n_required=1, place=0),
    )
    pair = {"query_id": "q_1", "split": "train", "origin": "import", "source": "s", **STAMP}
    proposal = {"grade": 2, "steps": "[]", "rule_ids": [], "proposer": "lexical", "run_id": "run_1"}
    doc = {"title": "Sofa", "body": "", "fields": "{}", "source": "s", **STAMP}
    screen = {"screen": "all", "is_passed": True, "reason": "no screen objects", **STAMP}
    store.append(
        {
            "docs": [{"doc_id": f"d_{p}", **doc} for p in pair_ids],
            "external_ids": [external_id("doc", f"d_{p}") for p in pair_ids],
            "pairs": [{"pair_id": p, "doc_id": f"d_{p}", **pair} for p in pair_ids],
            "candidates": [
                {
                    "candidate_id": c.candidate_id,
                    "pair_id": c.pair_id,
                    "confidence": 0.1 if c.n_required == 2 else 0.9,
                    "created_at": START + timedelta(seconds=c.place),
                    **proposal,
                }
                for c in candidates
            ],
            "screenings": [
                {"screening_id": f"s_{c.candidate_id}", "candidate_id": c.candidate_id, **screen} for c in candidates
            ],
        }
    )
    place = Place(f"n{number}", ((pair_ids[0], f"c_{number}_0"), (pair_ids[1], f"c_{number}_1")))
    return Scene(place, candidates)


def deliver(store: Store, rows: Sequence[Row]) -> None:
    """Append rows in one request, as they come, doubles among them."""
    responses, judgments, send_backs = by_kind(rows)
    store.append({"responses": responses, "judgments": judgments, "send_backs": send_backs})


def by_kind(rows: Sequence[Row]) -> tuple[list[ResponseRow], list[JudgmentRow], list[SendBackRow]]:
    """Return the responses, judgments and sendings back among rows."""
    return (
        [row for row in rows if isinstance(row, ResponseRow)],
        [row for row in rows if isinstance(row, JudgmentRow)],
        [row for row in rows if isinstance(row, SendBackRow)],
    )


def state_of(store: Store, scene: Scene) -> dict[str, Any]:
    """Return all that the store derives from acts on the scene's pairs."""
    own = {candidate.candidate_id for candidate in scene.candidates}
    pair_ids = [pair_id for pair_id, _ in scene.place.pairs]
    acts = [row for p in pair_ids for row in store.read("why_responses", id=p).to_pylist()]
    judged = [row for p in pair_ids for row in store.read("why_judgments", id=p).to_pylist()]
    rows = [row for c in own for row in store.read("candidate", candidate_id=c).to_pylist()]
    waiting = store.read("open_by_external_id").to_pylist()
    return {
        "standing": {row["response_id"] for row in acts if row["is_standing"]},
        "current": {row["judgment_id"] for row in judged if row["is_current"]},
        "status": {row["candidate_id"]: (row["status"], row["n_answers"], row["n_required"]) for row in rows},
        "queue": {row["candidate_id"]: row["n_open"] for row in waiting if row["candidate_id"] in own},
        "answered_by": {r["candidate_id"]: sorted(r["answered_by"]) for r in waiting if r["candidate_id"] in own},
    }


def right_state(scene: Scene, delivered: Sequence[Row]) -> dict[str, Any]:
    """Return what the rules say of the delivered rows."""
    responses, judgments, send_backs = by_kind(delivered)
    standing = {pair_id: standing_on(responses, pair_id, send_backs) for pair_id, _ in scene.place.pairs}
    current = [current_judgment(judgments, responses, pair_id, send_backs) for pair_id, _ in scene.place.pairs]
    told = {c.candidate_id: status(c, scene.candidates, responses, judgments, send_backs) for c in scene.candidates}
    waiting = [c for c in scene.candidates if told[c.candidate_id][0] == "awaiting_review"]
    return {
        "standing": {act.response_id for acts in standing.values() for act in acts.values()},
        "current": {judgment.judgment_id for judgment in current if judgment is not None},
        "status": told,
        "queue": {c.candidate_id: told[c.candidate_id][2] - told[c.candidate_id][1] for c in waiting},
        "answered_by": {c.candidate_id: sorted(standing[c.pair_id]) for c in waiting},
    }


def check_any_arrival(
    store: Store, drawn: list[Step], settled: list[Settling], sent: list[Sending], data: st.DataObject
) -> None:
    """Deliver in a drawn order, with drawn doubles, in drawn batches; after each one the state is the right one."""
    scene = set_scene(store)
    acts = play(scene.place, drawn)
    send_backs = send_back(scene.place, sent, acts)
    rows: list[Row] = [*acts, *judge(scene.place, settled, acts), *send_backs]
    doubles = data.draw(st.lists(st.sampled_from(rows), max_size=4)) if rows else []
    arriving = data.draw(st.permutations([*rows, *doubles]))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(arriving) - 1)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True):
        deliver(store, arriving[start:end])
        assert state_of(store, scene) == right_state(scene, arriving[:end])
    for pair_id, _ in scene.place.pairs:
        for account in ACCOUNTS:
            assert read_history(store, pair_id, account) == history_of(acts, pair_id, account, send_backs)
    assert set(store.rebuild().values()) == {0}


drawn_histories = given(
    drawn=st.lists(steps(N_PAIRS), min_size=4, max_size=14),
    settled=st.lists(settlings(N_PAIRS), max_size=3),
    sent=st.lists(sendings(N_PAIRS), max_size=2),
    data=st.data(),
)
in_one_store = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=25, deadline=None, suppress_health_check=in_one_store)
@drawn_histories
def test_any_interleaving_repetition_and_late_arrival_replays_to_the_one_right_state(
    store: Store, drawn: list[Step], settled: list[Settling], sent: list[Sending], data: st.DataObject
) -> None:
    check_any_arrival(store, drawn, settled, sent, data)


@pytest.mark.slow
@settings(max_examples=75, deadline=None, suppress_health_check=in_one_store)
@drawn_histories
def test_many_more_histories_replay_to_the_one_right_state(
    store: Store, drawn: list[Step], settled: list[Settling], sent: list[Sending], data: st.DataObject
) -> None:
    check_any_arrival(store, drawn, settled, sent, data)


EDITOR_KINDS = ("grade", "grade", "undo", "undo", "undo", "redo", "redo", "later")
Said = tuple[str, int | None]


def edit(said: list[Said], undone: list[Said], step: Step) -> None:
    """One editor: a stack of what was said and a stack of what was undone; it has no clock, no tabs and no ids."""
    if step.kind == "undo":
        undone += [said.pop()] if said else []
    elif step.kind == "redo":
        said += [undone.pop()] if undone else []
    else:
        said.append(("submitted", step.grade) if step.kind == "grade" else (step.kind, None))
        undone.clear()


def shown(history: History) -> list[Said | None]:
    """Return what a tab shows: the answer that stands, what undo takes back, what redo gives again."""
    acts = (history.standing, history.to_undo, history.to_redo)
    return [None if act is None else (act.act.value, act.grade) for act in acts]


@settings(max_examples=200, deadline=None)
@given(drawn=st.lists(steps(1, kinds=EDITOR_KINDS, accounts=("ana",)), min_size=10, max_size=16))
def test_tabs_that_see_each_other_undo_and_redo_like_one_editor_whatever_their_clocks(drawn: list[Step]) -> None:
    place = Place("editor", (("p_1", "c_1"),))
    drawn = [replace(step, is_loaded=True, is_careless=False) for step in drawn]
    said: list[Said] = []
    undone: list[Said] = []
    for n_done, step in enumerate(drawn, start=1):
        edit(said, undone, step)
        answers = [one for one in said if one[0] != "later"]
        expected = [stack[-1] if stack else None for stack in (answers, said, undone)]
        assert shown(history_of(play(place, drawn[:n_done]), "p_1", "ana")) == expected
