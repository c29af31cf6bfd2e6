"""A chat completions server that counts: asyncio, no framework, cheap enough to stand beside what it measures.

As a process it prints its base URL and answers until its standard input ends:

    python -m benchmarks.chat_server --seconds 0.2

In a test it runs in a thread of the test (`chat_server`), where its `answer` may be changed at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

LABEL = {
    "grade": 2,
    "intent": "a thing",
    "document": "that thing",
    "category": None,
    "attributes": "all met",
    "rules": [],
    "verdict": "as asked",
    "confidence": 0.8,
}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What goes back: `body` is JSON, or bytes as they are. `cut` drops the connection after so many bytes."""

    status: int = 200
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    cut: int | None = None

    def encoded(self) -> bytes:
        """Return the reply as bytes of HTTP/1.1."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as a value."""
        return json.loads(self.body)


def completion(text: str, **changed: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 360},
        **changed,
    }


Respond = Callable[[HttpRequest], HttpReply]


@dataclass
class ChatService:
    """How requests are answered, and the requests that came. `answer` runs in the server's thread."""

    answer: Respond
    url: str = ""
    n_requests: int = 0
    n_open: int = 0
    most_open: int = 0
    requests: list[HttpRequest] = field(default_factory=list)
    is_recording: bool = True


class _Connection(asyncio.Protocol):
    """One client's connection, HTTP/1.1 with keep-alive."""

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            head, found, rest = self._read.partition(b"\r\n\r\n")
            if not found:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            n_bytes = int(headers.get("content-length", 0))
            if len(rest) < n_bytes:
                return
            self._read = rest[n_bytes:]
            method, path, _ = first.split(" ", 2)
            self._take(HttpRequest(method, path, headers, rest[:n_bytes]))

    def _take(self, request: HttpRequest) -> None:
        service = self._service
        service.n_requests += 1
        service.n_open += 1
        service.most_open = max(service.most_open, service.n_open)
        if service.is_recording:
            service.requests.append(request)
        reply = service.answer(request)
        if reply.seconds:
            asyncio.get_running_loop().call_later(reply.seconds, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: HttpReply) -> None:
        self._service.n_open -= 1
        if self._transport is None or self._transport.is_closing():
            return
        if reply.cut is None:
            self._transport.write(reply.encoded())
        else:
            self._transport.write(reply.encoded()[: reply.cut])
            self._transport.close()


async def _serve(service: ChatService, ready: Callable[[], None], stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(service), "127.0.0.1", 0, backlog=2048)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    ready()
    await stop.wait()
    server.close()


@contextmanager
def chat_server(answer: Respond) -> Iterator[ChatService]:
    """Serve from a thread of this process."""
    service, ready = ChatService(answer), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        loop.run_until_complete(_serve(service, ready.set, stop))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@contextmanager
def served(seconds: float) -> Iterator[str]:
    """Serve from a process of its own that answers after so many seconds; yield its base URL."""
    words = [sys.executable, "-m", "benchmarks.chat_server", "--seconds", str(seconds)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    """Answer every request alike, after so many seconds, until standard input ends."""
    parser = argparse.ArgumentParser(description="A chat completions server for benchmarks.")
    parser.add_argument("--seconds", type=float, default=0.2, help="how long a reply takes")
    seconds = parser.parse_args().seconds
    reply = HttpReply(body=json.dumps(completion(json.dumps(LABEL))).encode(), seconds=seconds)
    service = ChatService(lambda _: reply, is_recording=False)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stop.set)), daemon=True).start()
        await _serve(service, lambda: print(service.url, flush=True), stop)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
