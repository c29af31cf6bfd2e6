"""A local server that speaks chat completions from a queue, and a small judged workspace in a store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest

from curation.features import FieldVocabulary, pair_features
from curation.ingest import doc_id_of, pair_id_of, query_id_of
from evolution.calls.llm_config import LlmConfig
from storage.clock import now
from storage.grades import Scale
from storage.ids import content_id
from storage.store import Store

KEY = "sk-very-secret-0123456789"
SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))


def label_text(grade: Any = 2, **changed: Any) -> str:
    """A good labelling reply as text, with any part changed."""
    reply = {
        "grade": grade,
        "intent": "a red mug",
        "document": "a mug",
        "category": None,
        "attributes": "all met",
        "rules": [],
        "verdict": "as asked",
        "confidence": 0.8,
    }
    return json.dumps({**reply, **changed})


def completion(text: str | None, **changed: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{**choice, **changed}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


@dataclass
class ChatServer:
    """Answers from `queue` (status, body), then from `default`; remembers what it was asked."""

    url: str = ""
    queue: list[tuple[int, Any]] = field(default_factory=list)
    default: Callable[[dict[str, Any]], tuple[int, Any]] = lambda _: (200, completion(label_text()))
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A chat server on 127.0.0.1."""
    state = ChatServer()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.requests.append(body)
                state.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, reply = state.queue.pop(0) if state.queue else state.default(body)
            text = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(reply, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def config(server: ChatServer) -> LlmConfig:
    return LlmConfig("m", base_url=server.url, key_variable="LOCAL_KEY", max_retries=1, timeout_seconds=5)


COLOURS = ("red", "blue", "green", "black")
KINDS = ("mug", "lamp", "towel")


def fill(store: Store, *, n_queries: int = 24, judged: bool = True) -> None:
    """Fill a store with a shop of mugs, lamps and towels in four colours.

    Each query names a colour and a kind. Its four docs are: right (grade 2), another colour (1), another kind (0),
    another of both (0). Every sixth query is dev.
    """
    at = now()
    stamp = {"run_id": "run_0", "created_at": at}
    docs, queries, pairs, judgments, texts = {}, {}, {}, {}, []
    for n in range(n_queries):
        colour, kind = COLOURS[n % 4], KINDS[n % 3]
        other_colour, other_kind = COLOURS[(n + 1) % 4], KINDS[(n + 1) % 3]
        text = f"{colour} {kind} number {n}"
        query_id, split = query_id_of(text), "dev" if n % 6 == 5 else "train"
        queries[query_id] = {"text": text, "root_query_id": query_id, "split": split, "source": "shop"}
        for c, k, grade in (
            (colour, kind, 2),
            (other_colour, kind, 1),
            (colour, other_kind, 0),
            (other_colour, other_kind, 0),
        ):
            fields = {"colour": c, "kind": k}
            title = f"{c} {k}"
            doc_id = doc_id_of(title, "", fields)
            docs[doc_id] = {"title": title, "body": "", "fields": json.dumps(fields), "source": "shop"}
            pair_id = pair_id_of(query_id, doc_id)
            pairs[pair_id] = {
                "query_id": query_id,
                "doc_id": doc_id,
                "split": split,
                "origin": "ingest",
                "source": "shop",
            }
            judgments[content_id("j", pair_id, grade)] = {"pair_id": pair_id, "grade": grade}
            texts.append({"pair_id": pair_id, "query": text, "title": title, "body": "", "fields": json.dumps(fields)})
    vocabulary = FieldVocabulary.from_docs([json.loads(doc["fields"]) for doc in docs.values()])
    features = pair_features(pl.DataFrame(texts), vocabulary).with_columns(
        run_id=pl.lit("run_0"), created_at=pl.lit(at)
    )
    tables: dict[str, Any] = {
        "grades": [
            {"grade_id": f"g{grade}", "grade": grade, "name": SCALE.name(grade), "created_at": at}
            for grade in SCALE.values
        ],
        "queries": [{"query_id": key, **row, **stamp} for key, row in queries.items()],
        "docs": [{"doc_id": key, **row, **stamp} for key, row in docs.items()],
        "pairs": [{"pair_id": key, **row, **stamp} for key, row in pairs.items()],
        "pair_features": features,
    }
    if judged:
        settled = {"origin": "import:shop", "response_ids": [], "is_replayed": False}
        tables["judgments"] = [{"judgment_id": key, **row, **settled, **stamp} for key, row in judgments.items()]
    store.append(tables)


def forget(store: Store, *rule_ids: str, snapshot_id: str = "snap_1", run_id: str = "run_trained") -> None:
    """Give the store a finished training run whose alarm rang for these rules; without any it rang for none."""
    at = now()
    run = {"run_id": run_id, "verb": "train", "config": json.dumps({"snapshot_id": snapshot_id}), "code_version": "0",
           "started_at": at, "finished_at": at, "status": "finished"}  # fmt: skip
    recalls = [
        {
            "rule_recall_id": content_id("rr", run_id, rule_id, step),
            "train_run_id": run_id,
            "rule_id": rule_id,
            "split": "dev",
            "step": step,
            "recall": 1.0 - step / 20,
            "n": 8,
            "is_forgotten": step > 0 and rule_id in rule_ids,
            "run_id": run_id,
            "created_at": at,
        }
        for rule_id in (*rule_ids, "r_kept")
        for step in (0, 10)
    ]
    store.append({"runs": [run], "rule_recalls": recalls})
