"""Cards of judges that have a bias or none, by really asking them; what goes wrong on the way is counted and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.chat_server import HttpReply, HttpRequest, chat_server, completion
from evolution.calls.budget import Limits
from evolution.judges.bias_lines import Rated, card_lines
from evolution.judges.card_run import CardPlan, CardReport, make_card
from evolution.judges.perturbations import PERTURBATIONS, Shown
from evolution.judges.rating import check_rating
from storage.errors import UserError
from storage.store import Store
from tests.evolution.conftest import SCALE, fill
from tests.evolution.conftest import completion as chat
from tests.evolution.judges.shop_judges import JUDGE, JUDGES, as_seen, rating, said, seen, served, true_grade

N_PAIRS = 60  # 20 of each grade
N_FORMS = 1 + len(PERTURBATIONS)


def card(store: Store, folder: Path, service: Any, *, limits: Limits | None = None, is_dry: bool = False) -> CardReport:
    plan = CardPlan(SCALE, served(service, folder, limits=limits), N_PAIRS)
    return make_card(store, plan, account=None, is_dry=is_dry)


def test_a_fair_judge_passes_once_and_only_train_pairs_are_shown_it(store: Store, tmp_path: Path) -> None:
    """Of 60 pairs 20 have the highest grade, so 40 have room to rise."""
    fill(store)
    dev = {row["query"] for row in store.read("held_back_queries").to_pylist()}
    settled = store.frame("tier_facts").filter(part="judged").sort("judgment_id")
    with chat_server(rating(true_grade)) as service:
        first, second = card(store, tmp_path, service), card(store, tmp_path, service)
        assert service.n_requests == N_PAIRS * N_FORMS
        asked = {seen(request).query.rpartition(": ")[2] for request in service.requests}
    assert asked and dev and not asked & dev
    assert first.is_passed and second.finished_before is not None and second.lines == ()
    assert [(line.bias.value, line.n) for line in first.lines] == [
        ("length_padding", 40), ("keyword_stuffing", 40), ("order", 60), ("paraphrase", 60), ("over_rating", 60)
    ]  # fmt: skip
    (standing,) = store.read("judge_standing").to_pylist()
    assert (standing["judge"], standing["is_passed"], standing["failed"]) == (JUDGE, True, [])
    assert len(store.read("judge_card", judge=JUDGE)) == 5
    # no judge settles a grade
    assert store.frame("tier_facts").filter(part="judged").sort("judgment_id").equals(settled)


def test_a_judge_that_likes_length_fails_that_line_and_no_other(store: Store, tmp_path: Path) -> None:
    """It raises every one of the 40 pairs it can."""
    fill(store)
    with chat_server(rating(JUDGES["likes length"][0])) as service:
        report = card(store, tmp_path, service)
    assert [line.bias.value for line in report.lines if not line.is_passed] == ["length_padding"]
    row = {row["bias"]: row for row in store.read("judge_card", judge=JUDGE).to_pylist()}["length_padding"]
    assert (row["value"], row["n"], row["bound"], row["is_passed"]) == (1.0, 40, 0.1, False)
    assert store.read("judge_standing").to_pylist()[0]["failed"] == ["length_padding"]


@pytest.mark.parametrize("name", list(JUDGES))
def test_each_bias_fails_its_own_line_only(name: str) -> None:
    """The shop's pairs as its judges see them, without a server between: 20 of each grade."""
    judge, failing = JUDGES[name]
    rated = []
    for n in range(20):
        for title in ("red mug", "blue mug", "red lamp"):
            shown = Shown(f"p_{n}", f"red mug number {n}", title, "", {})
            truth = true_grade(as_seen(shown))
            changed = {bias: judge(as_seen(change(shown))) for bias, change in PERTURBATIONS.items()}
            rated.append(Rated(truth, judge(as_seen(shown)), changed))
    lines = {line.bias.value: line for line in card_lines(rated, SCALE)}
    assert {bias for bias, line in lines.items() if not line.is_passed} == failing
    if name == "over-rates":  # the 20 of grade 0 are rated 1
        assert lines["over_rating"].value == pytest.approx(20 / 60)
    if name == "trips over wording":  # the 40 that are not irrelevant become so
        assert lines["paraphrase"].value == pytest.approx(40 / 60)


