"""Push and pull against a real Argilla server, started from the environment that AFREL_ARGILLA_PYTHON names."""

from __future__ import annotations

from datetime import datetime

import pytest

from storage.errors import UserError
from storage.store import Store
from tests.review_app.argilla_bridge.bridging import Bridge
from tests.review_app.argilla_bridge.running import PYTHON
from tests.review_app.review_rows import STAMP, add_pair, pair_id_of

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.skipif(PYTHON is None, reason="AFREL_ARGILLA_PYTHON names no Argilla environment"),
]


def guideline(store: Store, n: int, text: str) -> None:
    row = {"instruction_id": f"i_{n}", "text": text, "operator": "first", "generation": 0, **STAMP}
    store.append({"instructions": [row]})


def test_each_pair_lies_there_once_for_as_many_people_as_it_asks(bridge: Bridge) -> None:
    for n in range(4):
        add_pair(bridge.store, n, confidence=0.4 if n == 3 else 0.9, n_required=2 if n == 3 else 1)
    guideline(bridge.store, 1, "Grade the sofa.")
    first = bridge.push()
    assert (first.n_sent, first.unindexed) == (4, {})
    there = bridge.server.records(bridge.name)
    names = {name: sorted(record["external_id"] for record in part) for name, part in there.items()}
    assert names == {f"{bridge.name}-v1": ["c_0", "c_1", "c_2"], f"{bridge.name}-v1-x2": ["c_3"]}
    (record,) = there[f"{bridge.name}-v1-x2"]
    assert {one["value"] for one in record["suggestions"]} == {"2", "intent: a sofa\nverdict: substantially"}
    again = bridge.push()
    assert again.is_idle and again.n_lying == 4
    assert bridge.server.records(bridge.name) == there
    dataset = bridge.server.ask("ana", "GET", f"datasets/{bridge.server.datasets(bridge.name)[f'{bridge.name}-v1-x2']}")
    assert dataset["guidelines"] == "Grade the sofa."
    assert dataset["distribution"] == {"strategy": "overlap", "min_submitted": 2}


def test_answers_come_back_as_acts_at_their_own_time_and_once(bridge: Bridge) -> None:
    for n in range(6):
        add_pair(bridge.store, n)
    bridge.push()
    server, name = bridge.server, bridge.name
    records = {n: server.record(name, f"c_{n}")["id"] for n in range(6)}
    given = server.answer("ana", records[0], grade="1", rationale="intent: a sofa\nverdict: partly", comment="odd")
    server.answer("ana", records[1], grade="2", rationale="intent: a sofa\nverdict: substantially")
    server.answer("ana", records[2], "discarded")
    server.answer("ana", records[3], grade="cannot_tell")
    server.answer("ana", records[4], "draft", grade="3")
    server.answer("una", records[5], grade="3")
    pulled = bridge.pull()
    assert (pulled.n_new, pulled.n_drafts, pulled.n_comments) == (4, 1, 1)
    assert dict(pulled.acts) == {"submitted": 2, "discarded": 1, "cannot_tell": 1}
    (refused,) = pulled.refused
    assert (refused.candidate_id, refused.username) == ("c_5", "una") and "[argilla.accounts]" in refused.reason
    (held,) = bridge.store.read("own_acts", pair_id=pair_id_of(0), account="ana").to_pylist()
    assert held["effective_at"] == datetime.fromisoformat(given["updated_at"])
    assert [bridge.acts(n) for n in (1, 2, 3)] == [
        [("ana", "submitted", 2)], [("ana", "discarded", None)], [("ana", "cannot_tell", None)],
    ]  # fmt: skip
    bridge.accounts = {"una": "cy"}
    mapped = bridge.pull()
    assert (mapped.n_new, mapped.refused, bridge.acts(5)) == (1, [], [("cy", "submitted", 3)])
    assert bridge.pull().n_new == 0
    server.answer("ana", records[0], grade="3")
    server.answer("ana", records[4], grade="0")
    assert bridge.pull().n_new == 2
    assert bridge.acts(0) == [("ana", "submitted", 1), ("ana", "submitted", 3)]
    assert bridge.acts(4) == [("ana", "submitted", 0)]
    assert bridge.pull().n_new == 0


