"""Any OpenAI-compatible server as a provider: one chat completion with a strict JSON schema.

Here is one exchange, told in full: answered, refused, broken or lost, and how long the server wants to be left alone;
who calls decides whether to ask again. A refused key or an unknown model stops the run, for every call would fail the
same way.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Mapping

import httpx2
import openai

from evolution.calls.chat_protocol import LOGPROB_KEYS, chat_body, grades_of, read_chat
from evolution.calls.llm import Exchange, Outcome, Reply, Request, Usage
from evolution.calls.llm_config import LlmConfig
from evolution.calls.loop_thread import LoopThread
from evolution.calls.openai_connections import Connections
from evolution.calls.pace import backoff_seconds
from evolution.calls.rate_limits import hold_seconds, retry_seconds
from evolution.calls.server_access import ServerAccess
from storage.clock import now
from storage.errors import UserError

PROVIDER = "openai"
_UNPAID_STATUS = {408, 409, 425}  # beside 429 and those from 500 on: worth asking again


class OpenAILLM:
    """A server that speaks chat completions. `complete` is safe to call from several threads."""

    provider = PROVIDER

    def __init__(self, config: LlmConfig, environment: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._access = ServerAccess(config, environment)
        self._connections: dict[asyncio.AbstractEventLoop, Connections] = {}
        self._own_loop: LoopThread | None = None
        self._lock = threading.Lock()
        self._has_logprobs = config.logprobs
        self._tokens_a_call = 0.0

    @property
    def host(self) -> str:
        """The server as it is named to people."""
        return self._config.host

    @property
    def max_retries(self) -> int:
        """How often a request that broke down is worth another try."""
        return self._config.max_retries

    def complete(self, request: Request) -> Reply:
        """Ask, with retries; UserError when the server refuses the key or does not know the model."""
        with self._lock:
            if self._own_loop is None:
                self._own_loop = LoopThread("complete")
        return self._own_loop.run(self._ask_patiently(request))

    async def exchange(self, request: Request) -> Exchange:
        """Make one exchange; UserError when the server refuses the key or does not know the model."""
        started = time.monotonic()
        has_logprobs = self._has_logprobs
        response, caught = None, None
        try:
            response = await self._post(request, with_logprobs=has_logprobs)
        except (TimeoutError, openai.OpenAIError) as error:
            caught = error  # looked at outside, so that no error raised there drags the request's headers along
        seconds = time.monotonic() - started
        if response is not None:
            return self._of_response(response, request, seconds)
        if isinstance(caught, openai.APIStatusError):
            if has_logprobs and caught.status_code in (400, 422) and _names_logprobs(caught.response.text):
                self._has_logprobs = False  # this server offers none, and says so
                return await self.exchange(request)
            return self._of_status(caught, request, seconds)
        if isinstance(caught, TimeoutError | openai.APITimeoutError):
            failure, outcome = f"timeout: no answer within {self._config.timeout_seconds:g} s", Outcome.LOST
        elif isinstance(caught, openai.APIConnectionError):
            failure, outcome = self._of_connection(caught)
        else:
            failure, outcome = f"{type(caught).__name__}: {self._access.redact(str(caught))}", Outcome.BROKEN
        return Exchange(Reply(None, Usage(), seconds, failure), outcome)

    async def close(self) -> None:
        """Close the connections of the running loop."""
        connections = self._connections.pop(asyncio.get_running_loop(), None)
        if connections is not None:
            await connections.close()

    async def _ask_patiently(self, request: Request) -> Reply:
        chance = random.Random()
        for n_before in range(self._config.max_retries + 1):
            exchange = await self.exchange(request)
            if exchange.outcome is Outcome.ANSWERED:
                break
            if n_before < self._config.max_retries:
                await asyncio.sleep(backoff_seconds(n_before, exchange.retry_seconds, chance))
        return exchange.reply

    async def _post(self, request: Request, *, with_logprobs: bool) -> httpx2.Response:
        """Return a 200 reply; the client's own reading of it into models would cost as much as all the rest."""
        loop = asyncio.get_running_loop()
        connections = self._connections.get(loop)
        if connections is None:
            connections = self._connections[loop] = Connections(self._access.client)
        with connections.client() as client:
            async with asyncio.timeout(self._config.timeout_seconds):
                return await client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=chat_body(request, with_logprobs=with_logprobs),
                    options={"headers": self._access.headers},
                )

    def _of_response(self, response: httpx2.Response, request: Request, seconds: float) -> Exchange:
        read = read_chat(self._access.hide_key(response.text), grades=grades_of(request.schema))
        usage = read.usage
        if usage.n_prompt_tokens is not None and usage.n_completion_tokens is not None:
            n_tokens = usage.n_prompt_tokens + usage.n_completion_tokens
            self._tokens_a_call += 0.1 * (n_tokens - self._tokens_a_call)
        reply = Reply(read.text, usage, seconds, read.failure, read.grade_logprobs)
        hold = hold_seconds(response.headers, n_tokens=self._tokens_a_call)
        return Exchange(reply, Outcome.ANSWERED, hold_seconds=hold)

    def _of_status(self, error: openai.APIStatusError, request: Request, seconds: float) -> Exchange:
        status, detail = error.status_code, self._access.redact(error.response.text)
        if status in (401, 403):
            raise UserError(self._access.refused(status))
        if status == 404:
            raise UserError(
                f"404 from {self.host} for model {request.model!r}: {detail}. "
                "Name a model it serves: afrel label --provider openai --model MODEL"
            )
        reply = Reply(None, Usage(), seconds, f"http {status}: {detail}")
        if status == 429 and "insufficient_quota" in detail:
            return Exchange(reply, Outcome.ANSWERED)  # waiting does not fill an account
        wanted = retry_seconds(error.response.headers, now())
        if status == 429 or (status == 503 and wanted is not None):
            held = hold_seconds(error.response.headers, n_tokens=max(1.0, self._tokens_a_call))
            waits = [seconds for seconds in (wanted, held) if seconds is not None]
            return Exchange(reply, Outcome.REFUSED, wanted, max(waits, default=None))
        if status >= 500 or status in _UNPAID_STATUS:
            return Exchange(reply, Outcome.BROKEN, wanted)
        return Exchange(reply, Outcome.ANSWERED)

    def _of_connection(self, error: openai.APIConnectionError) -> tuple[str, Outcome]:
        cause = error.__cause__ or error
        detail = self._access.redact(str(cause)) or type(cause).__name__
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
            return f"no connection to {self.host}: {detail}", Outcome.BROKEN
        return f"broken off: {self.host} stopped in the middle: {detail}", Outcome.LOST


def _names_logprobs(body: str) -> bool:
    return any(key in body for key in LOGPROB_KEYS)
