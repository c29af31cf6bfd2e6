"""The provider's batch protocol: upload a file of requests, begin a batch, look how far it is, fetch what came back.

A 200 line, an error line and a line that is no JSON are all told; nothing is taken for another pair's reply, for every
line names the call it answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import openai

from evolution.calls.server_access import ServerAccess
from storage.errors import UserError

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
OVER = frozenset({"completed", "expired", "cancelled", "failed"})
NAME_KEY = "afrel"
T = TypeVar("T")


class BatchRefusedError(UserError):
    """The server answered and would not: nothing was begun."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is, as the provider says. `reason` says why one failed as a whole."""

    batch_id: str
    status: str
    n_requests: int
    n_done: int
    n_failed: int
    output_files: tuple[str, ...]
    reason: str | None

    @property
    def is_over(self) -> bool:
        return self.status in OVER


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One line that came back: the body of a reply, or why there is none. `call_id` None: it names no call."""

    call_id: str | None
    body: str | None
    failure: str | None


class OpenAIBatches:
    """The batches of one server."""

    def __init__(self, access: ServerAccess) -> None:
        self._access = access
        self._client = access.blocking_client()

    @property
    def host(self) -> str:
        return self._access.config.host

    def begin(self, name: str, lines: Sequence[bytes]) -> str:
        """Upload requests and begin a batch of them; return the provider's id of it."""
        headers = self._access.headers
        content = b"".join(lines)

        def act() -> str:
            file = self._client.files.create(
                file=(f"afrel-{name}.jsonl", content), purpose="batch", extra_headers=headers
            )
            made = self._client.batches.create(
                input_file_id=file.id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={NAME_KEY: name},
                extra_headers=headers,
            )
            return made.id

        return self._told(act)

    def find(self, name: str) -> str | None:
        """Return the id of the batch that carries a name of ours, None when the provider has none."""

        def act() -> str | None:
            for batch in self._client.batches.list(limit=100, extra_headers=self._access.headers):
                if (batch.metadata or {}).get(NAME_KEY) == name:
                    return batch.id
            return None

        return self._told(act)

    def state(self, batch_id: str) -> BatchState:
        """Ask how far a batch is."""
        batch = self._told(lambda: self._client.batches.retrieve(batch_id, extra_headers=self._access.headers))
        counts = batch.request_counts
        errors = [str(error.message) for error in (batch.errors.data or [])] if batch.errors else []
        return BatchState(
            batch_id=batch_id,
            status=str(batch.status),
            n_requests=counts.total if counts else 0,
            n_done=counts.completed if counts else 0,
            n_failed=counts.failed if counts else 0,
            output_files=tuple(file for file in (batch.output_file_id, batch.error_file_id) if file),
            reason=self._access.redact("; ".join(errors)) or None,
        )

    def lines(self, state: BatchState) -> Iterator[BatchLine]:
        """Yield what came back, replies before failures."""
        for file_id in state.output_files:
            for line in self._fetched(file_id):
                if line.strip():
                    yield self._read(line)

    def _fetched(self, file_id: str) -> Iterator[str]:
        fetched = self._told(lambda: self._client.files.content(file_id, extra_headers=self._access.headers))
        return fetched.iter_lines()

    def _read(self, line: str) -> BatchLine:
        try:
            value = json.loads(self._access.hide_key(line))
            call_id, response, error = value.get("custom_id"), value.get("response"), value.get("error")
        except (ValueError, AttributeError, RecursionError):
            return BatchLine(None, None, f"not a line of a batch: {self._access.redact(line)}")
        name = call_id if isinstance(call_id, str) else None
        if isinstance(response, dict) and response.get("status_code") == 200:
            return BatchLine(name, json.dumps(response.get("body")), None)
        if isinstance(response, dict):
            detail = self._access.redact(json.dumps(response.get("body"), ensure_ascii=False))
            return BatchLine(name, None, f"http {response.get('status_code')}: {detail}")
        code = error.get("code") if isinstance(error, dict) else None
        message = self._access.redact(str(error.get("message", ""))) if isinstance(error, dict) else ""
        return BatchLine(name, None, f"{code or 'no reply'}: {message}" if message else str(code or "no reply"))

    def _told(self, act: Callable[[], T]) -> T:
        """Do something; UserError, and nothing of the key, when the server does not."""
        caught: openai.OpenAIError | None = None
        try:
            return act()
        except openai.OpenAIError as error:
            caught = error
        if isinstance(caught, openai.APIStatusError):
            kind = BatchRefusedError if caught.status_code < 500 else UserError
            if caught.status_code in (401, 403):
                raise kind(self._access.refused(caught.status_code))
            detail = self._access.redact(caught.response.text)
            is_absent = caught.status_code in (404, 405)
            again = "It may have no batches: afrel label --provider openai" if is_absent else "Try: afrel batch status"
            raise kind(f"{caught.status_code} from {self.host}: {detail}. {again}")
        detail = self._access.redact(str(caught.__cause__ or caught))
        raise UserError(f"no batch of {self.host}: {detail}. Nothing is lost; try again: afrel batch status")


def request_line(call_id: str, body: dict[str, Any]) -> bytes:
    """Return a request as a line of the file that is uploaded."""
    line = {"custom_id": call_id, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