def test_every_kind_of_bad_reply_is_a_reason_and_only_those_are_asked_again(store: Store, tmp_path: Path) -> None:
    """Eight of the 300 questions meet a bad reply each, twice where it can be repaired."""
    fill(store)
    good = rating(true_grade)
    bad = [
        HttpReply(body=b"<html>log in</html>"),
        HttpReply(body=completion('{"grade": 1, "reason": "x"}'), cut=200),
        HttpReply(body={**chat("{}"), "choices": []}),
        HttpReply(body={**chat("{}"), "choices": chat("{}")["choices"] * 2}),
        said({"grade": 1, "reason": "x", "pair_id": "p_00000000deadbeef"}),
        said({"grade": 7, "reason": "x"}),
        said({"grade": "one", "reason": "x"}),
        HttpReply(503, {"error": {"message": "busy"}}),
    ]
    by_prompt: dict[str, HttpReply | None] = {}
    is_well = False

    def answer(request: HttpRequest) -> HttpReply:
        prompt = str(request.json()["messages"][:2])
        if prompt not in by_prompt:
            by_prompt[prompt] = bad[len(by_prompt) // 2] if len(by_prompt) % 2 and len(by_prompt) < 16 else None
        return good(request) if is_well else by_prompt[prompt] or good(request)

    with chat_server(answer) as service:
        first = card(store, tmp_path, service)
        n_asked, is_well = service.n_requests, True
        second = card(store, tmp_path, service)
        assert service.n_requests == n_asked + len(bad)
        third = card(store, tmp_path, service)
    assert dict(first.asked.failures) == {
        "not a chat completion": 1,
        "broken off": 1,
        "0 choices where 1 was asked for": 1,
        "2 choices where 1 was asked for": 1,
        "about another pair": 1,
        "off the scale": 1,
        "off the schema at grade": 1,
        "http 503": 1,
    }
    assert (second.asked.n_failed, second.asked.n_held) == (0, N_PAIRS * N_FORMS - len(bad))
    assert second.is_passed and third.finished_before is not None


def test_a_budget_ends_it_without_a_card_and_the_next_run_asks_for_the_rest(store: Store, tmp_path: Path) -> None:
    fill(store)
    with chat_server(rating(true_grade)) as service:
        first = card(store, tmp_path, service, limits=Limits(n_requests=100))
        assert first.asked.stopped is not None and "--max-requests 100" in first.asked.stopped
        assert (first.lines, service.n_requests, len(store.read("judge_standing"))) == ((), 100, 0)
        assert card(store, tmp_path, service).is_passed and service.n_requests == N_PAIRS * N_FORMS


def test_a_dry_run_estimates_and_asks_nothing(store: Store, tmp_path: Path) -> None:
    fill(store)
    with chat_server(rating(true_grade)) as service:
        report = card(store, tmp_path, service, is_dry=True)
        assert service.n_requests == 0
    assert report.estimate is not None and report.estimate.n_calls == N_PAIRS * N_FORMS


def test_too_few_judgments_are_refused_with_the_next_command(store: Store, tmp_path: Path) -> None:
    fill(store, n_queries=2)
    with chat_server(rating(true_grade)) as service, pytest.raises(UserError, match=r"8 train pairs .* afrel ingest"):
        card(store, tmp_path, service)


def test_half_a_reply_or_a_grade_off_the_scale_is_a_reason() -> None:
    for text, reason in (
        ('{"grade": 1, "rea', "not JSON"),
        ('{"grade": 3, "reason": "x"}', "off the scale: grade 3"),
        ('{"grade": 1}', "off the schema at reason"),
        ('{"grade": true, "reason": "x"}', "off the schema at grade"),
        ("[" * 100_000, "not JSON"),
    ):
        told = check_rating(text, pair_id="p_1", scale=SCALE)
        assert told is not None and told.startswith(reason), text[:40]
    assert check_rating('{"grade": 1, "reason": ""}', pair_id="p_1", scale=SCALE) is None
