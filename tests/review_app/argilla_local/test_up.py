"""`afrel argilla up` with the real server: started, found, watched, killed, stopped; passwords are shown once."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from review_app.argilla_local.home import ServerHome
from tests.conftest import Afrel
from tests.review_app.argilla_bridge.running import PYTHON
from tests.review_app.argilla_local.shop_of_pairs import free_port, make_shop

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="AFREL_ARGILLA_PYTHON names no Argilla environment"),
]
PATIENCE = 120.0  # seconds, on a machine that does much else
FOUR = [("red sofa", f"Sofa {n}") for n in range(4)]
ROLES = {"root": "admin", "cleo": "curator", "eli": "engineer", "ana": "reviewer", "bo": "reviewer"}


class Shop:
    """A workspace whose own Argilla is up."""

    def __init__(self, afrel: Afrel, folder: Path) -> None:
        self.afrel, self.folder, self.home = afrel, folder, ServerHome.of(folder)
        make_shop(afrel, folder, ROLES, FOUR)
        self.port = free_port()
        self.passwords = self.up("--port", str(self.port))

    def up(self, *more: str) -> dict[str, str]:
        """Start it; return the passwords that were shown."""
        told = json.loads(self.run("up", "--json", *more))
        return {one["username"]: one["password"] for one in told["passwords"]}

    def run(self, *words: str, account: str | None = None, ok: bool = True) -> str:
        done = self.afrel("argilla", *words, workspace=self.folder, account=account, ok=ok)
        return done.stdout + done.stderr

    @property
    def pid(self) -> int:
        running = self.home.last_run()
        assert running is not None
        return running.pid

    def ask(self, way: str, path: str, body: Any = None, **more: Any) -> Any:
        """Ask as the owner, or as who `headers` say."""
        headers = more.get("headers") or {"X-Argilla-Api-Key": self.home.owner_key.read_text().strip()}
        told = httpx.request(way, f"http://127.0.0.1:{self.port}{path}", headers=headers, json=body, timeout=60)
        assert told.status_code < 300, (path, told.status_code, told.text[:300])
        return told.json() if told.text else None

    def log_in(self, who: str, password: str) -> str | None:
        """Return a person's token, None where the password is wrong."""
        told = httpx.post(
            f"http://127.0.0.1:{self.port}/api/v1/token", data={"username": who, "password": password}, timeout=60
        )
        return str(told.json()["access_token"]) if told.status_code == 201 else None

    def dataset(self) -> str:
        (row,) = self.ask("GET", "/api/v1/me/datasets")["items"]
        return str(row["id"])

    def answer(self, who: str, candidate_id: str, grade: str) -> None:
        """Grade as a person does, with the password that was shown."""
        token = self.log_in(who, self.passwords[who])
        records = self.ask("GET", f"/api/v1/datasets/{self.dataset()}/records?limit=100")["items"]
        (record,) = [one for one in records if one["external_id"] == candidate_id]
        body = {"status": "submitted", "values": {"grade": {"value": grade}}}
        self.ask(
            "POST", f"/api/v1/records/{record['id']}/responses", body, headers={"Authorization": f"Bearer {token}"}
        )

    def until(self, what: str, is_so: Any) -> None:
        by = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < by, f"{what}: {self.run('logs')[-3000:]}"
            time.sleep(0.3)


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(afrel, tmp_path / "shop")
    yield made
    made.run("down")


def test_people_come_in_with_what_was_shown_once_and_lose_it_when_retired(shop: Shop) -> None:
    roles = {row["username"]: row["role"] for row in shop.ask("GET", "/api/v1/users")["items"]}
    assert roles == {
        "root": "owner", "cleo": "admin", "eli": "annotator", "ana": "annotator", "bo": "annotator", "_afrel": "owner",
    }  # fmt: skip
    assert set(shop.passwords) == set(ROLES)
    token = shop.log_in("ana", shop.passwords["ana"])
    assert token and shop.log_in("ana", shop.passwords["bo"]) is None
    everything = b"".join(path.read_bytes() for path in shop.home.path.rglob("*") if path.is_file())
    assert not any(password.encode() in everything for password in shop.passwords.values())
    assert shop.up() == {}  # shown once
    shop.afrel("account", "retire", "bo", workspace=shop.folder, account="root")
    shop.afrel("account", "add", "cy", "--role", "reviewer", workspace=shop.folder, account="root")
    fresh = shop.up("--new-password", "ana")
    assert set(fresh) == {"cy", "ana"}
    assert shop.log_in("bo", shop.passwords["bo"]) is None and shop.log_in("ana", shop.passwords["ana"]) is None
    assert shop.log_in("ana", fresh["ana"]) and shop.log_in("cy", fresh["cy"])
    workspace = shop.ask("GET", "/api/v1/me/workspaces")["items"][0]["id"]
    inside = {row["username"] for row in shop.ask("GET", f"/api/v1/workspaces/{workspace}/users")["items"]}
    assert inside == {"root", "cleo", "ana", "cy"}  # an engineer may not review, bo is retired
    assert "there is no account nobody" in shop.run("up", "--new-password", "nobody", ok=False)


