"""The OpenAI path against a server that speaks the protocol: good and bad replies, and where keys may travel."""

from __future__ import annotations

import logging
import traceback

import pytest

from benchmarks.chat_server import HttpReply, chat_server
from evolution.calls.llm import Message, Request
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.labelling.request import label_schema
from storage.errors import UserError
from tests.evolution.conftest import KEY, SCALE, ChatServer, completion, label_text

ENVIRONMENT = {"LOCAL_KEY": KEY, "OPENAI_API_KEY": "sk-of-the-default-host"}


def request() -> Request:
    return Request("label", "label", (Message("user", "red mug"),), label_schema(SCALE), None, "m", "digest")


def test_a_good_run_sends_a_strict_schema_and_reads_text_and_usage(server: ChatServer, config: LlmConfig) -> None:
    reply = OpenAILLM(config, ENVIRONMENT).complete(request())
    assert (reply.text, reply.failure) == (label_text(), None)
    assert (reply.usage.n_prompt_tokens, reply.usage.n_completion_tokens) == (7, 3)
    (body,) = server.requests
    assert body["response_format"]["json_schema"]["strict"] is True
    assert next(iter(body["response_format"]["json_schema"]["schema"]["properties"])) == "grade"
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_server_error_is_retried_and_then_answered(server: ChatServer, config: LlmConfig) -> None:
    server.queue = [(500, {"error": {"message": "busy"}})]
    assert OpenAILLM(config, ENVIRONMENT).complete(request()).failure is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [500, 429])
def test_retries_end_in_a_failure_with_its_reason(server: ChatServer, config: LlmConfig, status: int) -> None:
    server.default = lambda _: (status, {"error": {"message": "busy"}})
    reply = OpenAILLM(config, ENVIRONMENT).complete(request())
    assert reply.text is None
    assert reply.failure is not None and reply.failure.startswith(f"http {status}:") and "busy" in reply.failure
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html>please log in</html>", "not a chat completion: <html>"),
        ("", "not a chat completion"),
        ({"choices": []}, "0 choices where 1 was asked for"),
        (completion(None), "empty reply"),
        (completion('{"grade": ', finish_reason="length"), "cut off at the token limit"),
        (completion(None, message={"role": "assistant", "content": None, "refusal": "no"}), "refused by the model: no"),
    ],
)
def test_a_reply_that_is_no_completion_is_a_failure_and_no_text(
    server: ChatServer, config: LlmConfig, body: object, reason: str
) -> None:
    server.queue = [(200, body)]
    reply = OpenAILLM(config, ENVIRONMENT).complete(request())
    assert reply.failure is not None and reply.failure.startswith(reason)


def test_a_wrong_key_stops_the_run_and_names_host_and_variable_but_not_the_key(
    server: ChatServer, config: LlmConfig
) -> None:
    server.default = lambda _: (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    with pytest.raises(UserError) as refused:
        OpenAILLM(config, ENVIRONMENT).complete(request())
    assert str(refused.value).startswith(f"401 from {config.host}: check LOCAL_KEY")
    assert KEY not in "".join(traceback.format_exception(refused.value))
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)  # its request would carry the key


def test_an_unknown_model_stops_the_run(server: ChatServer, config: LlmConfig) -> None:
    server.default = lambda _: (404, {"error": {"message": "no model m"}})
    with pytest.raises(UserError, match=r"404 from .* for model 'm'.*--model MODEL"):
        OpenAILLM(config, ENVIRONMENT).complete(request())


def test_a_server_that_repeats_the_key_does_not_get_it_into_a_reply(
    server: ChatServer, config: LlmConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    llm = OpenAILLM(config, ENVIRONMENT)
    long = f"{'x' * 290}{KEY}"  # cut in the middle of the key it would still tell half of it
    for status, body in (
        (200, completion(f"you sent {KEY}")),
        (418, f"you sent {KEY}"),
        (200, f"<p>{KEY}</p>"),
        (418, long),
        (200, long),
    ):
        server.queue = [(status, body)]
        assert KEY[:8] not in repr(llm.complete(request()))
    assert KEY[:8] not in caplog.text


def test_nothing_of_the_default_host_travels_to_another(
    server: ChatServer, config: LlmConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself reads these from the environment; none may arrive."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "of-the-default-host")
    monkeypatch.setenv(
        "OPENAI_CUSTOM_HEADERS", "x-team: of-the-default-host\nAuthorization: Bearer of-the-default-host"
    )
    monkeypatch.setenv("LOCAL_KEY", KEY)
    OpenAILLM(config).complete(request())
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "of-the-default-host" not in str(server.headers)


def test_a_server_without_keys_gets_none(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    config = LlmConfig("m", base_url=server.url, key_variable=None, max_retries=0)
    assert OpenAILLM(config).complete(request()).failure is None
    assert "authorization" not in server.headers[0]


def test_a_missing_key_is_told_before_any_call(server: ChatServer, config: LlmConfig) -> None:
    with pytest.raises(UserError, match=r"LOCAL_KEY is not set.*export LOCAL_KEY"):
        OpenAILLM(config, {"OPENAI_API_KEY": "secret"})
    assert server.requests == []


def test_a_server_that_is_not_there_is_a_failure_with_its_host() -> None:
    config = LlmConfig("m", base_url="http://127.0.0.1:9/v1", key_variable=None, max_retries=0)
    failure = OpenAILLM(config, {}).complete(request()).failure
    assert failure is not None and failure.startswith("no connection to 127.0.0.1:9")


def test_a_key_that_cannot_be_one_is_told_without_telling_it(config: LlmConfig) -> None:
    with pytest.raises(UserError, match="LOCAL_KEY holds characters no key has") as refused:
        OpenAILLM(config, {"LOCAL_KEY": "sk-secret\nX-Evil: 1"})
    assert "secret" not in str(refused.value)


def test_a_server_that_takes_no_logprobs_is_asked_without_them_from_then_on(
    server: ChatServer, config: LlmConfig
) -> None:
    server.default = lambda body: (
        (400, {"error": {"message": "logprobs are not supported with this model"}})
        if "logprobs" in body
        else (200, completion(label_text()))
    )
    llm = OpenAILLM(config, ENVIRONMENT)
    assert [llm.complete(request()).failure for _ in range(2)] == [None, None]
    assert ["logprobs" in body for body in server.requests] == [True, False, False]


def test_a_reply_that_breaks_off_in_the_middle_is_asked_for_again_and_then_a_failure() -> None:
    half = HttpReply(body=completion(label_text()), cut=150)
    with chat_server(lambda _: half) as service:
        reply = OpenAILLM(LlmConfig("m", base_url=service.url, key_variable=None, max_retries=1)).complete(request())
        assert service.n_requests == 2
    assert reply.text is None
    assert reply.failure is not None and reply.failure.startswith(f"broken off: {service.url[7:-3]} stopped in the")


def test_a_server_that_never_answers_is_a_timeout() -> None:
    with chat_server(lambda _: HttpReply(body=completion(""), seconds=30)) as service:
        config = LlmConfig("m", base_url=service.url, key_variable=None, max_retries=0, timeout_seconds=0.1)
        assert OpenAILLM(config).complete(request()).failure == "timeout: no answer within 0.1 s"
