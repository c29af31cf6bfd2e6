"""A worker that lives several times: each life is a fork of one warm process, asks a server, and may be killed.

A life needs no start of Python this way. The source defines `live()`; the store is opened in the child alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.chat_server import ChatService, HttpRequest
from tests.conftest import ROOT

LIVES = """
import os, sys
print("warm", flush=True)
for _ in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    live()
    os._exit(0)
"""


def prompt_of(request: HttpRequest) -> str:
    """Return what a request asks, as one text."""
    return json.dumps([[turn["role"], turn["content"]] for turn in request.json()["messages"]], ensure_ascii=False)


def synced(folder: Path) -> set[str]:
    """The prompts whose good replies lie on the spools of dead workers."""
    found = set()
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            record = json.loads(line) if line.endswith(b"\n") else {}
            if record.get("reply") is not None and record["failure"] is None:
                found.add(json.dumps(json.loads(record["request"])["messages"], ensure_ascii=False))
    return found


class MortalWorker:
    """Lives when told to; `service` counts what it asks."""

    def __init__(self, process: subprocess.Popen[str], service: ChatService) -> None:
        self._process, self._service = process, service

    def warm_up(self) -> None:
        """Wait until everything is imported."""
        assert self._line() == "warm\n"

    def live(self, *, n_before_death: int | None = None, seconds_more: float = 0.0) -> list[str]:
        """Live once: to the end, or until so many requests came and a little longer; return what was asked."""
        assert self._process.stdin is not None
        self._service.requests.clear()
        self._process.stdin.write("live\n")
        self._process.stdin.flush()
        child = int(self._line())
        if n_before_death is not None:
            deadline = time.monotonic() + 20
            while len(self._service.requests) < n_before_death and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(seconds_more)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(self._line())
        expected = (0,) if n_before_death is None else (0, signal.SIGKILL)  # it may have ended just before
        assert status in expected, f"a life ended with status {status}"
        time.sleep(0.02)  # what was on its way to the server
        return [prompt_of(one) for one in self._service.requests]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def mortal_worker(source: str, service: ChatService, *words: str) -> Iterator[MortalWorker]:
    """Start a worker of a source that defines `live()` and reads the server's address and `words` from sys.argv."""
    process = subprocess.Popen(
        [sys.executable, "-c", source + LIVES, service.url, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        yield MortalWorker(process, service)
    finally:
        process.communicate(timeout=20)