def test_a_blind_audit_tells_its_reviewer_nothing(bridge: Bridge) -> None:
    cause = {"review_cause_id": "rc_b", "cause": "blind_audit", "predicate": "audit_draw < 1", "n_required": 2}
    bridge.store.append({"review_causes": [{**cause, "created_at": STAMP["created_at"]}]})
    add_pair(bridge.store, 0)
    assert bridge.push().n_sent == 1
    (dataset_id,) = bridge.server.datasets(bridge.name).values()
    path = f"me/datasets/{dataset_id}/records/search?include=suggestions"
    (found,) = bridge.server.ask("ana", "POST", path, {})["items"]
    assert (found["record"]["suggestions"], found["record"]["metadata"]) == ([], {})


def test_a_changed_guideline_makes_a_new_version_and_takes_along_what_is_pending(bridge: Bridge) -> None:
    for n in range(3):
        add_pair(bridge.store, n)
    guideline(bridge.store, 1, "One.")
    bridge.push()
    bridge.server.answer("ana", bridge.server.record(bridge.name, "c_0")["id"], grade="1")
    bridge.server.answer("bo", bridge.server.record(bridge.name, "c_1")["id"], "draft", grade="1")
    guideline(bridge.store, 2, "Another.")
    approval = {"approval_id": "ap_1", "kind": "instruction", "content_id": "i_2", "decision": "approve"}
    bridge.store.append({"approvals": [{**approval, "account": "cleo", "sequence": 1, **STAMP}]})
    moved = bridge.push()
    assert (moved.version, moved.is_new_version, moved.n_sent, moved.n_withdrawn, moved.n_held) == (2, True, 1, 1, 2)
    there = bridge.server.records(bridge.name)
    names = {name: sorted(record["external_id"] for record in part) for name, part in there.items()}
    assert names == {f"{bridge.name}-v1": ["c_0", "c_1"], f"{bridge.name}-v2": ["c_2"]}
    assert bridge.pull().n_new == 1  # from the old version
    again = bridge.push()
    assert again.is_idle and again.n_held == 1


def test_a_half_answered_pair_moves_on_and_its_reviewer_is_not_asked_again(bridge: Bridge) -> None:
    add_pair(bridge.store, 0)
    bridge.push()
    bridge.server.answer("ana", bridge.server.record(bridge.name, "c_0")["id"], grade="0")
    cause = {"review_cause_id": "rc_r", "cause": "revised", "predicate": "n_revised > 0", "n_required": 2}
    bridge.store.append({"review_causes": [{**cause, "created_at": STAMP["created_at"]}]})
    assert bridge.pull().n_new == 1
    assert bridge.push().by_dataset == {f"{bridge.name}-v1-x2": 1}
    (record,) = bridge.server.records(bridge.name)[f"{bridge.name}-v1-x2"]
    assert [(one["user_id"], one["status"]) for one in record["responses"]] == [
        (bridge.server.user_id("ana"), "submitted")
    ]
    carried = bridge.pull()
    assert (carried.n_new, carried.conflicts, bridge.acts(0)) == (0, [], [("ana", "submitted", 0)])
    bridge.server.answer("bo", record["id"], grade="0")
    assert bridge.pull().n_new == 1
    assert bridge.store.read("queue_length")["n"].to_pylist() == [0]
    assert bridge.push().is_idle


def test_what_was_answered_elsewhere_goes_from_the_server_and_a_double_answer_is_told(bridge: Bridge) -> None:
    for n in range(2):
        add_pair(bridge.store, n)
    bridge.push()
    record_id = bridge.server.record(bridge.name, "c_0")["id"]
    for n in range(2):
        row = {"response_id": f"a_{n}", "candidate_id": f"c_{n}", "pair_id": pair_id_of(n), "account": "bo"}
        act = {"act": "submitted", "grade": 2, "is_replayed": False, "session": "ab12", "sequence": n + 1}
        bridge.store.append({"responses": [{**row, **act, **STAMP}]})
    bridge.server.answer("ana", record_id, grade="1")
    assert bridge.push().n_withdrawn == 1
    assert [record["external_id"] for part in bridge.server.records(bridge.name).values() for record in part] == ["c_0"]
    pulled = bridge.pull()
    (conflict,) = pulled.conflicts
    assert (conflict.candidate_id, conflict.account) == ("c_0", "ana") and "one more than the 1" in conflict.words
    assert pulled.n_new == 1  # reported, not dropped


