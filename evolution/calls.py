"""Paid calls: each reply is on the worker's spool before anything else happens to it, and none is bought twice.

A call is named by what it asks: role, operator, template, rendered prompt, model, parameters. A good reply is stored
under that name, so a later run finds it; a failure is stored under a name of its own and the call is made again. One
exchange that came back unusable is repaired once, by showing the model its reply and what is wrong with it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from evolution.llm import LLM, Check, Message, Reply, Request
from storage.clock import now
from storage.ids import canonical_json, content_id, digest
from storage.spool import Spool, drain
from storage.store import Store

N_REPAIRS = 1


def call_key(request: Request, provider: str) -> str:
    """Return the name of what is asked: equal requests to equal models have equal names, in any run."""
    return digest(
        {
            "role": request.role,
            "operator": request.operator,
            "template": request.template_digest,
            "messages": [[message.role, message.content] for message in request.messages],
            "schema": request.schema,
            "provider": provider,
            "model": request.model,
            "parameters": request.parameters,
        }
    )


def reply_id(request: Request, provider: str) -> str:
    """Return the `llm_call_id` under which the good reply to a request is stored."""
    return content_id("l", call_key(request, provider))


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one call: `text` when it is good, else `failure`.

    `rows` are the exchanges it took, as rows of `llm_calls`; none when the reply was held already.
    """

    llm_call_id: str
    text: str | None
    failure: str | None
    rows: tuple[Mapping[str, Any], ...] = ()


class Calls:
    """Makes calls for one run from any number of threads, each with a spool of its own.

    `held` are good replies paid for earlier, by `llm_call_id`.
    """

    def __init__(self, llm: LLM, *, folder: Path, run_id: str, held: Mapping[str, str]) -> None:
        self._llm, self._folder, self._run_id, self._held = llm, folder, run_id, held
        self._local = threading.local()
        self._lock = threading.Lock()
        self._spools: list[Spool] = []

    def ask(self, request: Request, check: Check) -> Answer:
        """Return the held reply, or ask, spool, check and repair once; a failure is an answer with its reason."""
        call_id = reply_id(request, self._llm.provider)
        if call_id in self._held:
            return Answer(call_id, self._held[call_id], None)
        asked, rows = request, []
        for n_exchanges in range(1, N_REPAIRS + 2):
            reply = self._llm.complete(asked)
            wrong = reply.failure or (check(reply.text) if reply.text is not None else "empty reply")
            name = call_id if wrong is None else content_id("l", call_id, self._run_id, n_exchanges)
            row = self._row(name, asked, replace(reply, failure=wrong))
            self._spool().append(row)
            rows.append(_stored(row))
            if wrong is None:
                return Answer(call_id, reply.text, None, tuple(rows))
            if reply.text is None or n_exchanges > N_REPAIRS:
                break
            asked = _repair(request, reply.text, wrong)
        return Answer(name, None, wrong, tuple(rows))

    def close(self) -> None:
        """Close every worker's spool."""
        with self._lock:
            for spool in self._spools:
                spool.close()

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spool(self) -> Spool:
        spool: Spool | None = getattr(self._local, "spool", None)
        if spool is None:
            spool = self._local.spool = Spool(self._folder, self._run_id)
            with self._lock:
                self._spools.append(spool)
        return spool

    def _row(self, call_id: str, request: Request, reply: Reply) -> dict[str, Any]:
        body = {
            "messages": [[message.role, message.content] for message in request.messages],
            "parameters": dict(request.parameters),
        }
        return {
            "llm_call_id": call_id,
            "role": request.role,
            "operator": request.operator,
            "provider": self._llm.provider,
            "model": request.model,
            "template_digest": request.template_digest,
            "request": canonical_json(body),
            "reply": reply.text,
            "failure": reply.failure,
            "n_prompt_tokens": reply.usage.n_prompt_tokens,
            "n_completion_tokens": reply.usage.n_completion_tokens,
            "seconds": reply.seconds,
            "cost": None,
            "run_id": self._run_id,
            "created_at": now().isoformat(),
        }


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a restart found: replies the store had not taken yet, and lines a crash cut short."""

    n_replies: int
    n_torn: int


def drain_calls(store: Store, folder: Path) -> DrainReport:
    """Store every reply that dead workers left on their spools, then remove those spools."""
    n_replies = n_torn = 0
    for spool in drain(folder):
        rows = [_stored(row) for row in spool.records]
        if rows:
            n_replies += store.append({"llm_calls": rows}).get("llm_calls", 0)
        n_torn += spool.n_torn
        spool.remove()
    return DrainReport(n_replies, n_torn)


def _stored(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spool record as a row of `llm_calls`."""
    return {**record, "created_at": datetime.fromisoformat(record["created_at"])}


def _repair(request: Request, text: str, wrong: str) -> Request:
    complaint = f"That reply cannot be used: {wrong}. Answer again with one JSON object of the given schema, only that."
    return replace(request, messages=(*request.messages, Message("assistant", text), Message("user", complaint)))
