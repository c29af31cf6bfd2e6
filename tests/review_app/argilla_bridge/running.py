"""A real Argilla server for tests: started from the environment AFREL_ARGILLA_PYTHON names, and asked as its users."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ROOT

PYTHON = os.environ.get("AFREL_ARGILLA_PYTHON")
STARTING = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, whose files lie in a folder. Each user's key is the name over and over."""

    url: str
    pid: int
    folder: Path

    def ask(self, who: str, way: str, path: str, body: Any = None) -> Any:
        """Ask as a user; anything but success is an error."""
        key = (who * 80)[:80]
        told = httpx.request(
            way, f"{self.url}/api/v1/{path}", headers={"X-Argilla-Api-Key": key}, json=body, timeout=60
        )
        assert told.status_code < 300, (path, told.status_code, told.text[:500])
        return told.json() if told.text else None

    def user_id(self, who: str) -> str:
        return str(self.ask(who, "GET", "me")["id"])

    def datasets(self, base: str) -> dict[str, str]:
        """Return the ids of a base's datasets by name."""
        rows = self.ask("root", "GET", "me/datasets")["items"]
        ours = [row for row in rows if ((row["metadata"] or {}).get("afrel") or {}).get("dataset") == base]
        return {row["name"]: row["id"] for row in ours}

    def records(self, base: str) -> dict[str, list[dict[str, Any]]]:
        """Return all records of a base's datasets, by dataset."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, dataset_id in self.datasets(base).items():
            part = found.setdefault(name, [])
            while True:
                path = f"datasets/{dataset_id}/records?limit=1000&offset={len(part)}&include=responses,suggestions"
                page = self.ask("root", "GET", path)["items"]
                part += page
                if not page:
                    break
        return found

    def record(self, base: str, candidate_id: str) -> dict[str, Any]:
        """Return the only record of a candidate."""
        (found,) = [
            record for part in self.records(base).values() for record in part if record["external_id"] == candidate_id
        ]
        return found

    def found(self, who: str, dataset_id: str, text: str | None = None) -> list[str]:
        """Return the external ids of what a user's search finds."""
        body = {} if text is None else {"query": {"text": {"q": text}}}
        told = self.ask(who, "POST", f"me/datasets/{dataset_id}/records/search?limit=1000", body)
        return sorted(one["record"]["external_id"] for one in told["items"])

    def answer(self, who: str, record_id: str, status: str = "submitted", **values: str) -> dict[str, Any]:
        """Answer a record as its user does in the browser."""
        body = {"status": status, "values": {name: {"value": value} for name, value in values.items()} or None}
        items = [{**body, "record_id": record_id}]
        (told,) = self.ask(who, "POST", "me/responses/bulk", {"items": items})["items"]
        assert told["error"] is None, told["error"]
        return dict(told["item"])

    def answer_many(self, who: str, dataset_id: str, external_ids: Sequence[str], grade: str) -> None:
        """Answer many records at once, as their owner may write them."""
        given = {"user_id": self.user_id(who), "status": "submitted", "values": {"grade": {"value": grade}}}
        for start in range(0, len(external_ids), 200):
            items = [{"external_id": one, "responses": [given]} for one in external_ids[start : start + 200]]
            self.ask("root", "PUT", f"datasets/{dataset_id}/records/bulk", {"items": items})


@contextmanager
def argilla_server(folder: Path) -> Iterator[Server]:
    """Run a server whose database lies in a folder, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "ARGILLA_HOME_PATH": str(folder),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/argilla.db",
        "ARGILLA_SEARCH_ENGINE": "sqlite",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = Path(__file__).with_name("argilla_app.py")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(PYTHON), str(script), str(port)], env={**os.environ, **told}, stdout=log, stderr=log
        )
        server = Server(f"http://127.0.0.1:{port}", process.pid, folder)
        try:
            _wait(server, process, folder / "server.log")
            yield server
        finally:
            process.kill()
            process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    by = time.monotonic() + STARTING
    while time.monotonic() < by:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            server.ask("root", "GET", "me")
        except httpx.TransportError:
            time.sleep(0.3)
        else:
            return
    raise AssertionError(f"no server within {STARTING} s: {log.read_text()[-2000:]}")
