"""The labelling worker: the real `afrel label`, asking a server of this process, killed and started again.

Each life of the worker labels the same pairs for one model; when a run has ended well, the next model begins. A reply
counts as kept once it is on the worker's spool: what a killed worker left there must be in the store after the next
run, and a model that is done must have one candidate a pair and one good reply a candidate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPLY_SECONDS = 0.05
CONCURRENCY = 4
PAUSE_SECONDS = 5.0
REPLY = {
    "grade": 2,
    "intent": "a thing",
    "document": "that thing",
    "category": None,
    "attributes": "all met",
    "rules": [],
    "verdict": "as asked",
    "confidence": 0.8,
}


@contextmanager
def label_server() -> Iterator[str]:
    """Answer chat completions on 127.0.0.1; give the base URL."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(REPLY_SECONDS)
            text = json.dumps(_completion(str(asked.get("model")))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # the worker was killed in the middle of its question

    with Server(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
        http.shutdown()
        thread.join()


def _completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": json.dumps(REPLY)}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def ingest_pairs(root: Path, url: str, *, n: int) -> None:
    """Bring n judged pairs in through `afrel ingest`, and name the server in `afrel.toml`."""
    lines = ["query,title,grade"]
    lines += [f"red mug number {i // 4},mug {i} in colour {i % 7},{i % 4}" for i in range(n)]
    (root / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = f'[llm]\nbase_url = "{url}"\nkey_variable = ""\nmax_retries = 2\n'
    (root / "afrel.toml").write_text(table, encoding="utf-8")
    words = ["ingest", str(root / "pairs.csv"), "--map", "query=query,title=title,grade=grade", "--source", "bench"]
    subprocess.run(_afrel(root, words), cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _afrel(root: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-m", "afrel", "-w", str(root), *words]


@dataclass(slots=True)
class LabelWorker:
    """Keeps one `afrel label` running. `kept` are replies that must be held, `finished` the models that are done."""

    root: Path
    log: Path
    model: int = 0
    process: subprocess.Popen[bytes] | None = None
    finished: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    n_killed: int = 0
    ended_at: float = 0.0
    _spooled: set[str] = field(default_factory=set)

    @property
    def is_spooling(self) -> bool:
        return any((self.root / "spool").glob("*.jsonl"))

    def tend(self, *, at_once: bool = False) -> None:
        """Note how a run ended; start the next, after a pause that leaves the machine to the others."""
        if self.process is not None:
            ended = self.process.poll()
            if ended is None:
                return
            self.process, self.ended_at = None, time.monotonic()
            if ended == 0:
                self.finished.append(f"m{self.model}")
                self.model += 1
                self.kept |= self._spooled  # the run began by draining what dead workers had left
                self._spooled = set()
            else:
                self.failures.append(f"afrel label ended with {ended}; see {self.log}")
        if not at_once and time.monotonic() - self.ended_at < PAUSE_SECONDS:
            return
        words = ["label", "--provider", "openai", "--model", f"m{self.model}", "--concurrency", str(CONCURRENCY)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                _afrel(self.root, words), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """Kill the worker and read what it left on its spools; `tend` starts it again."""
        if self.process is None:
            return
        self.process.kill()
        if self.process.wait() == 0:
            return  # it had just ended by itself
        self.process = None
        self.n_killed += 1
        for path in (self.root / "spool").glob("*.jsonl"):
            for line in path.read_bytes().splitlines(keepends=True):
                record = json.loads(line) if line.endswith(b"\n") else {}
                if "llm_call_id" in record:  # other lines say that a request went out
                    self._spooled.add(record["llm_call_id"])

    def finish(self, timeout: float) -> None:
        """Let the run that is under way, or the one after a kill, end well; start no other."""
        if self.process is None:
            self.tend(at_once=True)
        assert self.process is not None
        if self.process.wait(timeout) == 0:
            self.finished.append(f"m{self.model}")
            self.kept |= self._spooled
        else:
            self.failures.append(f"the last afrel label did not end well; see {self.log}")

    def pid(self) -> int | None:
        is_running = self.process is not None and self.process.poll() is None
        return self.process.pid if is_running and self.process is not None else None


def environment() -> dict[str, str]:
    """Return what the load processes run in."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
