"""Step verdicts against a reference, weak rationales refined: by a real server, with all that goes wrong on the way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server
from curation.completion import STEP_LABELS, Step, steps_from_json
from evolution.calls.budget import Limits
from evolution.judges.references import Reference, ReferenceKind, ReferenceLine, reference_of
from evolution.judges.refine_run import RefinePlan, RefineReport, refine_rationales
from evolution.judges.step_requests import StepMaterial, check_steps, read_steps
from evolution.judges.step_run import StepPlan, StepReport, judge_steps
from evolution.labelling.run import LabelPlan, label_pairs
from storage.store import Store
from tests.evolution.conftest import SCALE, fill
from tests.evolution.judges.shop_judges import JUDGE, card_rows, pass_all, rows_of, said, served
from tests.evolution.labelling.test_run import approve_all

Answer = Callable[[HttpRequest], HttpReply]


@pytest.fixture(scope="module")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 6 queries, 5 of them train, every pair labelled by the lexical provider and passed."""
    folder = tmp_path_factory.mktemp("labelled") / "store"
    folder.mkdir()
    with Store.embedded(folder, sees_test=True) as store:
        fill(store, n_queries=6)
        approve_all(store)
        plan = LabelPlan(SCALE, None, "lexical", {}, None, 4, folder / "spool")
        label_pairs(store, plan, account=None)
        pass_all(store)
    return folder


@pytest.fixture
def labelled(tmp_path: Path, labelled_folder: Path) -> Iterator[Store]:
    """A copy of that shop."""
    shutil.copytree(labelled_folder, tmp_path / "labelled")
    with Store.embedded(tmp_path / "labelled", sees_test=True) as store:
        yield store


def judge(
    store: Store, folder: Path, service: ChatService, *, limits: Limits | None = None, limit: int | None = None
) -> StepReport:
    return judge_steps(store, StepPlan(SCALE, served(service, folder, limits=limits), limit), account=None)


def refine(store: Store, folder: Path, service: ChatService) -> RefineReport:
    return refine_rationales(store, RefinePlan(SCALE, served(service, folder)), account=None)


def labels_shown(request: HttpRequest) -> list[str]:
    """The labels of the steps in a request, in order."""
    prompt = request.json()["messages"][1]["content"]
    (block,) = re.findall(r"<steps>\n(.*?)\n</steps>", prompt, re.DOTALL)
    return [line.split(": ")[0].split(". ")[1] for line in block.splitlines()]


def verdicts(labels: list[str], *, wrong: str) -> dict[str, Any]:
    """A judge's reply that finds one kind of step wrong."""
    return {
        "steps": [
            {
                "step": n,
                "explanation": f"on {label}",
                "references": [1],
                "error": "not_in_texts" if label == wrong else "none",
                "verdict": -1 if label == wrong else 1,
            }
            for n, label in enumerate(labels, 1)
        ]
    }


def finds_wrong(label: str) -> Answer:
    return lambda request: said(verdicts(labels_shown(request), wrong=label))


def step_verdicts(store: Store) -> list[dict[str, Any]]:
    return [row for row in rows_of(store, "step_verdicts") if row["verifier"] == JUDGE]


def test_every_step_of_a_train_rationale_is_judged_once_against_the_settled_grade(
    labelled: Store, tmp_path: Path
) -> None:
    before = labelled.frame("tier_facts").filter(part="judged").to_dicts()
    with chat_server(finds_wrong("attributes")) as service:
        report = judge(labelled, tmp_path, service)
        n_requests = service.n_requests
        again = judge(labelled, tmp_path, service)
        assert service.n_requests == n_requests == 20
    assert (report.n_rationales, report.asked.n_answered, again.n_rationales) == (20, 20, 0)
    assert (report.n_wrong, dict(report.errors), report.has_card) == (20, {"not_in_texts": 20}, False)
    assert report.kinds == {"grade": 20}
    rows = step_verdicts(labelled)
    assert len(rows) == report.n_verdicts
    steps = {
        row["candidate_id"]: steps_from_json(row["steps"]) for row in labelled.read("rationales_to_judge").to_pylist()
    }
    for row in rows:
        step = steps[row["candidate_id"]][row["step"] - 1]
        assert (row["verdict"] == -1) == (step.label == "attributes") == (row["error_type"] != "none")
        assert (row["aligned_to"], row["explanation"]) == (["grade"], f"on {step.label}")
    assert labelled.frame("tier_facts").filter(part="judged").to_dicts() == before  # no judge settles a grade


