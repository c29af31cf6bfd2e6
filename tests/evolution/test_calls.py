"""A reply is paid for once: spooled before anything else, found again by what was asked, repaired at most once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from evolution.calls import Calls, drain_calls, reply_id
from evolution.labelling import label_schema
from evolution.llm import Message, Request
from evolution.llm_config import LlmConfig
from evolution.openai_llm import OpenAILLM
from storage.spool import drain
from storage.store import Store
from tests.conftest import ROOT
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
    (row,) = spool.records
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
    names = {reply_id(each, "openai") for each in (first, *others)} | {reply_id(first, "another")}
    assert len(names) == 8


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


WORKER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from evolution.calls import Calls
from evolution.llm_config import LlmConfig
from evolution.openai_llm import OpenAILLM
from tests.evolution.test_calls import check, request
config = LlmConfig("m", base_url=sys.argv[1], key_variable=None, max_retries=0)
llm = OpenAILLM(config)
with Calls(llm, folder=Path(sys.argv[2]), run_id="run_1", held={}) as calls, ThreadPoolExecutor(4) as pool:
    for answer in pool.map(lambda n: calls.ask(request(f"pair {n}"), check), range(400)):
        print(answer.llm_call_id, flush=True)
"""


def test_a_killed_run_loses_no_spooled_reply_and_asks_only_for_the_rest(
    server: ChatServer, config: LlmConfig, tmp_path: Path, store: Store
) -> None:
    folder = tmp_path / "spool"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, server.url, str(folder)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert worker.stdout is not None
    acknowledged = {worker.stdout.readline().strip() for _ in range(30)}
    os.kill(worker.pid, signal.SIGKILL)
    worker.stdout.close()
    worker.wait()
    time.sleep(0.1)  # the server's last answers to nobody
    n_asked = len(server.requests)
    drain_calls(store, folder)
    rows = store.read("good_replies", role="label", provider="openai", model="m").to_pylist()
    held = {row["llm_call_id"]: row["reply"] for row in rows}
    assert acknowledged <= set(held)
    assert len(held) >= n_asked - 4  # at most one reply of each thread was on its way to the disk
    with calls(config, folder, held=held) as again:
        for n in range(n_asked):
            again.ask(request(f"pair {n}"), check)
    assert len(server.requests) - n_asked == n_asked - len(held)
