"""What a server's body says: read, or a reasoned failure; and how sure the model was at the grade."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from evolution.calls.chat_protocol import MAX_REPLY_CHARACTERS, chat_body, read_chat
from evolution.calls.llm import Message, Request
from evolution.labelling.request import label_schema
from tests.evolution.conftest import SCALE, completion, label_text

GRADES = frozenset({"0", "1", "2"})


def request(**changed: Any) -> Request:
    return Request("label", "label", (Message("user", "x"),), label_schema(SCALE), None, "m", "d", **changed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html>please log in</html>", "not a chat completion: <html>please log in</html>"),
        ("", "not a chat completion: "),
        ('data: {"choices": [{"delta": {"content": "{"}}]}\n\ndata: {"cho', "not a chat completion: data:"),
        ('{"choices": [{"message": {"content": "{\\"gra', "not a chat completion"),
        ("[]", "not a chat completion"),
        ("null", "not a chat completion"),
        ('{"choices": {}}', "not a chat completion"),
        ("[" * 100_000, "not a chat completion"),
        (json.dumps({"choices": []}), "0 choices where 1 was asked for"),
        (json.dumps({"choices": completion(label_text())["choices"] * 2}), "2 choices where 1 was asked for"),
        (json.dumps(completion("x" * (MAX_REPLY_CHARACTERS + 1))), "a reply of over 200000 characters: xxx"),
        (json.dumps(completion('{"grade": ', finish_reason="length")), "cut off at the token limit"),
        (json.dumps(completion("", finish_reason="content_filter")), "stopped by the server's content filter"),
        (json.dumps(completion("\ud800")), "half a character"),
    ],
)
def test_what_is_no_usable_completion_has_a_reason(body: str, reason: str) -> None:
    read = read_chat(body, grades=GRADES)
    assert read.failure is not None and read.failure.startswith(reason)
    json.dumps([read.text, read.failure]).encode()
    (read.text or "").encode()


def test_right_to_left_emoji_and_mixed_forms_pass_unchanged() -> None:
    text = label_text(2, intent="كوب أحمر 🟥 e\u0301 é 马克杯")
    assert read_chat(json.dumps(completion(text))).text == text


@pytest.mark.parametrize("counts", [{"prompt_tokens": -1}, {"prompt_tokens": 2**40}, {"prompt_tokens": "7"}, [], None])
def test_token_counts_that_are_none_are_absent(counts: Any) -> None:
    read = read_chat(json.dumps({**completion(label_text()), "usage": counts}))
    assert (read.failure, read.usage.n_prompt_tokens) == (None, None)


def tokens(*parts: tuple[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "content": [
            {
                "token": token,
                "logprob": others.get(token, -0.1),
                "top_logprobs": [{"token": other, "logprob": value} for other, value in others.items()],
            }
            for token, others in parts
        ]
    }


def test_the_log_probabilities_of_the_grades_are_read_at_the_token_that_says_it() -> None:
    """`2` and ` 2` say the same grade: exp(-1) + exp(-2); 7 is no grade, and what follows is no grade either."""
    at_grade = {"2": -1.0, " 2": -2.0, "1": -3.0, "7": -0.5}
    logprobs = tokens(('{"', {}), ("grade", {}), ('":', {}), (" ", {"1": -0.2}), ("2", at_grade), (', "', {"0": -0.1}))
    read = read_chat(json.dumps(completion(label_text(2), logprobs=logprobs)), grades=GRADES)
    assert read.grade_logprobs == {"1": -3.0, "2": round(math.log(math.exp(-1) + math.exp(-2)), 6)}


@pytest.mark.parametrize(
    "logprobs", [None, {}, {"content": None}, {"content": [{"token": 3}]}, tokens(("grade 2", {})), {"content": []}]
)
def test_log_probabilities_that_cannot_be_read_are_absent(logprobs: Any) -> None:
    read = read_chat(json.dumps(completion(label_text(2), logprobs=logprobs)), grades=GRADES)
    assert (read.failure, read.grade_logprobs) == (None, None)


def test_samples_have_seeds_of_their_own_and_logprobs_are_asked_for_where_there_is_a_grade() -> None:
    body = chat_body(request(seed=7, sample_index=2), with_logprobs=True)
    assert (body["seed"], body["logprobs"]) == (9, True)
    plain = chat_body(request(), with_logprobs=False)
    assert "seed" not in plain and "logprobs" not in plain
    no_grade = Request("mine", "rule", (), {"type": "object"}, None, "m", "d")
    assert "logprobs" not in chat_body(no_grade, with_logprobs=True)