def test_a_text_that_was_changed_there_is_refused_and_named(bridge: Bridge) -> None:
    add_pair(bridge.store, 0)
    bridge.push()
    record = bridge.server.record(bridge.name, "c_0")
    bridge.server.answer("ana", record["id"], grade="1")
    fields = {**record["fields"], "title": "A chair"}
    bridge.server.ask("root", "PATCH", f"records/{record['id']}", {"fields": fields})
    pulled = bridge.pull()
    assert (pulled.n_new, bridge.acts(0)) == (0, [])
    (refused,) = pulled.refused
    assert refused.candidate_id == "c_0" and "its title was changed" in refused.reason
    bridge.server.ask("root", "PATCH", f"records/{record['id']}", {"fields": record["fields"]})
    assert bridge.pull().n_new == 1


def test_a_deleted_or_edited_dataset_is_told_and_made_anew(bridge: Bridge) -> None:
    with pytest.raises(UserError, match=r"has no dataset .*afrel argilla push"):
        bridge.pull()
    add_pair(bridge.store, 0)
    bridge.push()
    (dataset_id,) = bridge.server.datasets(bridge.name).values()
    bridge.server.ask("root", "DELETE", f"datasets/{dataset_id}")
    with pytest.raises(UserError, match="it was deleted, or nothing was pushed"):
        bridge.pull()
    assert bridge.push().n_sent == 1
    (dataset_id,) = bridge.server.datasets(bridge.name).values()
    questions = bridge.server.ask("root", "GET", f"datasets/{dataset_id}/questions")["items"]
    grade = next(one for one in questions if one["name"] == "grade")
    options = [{"value": one["value"], "text": one["text"].upper()} for one in grade["settings"]["options"]]
    settings = {"type": "label_selection", "options": options}
    bridge.server.ask("root", "PATCH", f"questions/{grade['id']}", {"settings": settings})
    add_pair(bridge.store, 1)
    assert bridge.push().n_sent == 1  # other words for the same grades are no edit
    assert bridge.push(new_version=True).version == 2


def test_strange_texts_and_a_megabyte_go_there_and_back(bridge: Bridge) -> None:
    add_pair(bridge.store, 0)
    texts = {
        "title": "\u0623\u0631\u064a\u0643\u0629 \U0001f6cb\ufe0f \u8336\u51e0 e\u0301 \x00",
        "body": "\u8336 " * 500_000,
    }
    doc = {"doc_id": "d_9", **texts, "fields": '{"a": "<script>"}', "source": "s", **STAMP}
    pair = {"pair_id": pair_id_of(9), "query_id": "q_1", "doc_id": "d_9", "split": "train", "origin": "import"}
    made = {"candidate_id": "c_9", "pair_id": pair_id_of(9), "grade": 1, "steps": "[]", "rule_ids": []}
    passed = {"screening_id": "s_9", "candidate_id": "c_9", "screen": "all", "is_passed": True, "reason": ""}
    bridge.store.append(
        {
            "docs": [doc],
            "pairs": [{**pair, "source": "s", **STAMP}],
            "candidates": [{**made, "confidence": float("nan"), "proposer": "\u6a21\u578b", **STAMP}],
            "screenings": [{**passed, **STAMP}],
        }
    )
    assert bridge.push().n_sent == 2
    bridge.server.answer(
        "ana", bridge.server.record(bridge.name, "c_9")["id"], grade="1", rationale="\u0644\u0627 \U0001f6cb"
    )
    pulled = bridge.pull()
    assert (pulled.n_new, pulled.refused) == (1, [])
    assert bridge.acts(9) == [("ana", "submitted", 1)]


@pytest.mark.parametrize(("who", "said"), [("nobody", "does not know the key"), ("idle", "has no workspace 'review'")])
def test_a_wrong_key_and_a_user_without_the_workspace_are_told(
    bridge: Bridge, who: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ARGILLA_KEY", (who * 80)[:80])
    for act in (bridge.push, bridge.pull):
        with pytest.raises(UserError, match=said):
            act()


def test_an_annotators_key_may_not_push(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ARGILLA_KEY", ("ana" * 80)[:80])
    add_pair(bridge.store, 0)
    with pytest.raises(UserError, match="an owner, or an admin of workspace 'review'"):
        bridge.push()


def test_an_empty_queue_has_nothing_to_push(bridge: Bridge) -> None:
    assert bridge.push().is_idle and bridge.server.datasets(bridge.name) == {}
