"""A reply is paid for once: spooled before anything else, found again by what was asked, repaired at most once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server
from evolution.calls.budget import Budget, BudgetSpentError, Limits
from evolution.calls.llm import Message, Request
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.paid_calls import Answer, Ask, Calls, drain_calls, reply_id
from evolution.labelling.request import label_schema
from storage.errors import UserError
from storage.spool import drain
from storage.store import Store
from tests.evolution.conftest import KEY, SCALE, ChatServer, completion, label_text

ENVIRONMENT = {"LOCAL_KEY": KEY}


def request(text: str = "red mug") -> Request:
    return Request("label", "label", (Message("user", text),), label_schema(SCALE), None, "m", "digest")


def check(text: str) -> str | None:
    return None if text.startswith("{") else "not JSON: it begins with a letter"


def calls(config: LlmConfig, folder: Path, *, held: dict[str, str] | None = None) -> Calls:
    return Calls(OpenAILLM(config, ENVIRONMENT), folder=folder, run_id="run_1", held=held or {})


def test_a_good_reply_is_on_the_spool_when_ask_returns(config: LlmConfig, tmp_path: Path) -> None:
    with calls(config, tmp_path) as asked:
        answer = asked.ask(request(), check)
    assert answer.text == label_text()
    (spool,) = drain(tmp_path)
    sent, row = spool.records
    assert (sent["sent"], sent["call"], row["sent"]) == (1, answer.llm_call_id, 1)
    assert (row["llm_call_id"], row["reply"], row["failure"]) == (answer.llm_call_id, label_text(), None)
    assert (row["n_prompt_tokens"], row["n_completion_tokens"]) == (7, 3)
    assert KEY not in str(row)


def test_a_held_reply_is_never_asked_for_again(server: ChatServer, config: LlmConfig, tmp_path: Path) -> None:
    held = {reply_id(request(), "openai"): label_text(1)}
    with calls(config, tmp_path, held=held) as asked:
        assert asked.ask(request(), check).text == label_text(1)
    assert server.requests == []


def test_a_malformed_reply_is_repaired_once_and_both_are_kept(
    server: ChatServer, config: LlmConfig, tmp_path: Path
) -> None:
    """The good one bears the name of the first question, so that a restart asks neither."""
    server.queue = [(200, completion("grade two")), (200, completion(label_text()))]
    with calls(config, tmp_path) as asked:
        answer = asked.ask(request(), check)
    assert (answer.text, answer.llm_call_id) == (label_text(), reply_id(request(), "openai"))
    assert [row["failure"] for row in answer.rows] == ["not JSON: it begins with a letter", None]
    repair = server.requests[1]["messages"]
    assert repair[1] == {"role": "assistant", "content": "grade two"}
    assert "it begins with a letter" in repair[2]["content"]


def test_a_second_malformed_reply_is_a_failure_with_its_reason(
    server: ChatServer, config: LlmConfig, tmp_path: Path
) -> None:
    server.default = lambda _: (200, completion("grade two"))
    with calls(config, tmp_path) as asked:
        answer = asked.ask(request(), check)
    assert (answer.text, answer.failure) == (None, "not JSON: it begins with a letter")
    assert len(server.requests) == 2
    assert reply_id(request(), "openai") not in {row["llm_call_id"] for row in answer.rows}


def test_a_server_error_is_not_repaired(server: ChatServer, config: LlmConfig, tmp_path: Path) -> None:
    server.default = lambda _: (500, {"error": {}})
    with calls(config, tmp_path) as asked:
        assert (asked.ask(request(), check).failure or "").startswith("http 500")
    assert len(server.requests) == 2  # the client's one retry


def test_the_name_of_a_call_depends_on_everything_that_is_asked() -> None:
    first = request()
    others = [
        request("blue mug"),
        Request("label", "label", first.messages, first.schema, None, "n", "digest"),
        Request("label", "label", first.messages, first.schema, None, "m", "other"),
        Request("label", "label", first.messages, first.schema, None, "m", "digest", {"temperature": 1}),
        Request("judge", "label", first.messages, first.schema, None, "m", "digest"),
        Request("label", "label", first.messages, {}, None, "m", "digest"),
    ]
    others += [replace(first, seed=1), replace(first, sample_index=1), replace(first, operator="again")]
    names = {reply_id(each, "openai") for each in (first, *others)} | {reply_id(first, "another")}
    assert len(names) == 11


def test_a_restart_stores_what_the_dead_left_and_clears_it_away(
    config: LlmConfig, tmp_path: Path, store: Store
) -> None:
    with calls(config, tmp_path / "spool") as asked:
        asked.ask(request("one"), check)
        asked.ask(request("two"), check)
    assert drain_calls(store, tmp_path / "spool").n_replies == 2
    assert list((tmp_path / "spool").iterdir()) == []
    replies = store.read("good_replies", role="label", provider="openai", model="m").to_pylist()
    assert {row["llm_call_id"] for row in replies} == {
        reply_id(request("one"), "openai"),
        reply_id(request("two"), "openai"),
    }
    assert drain_calls(store, tmp_path / "spool").n_replies == 0


def served(
    service: ChatService, folder: Path, *, ceiling: int = 8, max_retries: int = 2, limits: Limits | None = None
) -> Calls:
    llm = OpenAILLM(LlmConfig("m", base_url=service.url, key_variable=None, max_retries=max_retries))
    return Calls(llm, folder=folder, run_id="run_1", held={}, ceiling=ceiling, budget=Budget(limits or Limits()))


def asks(n: int) -> Iterator[Ask[int]]:
    return (Ask(i, request(f"pair {i}"), check) for i in range(n))


def good(_: HttpRequest) -> HttpReply:
    return HttpReply(body=completion(label_text()), seconds=0.005)


def test_many_are_asked_at_a_time_and_never_more_than_allowed(tmp_path: Path) -> None:
    """Nor is more taken from the source than is asked soon: a run of any length holds a window of it."""
    taken = 0

    def source() -> Iterator[Ask[int]]:
        nonlocal taken
        for ask in asks(300):
            taken += 1
            yield ask

    with chat_server(good) as service, served(service, tmp_path) as calls:
        ahead, subjects = 0, set()
        for n, (subject, answer) in enumerate(calls.ask_all(source())):
            assert answer.text == label_text()
            subjects.add(subject)
            ahead = max(ahead, taken - n)
        assert subjects == set(range(300))
        assert 2 <= service.most_open <= 8
        assert ahead <= 2 * 8 + 16 + 1


def test_the_same_question_asked_by_several_is_sent_once(tmp_path: Path) -> None:
    """At the same time, and again after the answer has come."""
    with chat_server(good) as service, served(service, tmp_path) as calls:
        same = (Ask(i, request(), check) for i in range(10))
        answers = [answer for _, answer in calls.ask_all(same)]
        answers.append(calls.ask(request(), check))
        assert service.n_requests == 1
    assert {answer.text for answer in answers} == {label_text()}
    assert sum(len(answer.rows) for answer in answers) == 1


def test_a_server_that_refuses_what_is_too_much_is_asked_less_and_answers_all(tmp_path: Path) -> None:
    """It bears five at a time; a refused request costs no try, however often it is refused."""

    def strict(_: HttpRequest) -> HttpReply:
        if service.n_open > 5:
            return HttpReply(429, {"error": {"message": "slow down"}}, (("retry-after-ms", "5"),))
        return HttpReply(body=completion(label_text()), seconds=0.01)

    with chat_server(strict) as service, served(service, tmp_path, ceiling=64, max_retries=0) as calls:
        answers = [answer for _, answer in calls.ask_all(asks(150))]
        n_refused = service.n_requests - 150
    assert len(answers) == 150 and all(answer.text for answer in answers)
    assert 0 < n_refused < 150


def test_after_a_limit_is_used_up_nothing_is_sent_until_it_is_new(tmp_path: Path) -> None:
    """The tenth reply says that no request is left for 300 ms."""
    started = time.monotonic()
    came: list[float] = []

    def limited(_: HttpRequest) -> HttpReply:
        came.append(time.monotonic() - started)
        used_up = (("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "300ms"))
        return HttpReply(body=completion(label_text()), headers=used_up if len(came) == 10 else ())

    with chat_server(limited) as service, served(service, tmp_path, ceiling=1) as calls:
        assert len(list(calls.ask_all(asks(20)))) == 20
    assert came[10] - came[9] >= 0.29


def test_the_first_failures_alike_stop_the_run_with_the_cause(tmp_path: Path) -> None:
    broken = HttpReply(500, {"error": {"message": "no GPU"}}, (("retry-after-ms", "1"),))
    with chat_server(lambda _: broken) as service, served(service, tmp_path, max_retries=0) as calls:
        answers = []
        with pytest.raises(UserError, match=r"the first 10 calls all failed: http 500.*no GPU.*is kept"):
            answers += calls.ask_all(asks(1000))
        assert service.n_requests < 40


def test_an_empty_account_is_not_waited_for(tmp_path: Path) -> None:
    empty = HttpReply(429, {"error": {"code": "insufficient_quota", "message": "no credit"}})
    with chat_server(lambda _: empty) as service, served(service, tmp_path) as calls:
        with pytest.raises(UserError, match=r"the first 10 calls all failed: http 429.*insufficient_quota"):
            list(calls.ask_all(asks(1000)))
        assert service.n_requests < 40


def test_a_wish_to_be_left_alone_for_an_hour_ends_the_run(tmp_path: Path) -> None:
    full = HttpReply(429, {"error": {"message": "daily limit"}}, (("retry-after", "3600"),))
    with (
        chat_server(lambda _: full) as service,
        served(service, tmp_path) as calls,
        pytest.raises(UserError, match=r"wants no request for 3600 s"),
    ):
        list(calls.ask_all(asks(100)))


def test_a_budget_ends_the_run_before_its_line_and_what_was_under_way_is_answered(tmp_path: Path) -> None:
    with chat_server(good) as service, served(service, tmp_path, limits=Limits(n_requests=25)) as calls:
        answers: list[tuple[int, Answer]] = []
        with pytest.raises(BudgetSpentError, match="stopped before the line of --max-requests 25"):
            answers.extend(calls.ask_all(asks(100)))
        assert (len(answers), service.n_requests) == (25, 25)


def test_a_run_that_is_stopped_sends_nothing_more_and_gets_what_is_under_way(tmp_path: Path) -> None:
    """As Ctrl+C does it: eight are out when the first is taken."""
    with chat_server(good) as service, served(service, tmp_path) as calls:
        answers = calls.ask_all(asks(1000))
        first = next(iter(answers))
        rest = list(answers.rest(seconds=5))
        n_sent = service.n_requests
        assert 1 + len(rest) == n_sent < 40 and first[1].text
    (spool,) = drain(tmp_path)
    assert sum("reply" in record for record in spool.records) == n_sent


def test_what_takes_too_long_when_a_run_is_stopped_is_given_up_and_told_to_the_next(
    tmp_path: Path, store: Store
) -> None:
    """One is answered at once; eight are out when the run is stopped, and none of them comes back."""

    def slow_but_the_first(one: HttpRequest) -> HttpReply:
        is_first = "pair 0" in str(one.json()["messages"])
        return HttpReply(body=completion(label_text()), seconds=0.0 if is_first else 30.0)

    with chat_server(slow_but_the_first) as service, served(service, tmp_path / "spool") as calls:
        answers = calls.ask_all(asks(100))
        assert next(iter(answers))[1].text
        time.sleep(0.1)
        assert list(answers.rest(seconds=0.1)) == []
        assert service.n_requests == 9
    report = drain_calls(store, tmp_path / "spool")
    assert (report.n_replies, report.n_in_flight) == (1, 8)


def test_a_check_that_breaks_does_not_cost_the_reply(tmp_path: Path) -> None:
    def broken(_: str) -> str | None:
        raise ZeroDivisionError

    with chat_server(good) as service, served(service, tmp_path) as calls, pytest.raises(ZeroDivisionError):
        calls.ask(request(), broken)
    (spool,) = drain(tmp_path)
    kept = spool.records[1]
    assert (kept["reply"], kept["failure"]) == (label_text(), "not checked: ZeroDivisionError")
    assert service.n_requests == 1


def test_the_log_probabilities_of_the_grade_are_kept_with_the_call(tmp_path: Path, store: Store) -> None:
    token = {"token": "2", "logprob": -0.25, "top_logprobs": [{"token": "1", "logprob": -1.5}]}
    logprobs = {"content": [{"token": '{"grade": ', "logprob": 0.0, "top_logprobs": []}, token]}
    reply = HttpReply(body=completion(label_text(), logprobs=logprobs))
    with chat_server(lambda _: reply) as service, served(service, tmp_path) as calls:
        answer = calls.ask(request(), check)
        assert service.requests[0].json()["logprobs"] is True
    store.append({"llm_calls": list(answer.rows)})
    (row,) = store.read("why_call", id=answer.llm_call_id).to_pylist()
    assert json.loads(row["grade_logprobs"]) == {"1": -1.5, "2": -0.25}