def test_killed_server_and_worker_come_back_and_nothing_is_lost(shop: Shop) -> None:
    assert "sent 4" in shop.run("push")
    worker = shop.ask("GET", "/afrel/health")
    os.kill(worker["pid"], signal.SIGKILL)
    shop.until("no new worker", lambda: shop.ask("GET", "/afrel/health")["pid"] not in (worker["pid"], None))
    shop.answer("ana", "c_0", "1")
    worker = shop.ask("GET", "/afrel/health")
    os.kill(shop.pid, signal.SIGKILL)
    shop.until("the worker outlives its server", lambda: not Path(f"/proc/{worker['pid']}/cmdline").exists())
    down = shop.afrel("argilla", "status", workspace=shop.folder, ok=False)
    assert down.returncode == 1 and "Argilla is down. Start it: afrel argilla up" in down.stdout
    assert "is down. Start it: afrel argilla up" in shop.run("push", ok=False)
    (shop.home.path / "search.sqlite").write_bytes(b"broken")
    assert shop.up() == {}  # the port is the last one, everybody's password stays
    assert "the search index is built anew" in shop.run("reindex")
    told = json.loads(shop.run("status", "--json"))
    assert [(one["n_records"], one["n_found"]) for one in told["datasets"]] == [(4, 4)]
    assert shop.log_in("ana", shop.passwords["ana"])
    assert "took in 1 submitted" in shop.run("pull", account="cleo")


def test_a_second_start_waits_and_has_nothing_to_do_and_taken_ports_are_told(shop: Shop) -> None:
    assert f"nothing to do: Argilla is up at http://127.0.0.1:{shop.port}" in shop.run("up")
    assert "Stop it first: afrel argilla down" in shop.run("up", "--port", str(free_port()), ok=False)
    assert shop.run("down") == "Argilla is down\n"
    assert shop.run("down") == "nothing to do: Argilla is down\n"
    assert list(shop.home.path.glob("*.sock")) == []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", shop.port))
        taken.listen()
        refused = shop.run("up", ok=False)
        assert f"port {shop.port} cannot be used" in refused and "afrel argilla up --port" in refused
    both: list[str] = []
    starting = [threading.Thread(target=lambda: both.append(shop.run("up"))) for _ in range(2)]
    for one in starting:
        one.start()
    for one in starting:
        one.join()
    assert sorted("nothing to do" in said for said in both) == [False, True]


def test_a_database_of_another_version_and_a_damaged_one_are_refused_and_left(shop: Shop) -> None:
    shop.run("down")
    database = shop.home.path / "argilla.db"
    with sqlite3.connect(database) as connection:
        (revision,) = connection.execute("select version_num from alembic_version").fetchone()
        connection.execute("update alembic_version set version_num = 'fedcba987654'")
    connection.close()
    assert "made by another version of Argilla: 2.8 does not know its revision fedcba987654" in shop.run("up", ok=False)
    with sqlite3.connect(database) as connection:
        connection.execute("update alembic_version set version_num = ?", (revision,))
    connection.close()
    kept = database.read_bytes()
    database.write_bytes(b"not a database" * 1000)
    assert "cannot be read as a database" in shop.run("up", ok=False)
    database.write_bytes(kept)
    assert shop.up() == {}


class Webhooks(BaseHTTPRequestHandler):
    """Keeps the kinds of events that were posted."""

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.events.append(event["type"])  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


def test_jobs_run_a_webhook_is_called_and_a_changed_number_of_answers_counts(shop: Shop) -> None:
    listening = HTTPServer(("127.0.0.1", 0), Webhooks)
    listening.events = []  # type: ignore[attr-defined]
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    hook = {"url": f"http://127.0.0.1:{listening.server_port}/", "events": ["response.created"]}
    shop.ask("POST", "/api/v1/webhooks", hook)
    shop.run("push")
    shop.answer("ana", "c_0", "1")
    shop.until("no webhook was called", lambda: listening.events == ["response.created"])  # type: ignore[attr-defined]
    progress = f"/api/v1/datasets/{shop.dataset()}/progress"
    assert shop.ask("GET", progress)["completed"] == 0  # two people are asked
    # what a killed queue loses is found by the next start
    os.kill(shop.pid, signal.SIGKILL)
    shop.until("it is not dead", lambda: not shop.home.is_up())
    with sqlite3.connect(shop.home.path / "argilla.db") as connection:
        connection.execute("update datasets set distribution = ?", ('{"strategy": "overlap", "min_submitted": 1}',))
    connection.close()
    shop.up()
    shop.until("the status was not mended", lambda: shop.ask("GET", progress).get("completed") == 1)
    listening.shutdown()


def test_watch_says_what_is_new_and_waits_for_a_server_that_is_away(shop: Shop, tmp_path: Path) -> None:
    shop.run("push")
    env = {
        **os.environ, "AFREL_HOME": str(tmp_path / "home"), "AFREL_PASSWORD_FILE": str(tmp_path / "password"),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "afrel",
        "-w",
        str(shop.folder),
        "--as",
        "cleo",
        "argilla",
        "watch",
        "--every",
        "1",
    ]
    said = tmp_path / "watch.log"
    with said.open("w") as log:
        watching = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=Path(__file__).parents[3])
    shop.until("it does not watch", lambda: "watching" in said.read_text())
    shop.answer("ana", "c_0", "1")
    shop.until("nothing was told", lambda: "took in 1 submitted" in said.read_text())
    shop.run("down")
    shop.until("it is not told", lambda: "is down. Start it: afrel argilla up" in said.read_text())
    told = said.read_text()
    time.sleep(3)
    assert said.read_text() == told  # once
    shop.up()
    shop.until("it does not come back", lambda: "it answers again" in said.read_text())
    shop.answer("bo", "c_1", "0")
    shop.until("nothing more was told", lambda: said.read_text().count("took in 1 submitted") == 2)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(60) == 0 and said.read_text().endswith("stopped\n")
    assert "nothing to do" in shop.run("pull", account="cleo")