def test_without_a_judgment_the_approved_rules_that_vote_are_the_reference() -> None:
    row = {
        "candidate_id": "c_1",
        "settled_grade": None,
        "settled_steps": None,
        "rules": [{"rule_id": "r_aaaa", "text": "the kind <differs>", "grade": 0}],
    }
    reference = reference_of(row, SCALE)
    assert reference.kind is ReferenceKind.RULES
    assert reference.written() == "1. rule [r_aaaa] (irrelevant): the kind &lt;differs&gt;"
    with pytest.raises(ValueError, match="c_1 has neither"):
        reference_of({**row, "rules": None}, SCALE)


def test_an_expert_s_rationale_is_the_best_reference_and_another_one_asks_for_another_verdict() -> None:
    steps = json.dumps([["attributes", "colour differs"], ["verdict", "partly: colour"]])
    row = {"candidate_id": "c_1", "settled_grade": 1, "settled_steps": steps, "rules": None}
    reference = reference_of(row, SCALE)
    assert reference.kind is ReferenceKind.RATIONALE
    assert [line.name for line in reference.lines] == ["grade", "attributes", "verdict"]
    assert reference.written().splitlines()[1] == "2. the expert on attributes: colour differs"
    assert reference.digest != reference_of({**row, "settled_grade": 2}, SCALE).digest


MATERIAL = StepMaterial(
    candidate_id="c_1",
    pair_id="p_1",
    query="red mug",
    title="mug",
    body="",
    fields={},
    grade=1,
    steps=(Step("attributes", "colour differs"), Step("verdict", "partly: colour")),
    reference=Reference(ReferenceKind.GRADE, (ReferenceLine("grade", "1"),)),
)


def test_a_reply_is_read_with_its_steps_in_any_order() -> None:
    reply = verdicts(["attributes", "verdict"], wrong="verdict")
    reply["steps"].reverse()
    first, second = read_steps(json.dumps(reply), MATERIAL)
    assert (first.step, first.verdict, first.error_type, first.aligned_to) == (1, 1, "none", ("grade",))
    assert (second.step, second.verdict, second.error_type) == (2, -1, "not_in_texts")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"step": 2}, "not each step once: [2, 2]"),
        ({"step": 3}, "not each step once: [3, 2]"),
        ({"references": [2]}, "unlisted references: [2]"),
        ({"references": [0]}, "unlisted references: [0]"),
        ({"verdict": -1}, "verdict against error: step 1 is -1 and none"),
        ({"error": "wrong_rule"}, "verdict against error: step 1 is 1 and wrong_rule"),
        ({"error": "dull"}, "unknown error: 'dull'"),
        ({"verdict": 0}, "off the schema at steps.0.verdict"),
        ({"verdict": 0.5}, "off the schema at steps.0.verdict"),
        ({"explanation": ""}, "off the schema at steps.0.explanation"),
    ],
)
def test_a_reply_that_does_not_add_up_is_a_reason(changed: dict[str, Any], reason: str) -> None:
    reply = verdicts(["attributes", "verdict"], wrong="")
    reply["steps"][0] |= changed
    told = check_steps(json.dumps(reply), MATERIAL)
    assert told is not None and told.startswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"steps": [', "not JSON"),
        ("<html></html>", "not JSON"),
        ('{"steps": []}', "not each step once"),
        ('{"steps": [], "pair_id": "p_2"}', "about another pair: p_2"),
        ("[]", "off the schema at the top"),
    ],
)
def test_what_is_no_reply_is_a_reason(text: str, reason: str) -> None:
    told = check_steps(text, MATERIAL)
    assert told is not None and told.startswith(reason)


