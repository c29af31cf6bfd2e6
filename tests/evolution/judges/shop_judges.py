"""Judges of the small shop behind a real server, each with a bias of its own or none, and what they are asked with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, completion
from evolution.calls.asking import Served
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.prices import Price
from evolution.judges.perturbations import Shown
from storage.clock import now
from storage.store import Store

JUDGE = "openai:m"


@dataclass(frozen=True)
class Seen:
    """What stands in a judge's prompt."""

    query: str
    title: str
    body: str
    is_doc_first: bool
    prompt: str


def seen(request: HttpRequest) -> Seen:
    """Read the pair out of a request."""
    prompt = request.json()["messages"][1]["content"]
    body = re.search(r"^body: (.*)$", prompt, re.MULTILINE)
    return Seen(
        query=_found(r"<query>\n(.*)\n</query>", prompt),
        title=_found(r"^title: (.*)$", prompt),
        body=body[1] if body else "",
        is_doc_first=prompt.startswith("<document>"),
        prompt=prompt,
    )


def as_seen(shown: Shown) -> Seen:
    """What a request about a pair shows."""
    return Seen(shown.query, shown.title, shown.body, shown.is_reversed, "")


def true_grade(pair: Seen) -> int:
    """The shop's truth: 2 for the colour and the kind that are asked, 1 for the kind alone."""
    colour, kind = pair.title.split()
    words = pair.query.split()
    return 0 if kind not in words else 1 + (colour in words)


def raised(pair: Seen) -> int:
    return min(2, true_grade(pair) + 1)


Judge = Callable[[Seen], int]
# Each with the lines its card must fail.
JUDGES: dict[str, tuple[Judge, set[str]]] = {
    "fair": (true_grade, set()),
    "likes length": (lambda p: raised(p) if len(p.body) > 400 else true_grade(p), {"length_padding"}),
    "likes keywords": (
        lambda p: raised(p) if p.body.count(p.query) > 2 else true_grade(p),
        {"keyword_stuffing"},
    ),
    "likes what comes first": (lambda p: raised(p) if p.is_doc_first else true_grade(p), {"order"}),
    "trips over wording": (lambda p: 0 if ": " in p.query else true_grade(p), {"paraphrase"}),
    "over-rates": (lambda p: max(1, true_grade(p)), {"over_rating"}),
}


def rating(judge: Judge) -> Callable[[HttpRequest], HttpReply]:
    """Answer ratings as a judge does."""

    def answer(request: HttpRequest) -> HttpReply:
        return said({"grade": judge(seen(request)), "reason": "as it seems"})

    return answer


def said(value: Any) -> HttpReply:
    """A chat completion whose text is JSON."""
    return HttpReply(body=completion(json.dumps(value)))


def served(service: ChatService, folder: Path, *, limits: Limits | None = None) -> Served:
    """The judge behind a server."""
    config = LlmConfig("m", base_url=service.url, key_variable=None, max_retries=0, max_reply_tokens=100)
    return Served(
        llm=OpenAILLM(config),
        model="m",
        parameters=config.parameters,
        spool_dir=folder / "spool",
        concurrency=16,
        limits=limits or Limits(),
        prices={"m": Price(prompt=1.0, completion=10.0)},
    )


def pass_all(store: Store) -> None:
    """Let every candidate pass its screens."""
    at = now()
    rows = [
        {
            "screening_id": f"s_{candidate_id[2:]}",
            "candidate_id": candidate_id,
            "screen": "all",
            "is_passed": True,
            "reason": "no screen objects",
            "run_id": "run_0",
            "created_at": at,
        }
        for candidate_id in store.frame("unscreened")["candidate_id"]
    ]
    store.append({"screenings": rows})


def card_rows(judge: str, *, is_passed: bool, run_id: str) -> list[dict[str, Any]]:
    """A card of two lines."""
    return [
        {
            "judge_card_id": f"jc_{run_id}_{bias}",
            "judge": judge,
            "bias": bias,
            "value": 0.0,
            "n": 100,
            "bound": 0.1,
            "is_passed": is_passed or bias == "order",
            "run_id": run_id,
            "created_at": now(),
        }
        for bias in ("length_padding", "order")
    ]


def rows_of(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a table, read from the published copy."""
    with duckdb.connect(str(store.publish()), read_only=True) as copy:
        return copy.sql(f"from {table}").to_arrow_table().to_pylist()


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, text
    return found[1]
