"""What a call is named by, and its rows: of `llm_calls`, and the lines of a worker's spool.

A call is named by what it asks: role, operator, template, rendered prompt, schema, model, parameters, seed, sample. On
the spool stands a line for each request that goes out and one for each reply, so that a restart can tell which requests
were under way when a worker was killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evolution.calls.llm import Reply, Request
from storage.clock import now
from storage.ids import canonical_json, content_id, digest

SENT, SENT_BACK = "sent", "sent_back"
IN_FLIGHT = "in flight when the run was cut short"


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
            "seed": request.seed,
            "sample_index": request.sample_index,
        }
    )


def reply_id(request: Request, provider: str) -> str:
    """Return the `llm_call_id` under which the good reply to a request is stored."""
    return content_id("l", call_key(request, provider))


def failure_id(call_id: str, run_id: str, place: object) -> str:
    """Return the `llm_call_id` of an exchange that failed: the call is made again, so its own name stays free."""
    return content_id("l", call_id, run_id, place)


def call_row(
    call_id: str, request: Request, reply: Reply, *, provider: str, cost: float | None, run_id: str
) -> dict[str, Any]:
    """Return an exchange as a record of the spool; its time is text there."""
    body = {
        "messages": [[message.role, message.content] for message in request.messages],
        "parameters": dict(request.parameters),
    }
    logprobs = None if reply.grade_logprobs is None else canonical_json(dict(reply.grade_logprobs))
    return {
        "llm_call_id": call_id,
        **_head(request, provider, run_id),
        "request": canonical_json(body),
        "reply": reply.text,
        "failure": reply.failure,
        "n_prompt_tokens": reply.usage.n_prompt_tokens,
        "n_completion_tokens": reply.usage.n_completion_tokens,
        "seconds": reply.seconds,
        "cost": cost,
        "grade_logprobs": logprobs,
    }


def sent_record(number: int, call_id: str, request: Request, *, provider: str, run_id: str) -> dict[str, Any]:
    """Return the line that says a request goes out."""
    return {SENT: number, "call": call_id, **_head(request, provider, run_id)}


def stored_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spool record as a row of `llm_calls`."""
    row = {name: value for name, value in record.items() if name != SENT}
    return {**row, "created_at": datetime.fromisoformat(row["created_at"])}


def split_spool(records: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the exchanges on a spool, and those that were under way when its worker ended, as rows of `llm_calls`."""
    replies = [record for record in records if "llm_call_id" in record]
    settled = {record.get(SENT) for record in replies} | {record.get(SENT_BACK) for record in records}
    lost = [record for record in records if "call" in record and record[SENT] not in settled]
    return [stored_row(record) for record in replies], [_lost_row(record) for record in lost]


def _head(request: Request, provider: str, run_id: str) -> dict[str, Any]:
    return {
        "role": request.role,
        "operator": request.operator,
        "provider": provider,
        "model": request.model,
        "template_digest": request.template_digest,
        "run_id": run_id,
        "created_at": now().isoformat(),
    }


def _lost_row(record: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: value for name, value in record.items() if name != "call"}
    call_id = failure_id(record["call"], record["run_id"], f"sent {record[SENT]}")
    return stored_row({**row, "llm_call_id": call_id, "request": "{}", "failure": IN_FLIGHT})