def test_bad_replies_are_counted_and_only_they_are_asked_again(labelled: Store, tmp_path: Path) -> None:
    """Of 20 rationales three meet a bad reply, the two that can be shown to the judge twice: 22 exchanges."""
    good = finds_wrong("intent")
    seen: dict[str, HttpReply | None] = {}
    bad = [HttpReply(body=b"<html>"), said({"steps": []}), said({"steps": [], "pair_id": "p_0"})]

    def answer(request: HttpRequest) -> HttpReply:
        prompt = request.json()["messages"][1]["content"]
        if prompt not in seen:
            seen[prompt] = bad.pop() if bad and len(seen) % 2 else None
        return seen[prompt] or good(request)

    with chat_server(answer) as service:
        first = judge(labelled, tmp_path, service)
        seen.clear()
        second = judge(labelled, tmp_path, service)
    assert first.asked.failures == {"not a chat completion": 1, "not each step once": 1, "about another pair": 1}
    assert (first.asked.n_answered, first.asked.n_exchanges) == (17, 22)
    assert (second.n_rationales, second.asked.n_answered, second.asked.n_failed) == (3, 3, 0)


def test_a_budget_and_a_limit_end_it_and_the_next_run_goes_on(labelled: Store, tmp_path: Path) -> None:
    with chat_server(finds_wrong("intent")) as service:
        first = judge(labelled, tmp_path, service, limits=Limits(n_requests=5))
        assert first.asked.stopped is not None and (first.asked.n_answered, service.n_requests) == (5, 5)
        assert judge(labelled, tmp_path, service, limit=4).n_rationales == 4
        assert judge(labelled, tmp_path, service).n_rationales == 11


def rationale(grade: int, **changed: Any) -> dict[str, Any]:
    reply = {
        "grade": grade,
        "intent": "a mug",
        "document": "a mug",
        "category": None,
        "attributes": "the colour is [r_ffff] another",
        "rules": [],
        "verdict": "it is so",
        "confidence": 0.9,
    }
    return {**reply, **changed}


def mends(request: HttpRequest, *, is_right: bool = False, **changed: Any) -> HttpReply:
    prompt = request.json()["messages"][1]["content"]
    grade = int(re.findall(r"^grade: (\d)", prompt, re.MULTILINE)[0])
    n_rules = len(re.findall(r"^\d+\. ", re.findall(r"<rules>\n(.*?)\n</rules>", prompt, re.DOTALL)[0], re.MULTILINE))
    audit = [{"step": n, "is_right": is_right, "why": "so"} for n in range(1, len(labels_shown(request)) + 1)]
    cited = {"rules": [1] if n_rules else []}
    return said({"audit": audit, "rationale": {**rationale(grade, **cited), **changed}})


def test_a_weak_rationale_is_refined_for_the_same_grade_and_kept_as_a_machine_s_preference(
    labelled: Store, tmp_path: Path
) -> None:
    with chat_server(finds_wrong("attributes")) as service:
        judge(labelled, tmp_path, service)
    weak = labelled.read("weak_rationales", critic="nobody").to_pylist()
    with chat_server(mends) as service:
        report = refine(labelled, tmp_path, service)
        n_requests = service.n_requests
        again = refine(labelled, tmp_path, service)
        assert service.n_requests == n_requests == len(weak)
    assert (report.n_weak, report.n_refined, report.asked.n_failed) == (len(weak), len(weak), 0)
    assert again.n_weak == 0 and again.has_verdicts
    settled = {row["pair_id"]: row["grade"] for row in labelled.read("train_pairs", judgments="all").to_pylist()}
    assert all(settled[row["pair_id"]] == row["grade"] for row in weak)  # no rationale of an overruled grade
    book = {row["rule_id"] for row in labelled.read("rule_book").to_pylist() if row["status"] == "approved"}
    votes = {(row["rule_id"], row["pair_id"]) for row in rows_of(labelled, "rule_votes")}
    n_citing = 0
    for row in rows_of(labelled, "preferences"):
        chosen, rejected = json.loads(row["chosen"]), json.loads(row["rejected"])
        assert (row["proposer"], row["response_id"]) == (JUDGE, None)
        assert chosen["grade"] == rejected["grade"] == settled[row["pair_id"]]
        assert [label for label, _ in chosen["steps"]] == [x for x in STEP_LABELS if x in dict(chosen["steps"])]
        cited = set(re.findall(r"\[(r_[0-9a-f]+)\]", str(chosen["steps"])))
        n_citing += bool(cited)
        assert cited <= book and all((rule_id, row["pair_id"]) in votes for rule_id in cited)
        assert "(r_ffff)" in dict(chosen["steps"])["attributes"]  # its own words cite nothing
    assert n_citing
    assert labelled.read("export_preferences").num_rows == 0


def test_a_refined_rationale_that_a_label_could_not_be_is_refused(labelled: Store, tmp_path: Path) -> None:
    """Each weak rationale meets one of four bad replies, always the same."""
    bad: list[dict[str, Any]] = [{"grade": 9}, {"rules": [99]}, {"verdict": ""}, {"document": ""}]
    seen: list[str] = []

    def answer(request: HttpRequest) -> HttpReply:
        prompt = request.json()["messages"][1]["content"]
        if prompt not in seen:
            seen.append(prompt)
        place = seen.index(prompt) % 5
        grade = int(re.findall(r"^grade: (\d)", prompt, re.MULTILINE)[0])
        return mends(request, **bad[place]) if place < 4 else mends(request, grade=(grade + 1) % 3)

    with chat_server(finds_wrong("attributes")) as service:
        judge(labelled, tmp_path, service, limit=10)
    with chat_server(answer) as service:
        report = refine(labelled, tmp_path, service)
    assert (report.n_refined, report.asked.n_failed) == (0, report.n_weak)
    assert set(report.asked.failures) == {
        "off the scale",
        "unlisted rules",
        "off the schema at rationale.verdict",
        "off the schema at rationale.document",
        "another grade",
    }
    assert rows_of(labelled, "preferences") == []


def test_what_the_audit_finds_right_stays_as_it_is_and_is_not_audited_again(labelled: Store, tmp_path: Path) -> None:
    with chat_server(finds_wrong("attributes")) as service:
        judge(labelled, tmp_path, service)
    with chat_server(lambda request: mends(request, is_right=True)) as service:
        first, second = refine(labelled, tmp_path, service), refine(labelled, tmp_path, service)
    assert first.n_sound == first.n_weak > 0 and first.n_refined == 0
    assert second.n_weak == 0 and rows_of(labelled, "preferences") == []


def test_the_latest_card_says_whether_a_judge_may_order_the_queue(labelled: Store, tmp_path: Path) -> None:
    with chat_server(finds_wrong("attributes")) as service:
        assert not judge(labelled, tmp_path, service, limit=1).has_card
        labelled.append({"judge_cards": card_rows(JUDGE, is_passed=True, run_id="run_1")})
        assert judge(labelled, tmp_path, service, limit=1).has_card
        labelled.append({"judge_cards": card_rows(JUDGE, is_passed=False, run_id="run_2")})
        assert not judge(labelled, tmp_path, service, limit=1).has_card


def test_an_erased_query_takes_what_was_said_about_it_along(labelled: Store, tmp_path: Path) -> None:
    """Verdicts, audits, preferences and the calls behind them; others keep theirs."""
    with chat_server(finds_wrong("attributes")) as service:
        judge(labelled, tmp_path, service)
    with chat_server(mends) as service:
        refine(labelled, tmp_path, service)
    text = "red mug number 0"
    (query_id,) = [row["query_id"] for row in rows_of(labelled, "queries") if row["text"] == text]
    labelled.erase(kind="query", value=query_id, account="root", reason=None, run_id="run_0")
    pairs = {row["pair_id"] for row in rows_of(labelled, "pairs") if row["query_id"] == query_id}
    candidates = {row["candidate_id"] for row in rows_of(labelled, "candidates") if row["pair_id"] in pairs}
    said_of = [row for row in rows_of(labelled, "step_verdicts") if row["candidate_id"] in candidates]
    assert len(candidates) == 4 and {row["explanation"] for row in said_of} == {"[erased]"}
    preferred = [row for row in rows_of(labelled, "preferences") if row["pair_id"] in pairs]
    assert preferred and all(json.loads(row["chosen"])["steps"] == [] for row in preferred)
    others = [row for row in rows_of(labelled, "step_verdicts") if row["candidate_id"] not in candidates]
    assert "[erased]" not in {row["explanation"] for row in others}
    calls = rows_of(labelled, "llm_calls")
    assert not any(text in row["request"] for row in calls)
    assert {row["reply"] for row in calls if row["failure"] == "erased"} == {"[erased]"}
